"""The result of a level (C3.5); and whether what a kill does not undo was seen to be undone.

A mount, an address, a volume or a container does not end with the processes of the group. The agent
that has made it (`core.lasting`) is *unproven* from its launch until its stop is seen to succeed.
A group that was killed before that has not stopped, although no process of it is alive.
"""

from __future__ import annotations

from collections.abc import Sequence

from mosha.core.status import GroupState
from mosha.core.supervision.group import Group, LevelJudged
from mosha.core.supervision.process_events import Event, Exited
from mosha.core.supervision.process_record import Process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import STOP_LEVEL, Entry, Mode
from mosha.core.tell import Tell


def judged(processes: Sequence[Process], unproven: frozenset[str]) -> LevelJudged:
    """Return the result of a level. `unproven` are agents that it should have been left without."""
    states = {p.state for p in processes if p.state is not ProcessState.OFF}
    if ProcessState.FAILED in states:
        failed = next(p for p in processes if p.state is ProcessState.FAILED)
        reason = f"test entry {failed.entry.tag}: {failed.exit}"
        reason += f": {failed.said}" if failed.said else ""
        return LevelJudged(GroupState.FAILED, reason)
    if unproven:
        tags = ", ".join(sorted(unproven))
        return LevelJudged(GroupState.FAILED, f"killed before its agents had stopped: {tags}")
    if states == {ProcessState.PASSED}:
        return LevelJudged(GroupState.PASSED)
    return LevelJudged(GroupState.DONE)


def launched(unproven: frozenset[str], entry: Entry) -> frozenset[str]:
    """Return the unproven agents after the launch of an entry."""
    return unproven | {entry.tag} if entry.lasts else unproven


def proven(
    unproven: frozenset[str], before: Process, event: Event, after: Process
) -> frozenset[str]:
    """Return the unproven agents without one whose stop has just been seen to succeed.

    By the test at level `stop`, or by what runs the agent, which was told to stop it.
    """
    if not unproven:
        return unproven
    if after.entry.stops and after.state is ProcessState.PASSED:
        return unproven - {after.entry.stops}
    stopped = before.entry.mode is Mode.OCF and before.state is ProcessState.STOPPING
    if stopped and isinstance(event, Exited) and event.exit.well:
        return unproven - {before.entry.tag}
    return unproven


def unforgotten(unproven: frozenset[str], group: Group, text: Tell, now: float) -> frozenset[str]:
    """Return the unproven agents after a tell: none if it says to forget that a stop has failed.

    A monitor does so when an operator has declared it mended and the claim was overtaken: it says
    `stop` with deadlines that have passed (`core/cluster/group_rules.py`).
    """
    failed = (group.level, group.state) == (STOP_LEVEL, GroupState.FAILED)
    over = text.level == STOP_LEVEL and text.kill_at is not None and text.kill_at <= now
    return frozenset() if failed and over else unproven
