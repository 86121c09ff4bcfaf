"""What `mosha status --watch` costs while it is looked at: CPU for each second that is drawn."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mosha.formats.hastat import Report
from tests.bench import floor_screen
from tests.bench.figures import Aim, Figure, Plan
from tests.bench.machine import usage
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, on, report
from tests.cli.terminal import Terminal

CPU_AIM = Aim(at_most=3.0)
LIMIT_S = 60.0
SIZES = ((3, 20), (10, 100))


def run(plan: Plan) -> list[Figure]:
    return [_figure(plan, nodes, groups) for nodes, groups in SIZES]


def reports(nodes: int, groups: int) -> Iterator[Report]:
    """Yield reports whose ages differ, as those of a monitor do at a heartbeat of 1 s."""
    for number in range(1000):
        age_s = number % 10 / 10
        yield report(
            time=f"2025-11-22T10:{number // 60 % 60:02d}:{number % 60:02d}.000+00:00",
            nodes=[
                node(n, "self" if n == 1 else "fresh", age_s=age_s) for n in range(1, nodes + 1)
            ],
            groups=[group(f"group{n:03d}", on(n % nodes + 1, age_s=age_s)) for n in range(groups)],
        )


def _figure(plan: Plan, nodes: int, groups: int) -> Figure:
    base = plan.directory(f"screen{groups}")
    config = base / "mosha.toml"
    (base / "mfs").mkdir()
    config.write_text(f'mfsbase = "{base}/mfs"\nrundir = "{base}"\nmynode = 1\n', encoding="utf-8")
    shown = list(reports(nodes, groups))
    draws = plan.rounds(20, 5)
    with FakeMonitor(base, shown[0], reports=shown):
        plan.say(f"{draws} s of a screen, {groups} groups")
        watch = _percent(Terminal("status", "--watch", "--config", str(config)), draws)
        plan.say(f"{draws} s of the floor, {groups} groups")
        words = ["-c", f"from {floor_screen.__name__} import main; main()", str(base / "mosha.s")]
        floor = _percent(Terminal(script=_python(words)), draws)
    return Figure(
        bench="screen",
        what=f"mosha status --watch, {nodes} nodes x {groups} groups, drawn each second",
        unit="%",
        value=watch,
        samples=draws,
        floor=floor,
        floor_is="a loop that asks as often, reads the JSON and writes 24 lines as they are",
        aim=CPU_AIM if groups == SIZES[0][1] else None,
    )


def _python(words: list[str]) -> str:
    quoted = " ".join(f"'{word}'" for word in [sys.executable, *words])
    return f"cd '{Path(__file__).parents[2]}' && exec {quoted}"


def _percent(terminal: Terminal, draws: int) -> float:
    """Return the CPU of what runs in a terminal while that many seconds are drawn, in percent."""
    try:
        _drawn(terminal, 2)
        began, before = time.monotonic(), usage(terminal.process.pid).cpu_s
        _drawn(terminal, draws)
        lasted_s = time.monotonic() - began
        return (usage(terminal.process.pid).cpu_s - before) / lasted_s * 100
    finally:
        terminal.end(signal.SIGKILL)


def _drawn(terminal: Terminal, count: int) -> None:
    """Read until the clock on the screen has been drawn that many times more."""
    deadline = time.monotonic() + LIMIT_S
    terminal.seen = ""
    while terminal.seen.count("seen from node 1 at") < count and time.monotonic() < deadline:
        terminal.reads()
        time.sleep(0.02)
