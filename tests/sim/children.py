"""A process made of nothing but time, and when one that has got SIGKILL is gone.

As a rule that is at once. A process in state D, or one with a big core, takes its time; and one
whose signals fail (EPERM) is not ended by any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from mosha.core.instance_names import single
from mosha.core.supervision.process_events import Scope, Signal
from mosha.core.supervision.unit import KillEverything, SignalLeft
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL

if TYPE_CHECKING:
    from tests.sim.machine import Machine

EPSILON_S = 1e-6


class Child(Struct, eq=False):
    """One process; `leader` is false for the daemon that a `spawn` left behind.

    `condemned_at` is when SIGKILL was first sent, or could not be sent: seconds of the own clock of
    its machine. `killed`: it has got it, and will be gone at its time.
    """

    group: str
    tag: str
    run: int
    level: str
    term: int = 0
    leader: bool = True
    test: bool = False
    dying: bool = False
    condemned_at: float | None = None
    killed: bool = False
    born: float = 0.0  # true seconds
    agent: bool = False  # it stops its service itself
    turn: Callable[[], None] | None = None  # what it does when it may stop its service

    @property
    def exclusive(self) -> bool:
        """Whether it may not run on two nodes at the same time."""
        return self.level not in (PLAN_LEVEL, STOP_LEVEL)

    @property
    def undoing(self) -> bool:
        """Whether it undoes what ran here, which may not run on another node yet."""
        return self.level == STOP_LEVEL

    @property
    def judged(self) -> bool:
        """Whether a promise is about it."""
        return self.exclusive or self.undoing


def aimed_at(
    children: Iterable[Child], effect: Signal | KillEverything | SignalLeft
) -> list[Child]:
    """Return those of the processes of a group that a signal is for."""
    match effect:
        case Signal(entry, run, _, scope):
            # Of the whole entry: what former runs have left behind, too.
            mine = [child for child in children if child.tag == entry.tag]
            whole = scope is Scope.ENTRY
            return [it for it in mine if whole or (it.leader and it.run == run)]
        case SignalLeft(_, _, spared):
            return [it for it in children if not it.leader or it.tag not in spared]
    return list(children)


def refuses(machine: Machine, child: Child) -> bool:
    """Say whether signals to this process fail here and now: the service of a group."""
    fault = machine.weather.of("nosignal", machine.id)
    if fault is None or child.tag != f"{fault.word}s":
        return False
    machine.cover("fault signal fails")
    return True


def dies_in_s(machine: Machine) -> float:
    """Return how long a process that gets SIGKILL here and now takes to be gone."""
    fault = machine.weather.of("slowkill", machine.id)
    if fault is None:
        return 0.0
    machine.cover("fault kill takes time")
    return fault.amount * (0.5 + 0.5 * machine.rng.random())


def condemned_since(children: Iterable[Child]) -> float | None:
    """Return since when a leader of these is condemned, infinity if none, None if nothing is.

    Of what left its leader no entry says that it is late.
    """
    left = [child for child in children if child.exclusive and child.condemned_at is not None]
    times = (child.condemned_at or 0.0 for child in left if child.leader)
    return min(times, default=math.inf) if left else None


def only_condemned(children: Iterable[Child], kill_at: float | None) -> bool:
    """Say whether nothing but what was to be killed by `kill_at`, and is not gone, is left."""
    left = [child for child in children if child.judged]
    return bool(left) and all(
        child.condemned_at is not None
        and kill_at is not None
        and child.condemned_at <= kill_at + EPSILON_S
        for child in left
    )


def of_group(children: Mapping[str, list[Child]], group: str) -> list[Child]:
    """Return the processes of a group and of its instances."""
    return [it for name in sorted(children) if single(name) == group for it in children[name]]
