"""How long 1000 services take to stop, and how long clinit lets others wait meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import NamedTuple, Self

from mosha.control.calls import call
from mosha.control.protocol import Ask, Hello
from mosha.core.status import GroupState
from mosha.core.tables import STOP_LEVEL
from mosha.host import proc
from mosha.host.clock import boottime
from tests.bench import supervisors
from tests.bench.figures import Aim, Figure, Plan, median, spread
from tests.waiting import wait_until

ENTRIES = 1000
GROUPS = (1, ENTRIES)
SERVICE = "/bin/sleep 1000000"
LIMIT_S = 120.0
CALL_LIMIT_S = 60.0
ASK_EVERY_S = 0.01
STOP_AIM = Aim(at_most=2000.0)
ANSWER_AIM = Aim(at_most=100.0)
KINDS = {"cgroups": (), "no cgroups": ("--cgroup", "none")}


class _Stop(NamedTuple):
    """One stop of all: how long it took, and the slowest answer meanwhile; in seconds."""

    took_s: float
    slowest_s: float


def run(plan: Plan) -> list[Figure]:
    directory = plan.directory("stop")
    stops: dict[tuple[str, int], list[_Stop]] = {(k, n): [] for k in KINDS for n in GROUPS}
    floors: list[float] = []
    rounds = plan.rounds(5, 2)
    for number in range(rounds):
        plan.say(f"round {number + 1} of {rounds}")
        floors.append(_floor())
        for (kind, groups), found in stops.items():
            place = directory / f"{len(kind)}.{groups}.{number}"
            found.append(_stop(place, groups, KINDS[kind]))
    return [figure for key, found in stops.items() for figure in _figures(*key, found, floors)]


def _figures(kind: str, groups: int, stops: list[_Stop], floors: list[float]) -> list[Figure]:
    took, slowest = [stop.took_s for stop in stops], [stop.slowest_s for stop in stops]
    where = f"{groups} group{'s' if groups > 1 else ''}, {kind}"
    return [
        Figure(
            bench="stop",
            what=f"{ENTRIES} entries in {where}, all stopped",
            unit="ms",
            value=median(took) * 1000,
            samples=len(took),
            floor=median(floors) * 1000,
            floor_is="a bare asyncio pidfd spawner that kills and waits for as many",
            aim=STOP_AIM,
            parts=spread(took, 1000),
        ),
        Figure(
            bench="stop",
            what=f"slowest answer meanwhile, {where}",
            unit="ms",
            value=median(slowest) * 1000,
            samples=len(slowest),
            aim=ANSWER_AIM,
            parts=spread(slowest, 1000),
        ),
    ]


def _floor() -> float:
    with supervisors.floor(ENTRIES, SERVICE) as floor:
        floor.go()
        wait_until(lambda: len(_children(floor.process.pid)) == ENTRIES, LIMIT_S)
        began = boottime()
        assert floor.process.stdin is not None
        floor.process.stdin.close()
        floor.process.wait(LIMIT_S)
        return boottime() - began


def _children(pid: int) -> list[int]:
    return proc.children_of(pid) or []


def _stop(directory: Path, groups: int, words: tuple[str, ...]) -> _Stop:
    cltab = [f"g{n % groups}:t{n}:up:respawn:{SERVICE}" for n in range(ENTRIES)]
    names = [f"g{n}" for n in range(groups)]
    with supervisors.clinit(directory, cltab, words) as clinit:
        clinit.tell(dict.fromkeys(names, "up"))
        wait_until(lambda: _pids(clinit) == ENTRIES, LIMIT_S, step_s=0.1)
        with _Asker(clinit.socket) as asker:
            began = boottime()
            clinit.tell(dict.fromkeys(names, STOP_LEVEL))
            wait_until(lambda: len(_children(clinit.pid)) < STAFF_MAX, LIMIT_S)
        # Not asked for before: to report a thousand groups takes its time, too.
        wait_until(lambda: _all_at_stop(clinit), LIMIT_S)
        took_s = boottime() - began
        return _Stop(took_s, asker.slowest_s)


STAFF_MAX = 3
"""The fork server and the second guard are children of clinit all the time."""


def _pids(clinit: supervisors.Clinit) -> int:
    update = call(clinit.socket, Ask(), CALL_LIMIT_S).update
    assert update is not None
    return sum(entry.pid > 0 for group in update.groups for entry in group.entries)


def _all_at_stop(clinit: supervisors.Clinit) -> bool:
    update = call(clinit.socket, Ask(), CALL_LIMIT_S).update
    assert update is not None
    stopped = (STOP_LEVEL, GroupState.DONE)
    return all((group.level, group.state) == stopped for group in update.groups)


class _Asker:
    """Asks clinit whether it lives, again and again; notes the slowest answer."""

    def __init__(self, path: Path) -> None:
        self.slowest_s = 0.0
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.wait(ASK_EVERY_S):
            began = time.monotonic()
            call(self._path, Hello(), CALL_LIMIT_S)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
