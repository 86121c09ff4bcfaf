"""Which exits of a process are failures, how grave they are, and how long they are remembered."""

from __future__ import annotations

import enum

from mosha.core.agent_exits import STOP_FAILED, UNUSABLE_ANYWHERE, UNUSABLE_HERE
from mosha.core.tables import WRAPPED, Mode


class Severity(enum.StrEnum):
    """What a failure says of another attempt, in the words of Pacemaker."""

    SOFT = "soft"  # it may succeed
    HARD = "hard"  # it is in vain on this node
    FATAL = "fatal"  # it is in vain on every node


_SEVERITIES = {UNUSABLE_HERE: Severity.HARD, UNUSABLE_ANYWHERE: Severity.FATAL}


def severity_of(mode: Mode, code: int) -> Severity:
    """Return how grave the end of a run is; only what runs an agent or a unit can tell."""
    return _SEVERITIES.get(code, Severity.SOFT) if mode in WRAPPED else Severity.SOFT


def is_unstopped(mode: Mode, code: int, *, early: bool) -> bool:
    """Say whether the end of a run leaves processes of an agent that have to be ended by signals.

    That is so if the agent could not stop its service, and if the run was killed before it was
    ready (`early`): then an action of the agent may run on, a start or the stop before it.
    """
    return mode is Mode.OCF and (code == STOP_FAILED or (early and code < 0))


STEADY_S = 60.0
"""A run that lasted this long had started properly: a later failure starts a new count."""

DAEMONIZED_S = 5.0
"""A program that goes into the background has done so by then, and its parent has ended well."""

REMEMBERED_MAX = 20
"""How many failures of an entry are remembered: the limit of `on-failure=` in hactl."""


def remembered(before: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return the times of an entry's failures, including one now."""
    return (*before, now)[-REMEMBERED_MAX:]


def in_a_row(before: int, last_start: float | None, now: float) -> int:
    """Return the number of consecutive failures, including a run that fails now."""
    steady = last_start is not None and now - last_start >= STEADY_S
    return 1 if steady else before + 1
