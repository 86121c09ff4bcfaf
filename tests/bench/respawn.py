"""How long a service is gone: from SIGKILL until its next process has started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from mosha.host.clock import boottime
from tests.bench import supervisors
from tests.bench.figures import Aim, Figure, Plan, median, spread
from tests.bench.stamps import Stamper

# A process that lived longer than a second was not respawned in haste: no throttle (C3.9).
SPACE_S = 1.2
AIM = Aim(at_most=5.0, ratio=1.5)


def run(plan: Plan) -> list[Figure]:
    directory = plan.directory("respawn")
    subject, bare = (Stamper(_made(directory / name)) for name in ("subject", "bare"))
    rounds = plan.rounds(50, 10)
    times: list[float] = []
    floors: list[float] = []
    entry = f"g:t:up:respawn:{subject.command}"
    with (
        supervisors.clinit(directory / "c", [entry]) as clinit,
        supervisors.floor(1, bare.command) as floor,
    ):
        clinit.tell({"g": "up"})
        floor.go()
        pids = {id(stamper): stamper.next().pid for stamper in (subject, bare)}
        for number in range(rounds):
            plan.say(f"kill {number + 1} of {rounds}")
            for stamper, results in ((subject, times), (bare, floors)):
                time.sleep(SPACE_S / 2)
                killed = boottime()
                os.kill(pids[id(stamper)], signal.SIGKILL)
                stamp = stamper.next()
                pids[id(stamper)] = stamp.pid
                results.append(stamp.at - killed)
    return [
        Figure(
            bench="respawn",
            what="SIGKILL to the next process",
            unit="ms",
            value=median(times) * 1000,
            samples=rounds,
            floor=median(floors) * 1000,
            floor_is="a bare asyncio pidfd loop, pipes",
            aim=AIM,
            parts=spread(times, 1000)
            | {f"floor {name}": value for name, value in spread(floors, 1000).items()},
        )
    ]


def _made(path: Path) -> Path:
    path.mkdir()
    return path
