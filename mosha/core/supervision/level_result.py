"""The result of a level (C3.5)."""

from __future__ import annotations

from collections.abc import Sequence

from mosha.core.status import GroupState
from mosha.core.supervision.group import LevelJudged
from mosha.core.supervision.process_record import Process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import Entry


def judged(processes: Sequence[Process], unproven: Sequence[Entry]) -> LevelJudged:
    """Return the result of a level. `unproven` are agents that it should have been left without."""
    states = {p.state for p in processes if p.state is not ProcessState.OFF}
    if ProcessState.FAILED in states:
        failed = next(p for p in processes if p.state is ProcessState.FAILED)
        return LevelJudged(GroupState.FAILED, _why_failed(failed))
    if unproven:
        tags = ", ".join(sorted(entry.tag for entry in unproven))
        return LevelJudged(GroupState.FAILED, f"killed before its agents had stopped: {tags}")
    if states == {ProcessState.PASSED}:
        return LevelJudged(GroupState.PASSED)
    return LevelJudged(GroupState.DONE)


def _why_failed(failed: Process) -> str:
    if failed.in_vain:  # the exit status of what runs an agent says less than its last line
        return f"entry {failed.entry.tag}: {failed.said or failed.exit}"
    reason = f"test entry {failed.entry.tag}: {failed.exit}"
    return f"{reason}: {failed.said}" if failed.said else reason
