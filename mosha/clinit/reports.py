"""What clinit says of its groups, as messages."""

from __future__ import annotations

from mosha.control.protocol import EntryReport, GroupReport
from mosha.core.group import Group
from mosha.core.process import Process
from mosha.core.process_table import ProcessState
from mosha.core.unit import Unit


def group_report(unit: Unit, group: Group, alive: int) -> GroupReport:
    """Report a unit, with its group as it was at the moment to report (`group`)."""
    deadlines = group.deadlines
    return GroupReport(
        group=group.name,
        level=group.level,
        state=group.state,
        wanted=group.wanted,
        term=group.term,
        alive=alive,
        stop_at=deadlines.stop_at if deadlines else None,
        kill_at=deadlines.kill_at if deadlines else None,
        since=group.since,
        cause=group.cause,
        entries=tuple(_entry_report(process) for process in unit.processes.values()),
    )


def _entry_report(process: Process) -> EntryReport:
    return EntryReport(
        tag=process.entry.tag,
        mode=process.entry.mode,
        state=process.state.value,
        pid=process.pid,
        starts=process.starts,
        exit=process.exit,
        until=process.due if process.state is ProcessState.PAUSING else None,
    )
