"""What watchfiles costs when nothing happens, and how soon it tells, by its step."""

from __future__ import annotations

import contextlib
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mosha.host.clock import boottime
from tests.bench import floor_watch
from tests.bench.figures import Figure, Plan, median, percentile
from tests.bench.machine import usage

STEPS_MS = (10, 20, 50, 100)
DEBOUNCE_MS = 50
DIRECTORIES = 3
LIMIT_S = 10.0
# The chance of the moment within a step; fixed, so that two runs do the same.
CHANCE = random.Random(7)  # noqa: S311


def run(plan: Plan) -> list[Figure]:
    places = {step_ms: _places(plan.directory(f"step{step_ms}")) for step_ms in STEPS_MS}
    with contextlib.ExitStack() as stack:
        processes = {
            step_ms: stack.enter_context(_watching(step_ms, places[step_ms]))
            for step_ms in STEPS_MS
        }
        window_s = plan.rounds(20, 5)
        plan.say(f"{window_s} s of nothing")
        before = {step_ms: usage(process.pid).cpu_s for step_ms, process in processes.items()}
        time.sleep(window_s)
        after = {step_ms: usage(process.pid).cpu_s for step_ms, process in processes.items()}
        figures = []
        for step_ms, process in processes.items():
            plan.say(f"step {step_ms}")
            percent = (after[step_ms] - before[step_ms]) / window_s * 100
            late = [_rename(process, places[step_ms][0]) for _ in range(plan.rounds(30, 10))]
            figures.append(_figure(step_ms, percent, late))
    return figures


def _figure(step_ms: int, percent: float, late: list[float]) -> Figure:
    return Figure(
        bench="watch",
        what=f"awatch, step {step_ms} ms: idle CPU",
        unit="%",
        value=percent,
        samples=len(late),
        parts={
            "rename to seen, ms: median": median(late) * 1000,
            "p90": percentile(late, 90) * 1000,
            "most": max(late) * 1000,
        },
    )


def _places(base: Path) -> list[Path]:
    places = [base / str(number) for number in range(DIRECTORIES)]
    for place in places:
        place.mkdir()
    return places


@contextlib.contextmanager
def _watching(step_ms: int, places: list[Path]) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", floor_watch.__name__, str(step_ms), str(DEBOUNCE_MS)]
    process = subprocess.Popen(
        [*words, *map(str, places)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        time.sleep(1.0)  # its thread sets up the watches after that word
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _rename(process: subprocess.Popen[bytes], place: Path) -> float:
    """Replace a file as the publisher does; return how long until it was seen."""
    assert process.stdout is not None
    time.sleep(0.2 + CHANCE.random() * 0.1)
    draft = place / "draft"
    draft.write_bytes(b"x" * 2000)
    began = boottime()
    draft.rename(place / "clstat")
    ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
    if not ready:
        raise TimeoutError("the change was never seen")
    return float(process.stdout.readline()) - began
