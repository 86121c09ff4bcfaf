"""clinit's reports of its groups, as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mosha.clinit.notify_socket import Notification
from mosha.clinit.tail import LINES_MAX
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.group import Group
from mosha.core.supervision.group_report import GroupReport
from mosha.core.supervision.process_record import Process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.supervision.unit import Unit

SAID_OF_FAILED_MAX = 3
"""How many output lines of failed entries are in every report of the group."""

_FAILED = (ProcessState.PAUSING, ProcessState.TIMED_OUT, ProcessState.FAILED)

Said = Callable[[str, int], tuple[str, ...]]
"""Returns the last lines that an entry printed: its tag, and how many at most."""


def group_report(
    unit: Unit,
    group: Group,
    alive: int,
    said: Said,
    notified: Mapping[str, Notification] = MappingProxyType({}),
    *,
    whole: bool = False,
) -> GroupReport:
    """Report a unit, with its group as it was at the time of the report (`group`).

    `notified` has what entries say of themselves, by tag.
    `whole`: everything was requested, so it has the last lines of all entries.
    """
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
        killed_late_s=round(group.killed_late_s, 3),
        killed=group.killed,
        entries=tuple(
            _entry_report(process, said, notified.get(tag, Notification()), whole=whole)
            for tag, process in unit.processes.items()
        ),
    )


def _entry_report(
    process: Process, said: Said, notified: Notification, *, whole: bool
) -> EntryReport:
    failed = process.failures + process.daemonized > 0 or process.state in _FAILED
    failed = failed or process.unattended
    lines = LINES_MAX if whole else SAID_OF_FAILED_MAX
    return EntryReport(
        tag=process.entry.tag,
        mode=process.entry.mode,
        state=process.state.value,
        pid=process.pid,
        starts=process.starts,
        exit=process.exit,
        until=process.due if process.state is ProcessState.PAUSING else None,
        command=process.entry.command,
        since=process.since,
        error=process.error,
        failures=process.failures,
        daemonized=process.daemonized,
        said=said(process.entry.tag, lines) if whole or failed else (),
        limit_s=process.entry.limit_s,
        timed_out=process.timed_out,
        prevented=process.prevented,
        failed_at=process.failed_at,
        held=process.held,
        restarting=process.restarting,
        obeyed=process.obeyed,
        ready=not process.awaited,
        unattended=process.unattended,
        status=notified.status or "",
        degraded=notified.degraded,
        attributes=process.entry.options.process,
        failures_max=process.entry.failures_max,
        severity=process.severity,
        unproven=process.entry.failures_max > 0 and not process.succeeded,
        exit_said=process.said if failed else "",
    )
