"""When a node restarts a group in place because one of its monitors fails.

What ends is started again by clinit alone. A monitor finds what hangs: nothing has ended, so the
owner stops the whole group and starts it again under its claim, as `mosha restart GROUP` does. It
does so at once for the restarts that `on-failure=` of hactl counts. Those that nothing counts
follow each other at least as slowly as the throttle lets a respawn entry start (catalogue C3.9): a
group that has been at its level for less than `PAUSE_S` is left there until then.

clinit forgets failures when a group leaves its level; so the owner remembers those that led to a
restart, and publishes them, for the next monitor of this boot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec.structs import replace

from mosha.core.cluster.state import GroupRecord, MonitorState, RestartedInPlace
from mosha.core.durations import times_text
from mosha.core.escalation import Limits
from mosha.core.status import GroupState, Restarts, Status
from mosha.core.supervision.entries import EntryReport, failing_text
from mosha.core.supervision.failures import REMEMBERED_MAX

PAUSE_S = Limits().pause_s
"""A restart that `on-failure=` does not count comes no sooner after the group's last start."""

NOT_AT_ALL = math.inf


def monitored(state: MonitorState, group: str) -> bool:
    """Say whether a monitor runs beside the group here."""
    return any(entry.failures_max for entry in state.report(group).entries)


def failing(state: MonitorState, group: str) -> EntryReport | None:
    """Return a monitor that says that the group does not work at its level here, None if none."""
    report = state.report(group)
    if report.state is not GroupState.DONE or report.level != state.wish_level(group):
        return None
    return next((entry for entry in report.entries if entry.unhealthy), None)


def due_at(state: MonitorState, group: str, *, counted: bool) -> float:
    """Return from when on the group is restarted, NOT_AT_ALL if its monitors do not ask for it.

    `counted`: `on-failure=` counts this restart.
    """
    if failing(state, group) is None:
        return NOT_AT_ALL
    since = state.report(group).since
    return since if counted else since + PAUSE_S


def begin(
    state: MonitorState, record: GroupRecord, failed_at: tuple[float, ...], now: float
) -> None:
    """Let the group be restarted; `failed_at` is when what counts so far failed, oldest first."""
    found = failing(state, record.group)
    reason = said_by(found) if found is not None else ""
    count = 1 + (record.in_place.count if record.in_place is not None else 0)
    level = state.report(record.group).level
    record.in_place = RestartedInPlace(count, now, level, failed_at[-REMEMBERED_MAX:], reason)
    record.restarting = True
    names = {"group": record.group, "term": record.claim}
    state.log("group_restarted", **names, reason=reason, count=count)
    state.changed()


def said_by(monitor: EntryReport) -> str:
    """Return what a monitor says of its group, in a clause."""
    text = f"{failing_text(monitor)}{times_text(monitor.failures)} in a row"
    return ": ".join(filter(None, (text, monitor.error or monitor.exit, *monitor.said[-1:])))


def carried(state: MonitorState, record: GroupRecord) -> tuple[float, ...]:
    """Return when the group failed before its last restart, at the level wanted; oldest first."""
    found = record.in_place
    if found is None or found.level != state.wish_level(record.group):
        return ()
    return found.failed_at


# --- published, and known again ------------------------------------------------------------


def published(state: MonitorState, now: float) -> Mapping[str, Restarts]:
    """Return the groups that were restarted here since they are claimed."""
    return {
        group: Restarts(
            found.count,
            int(now - found.at),
            found.level,
            tuple(int(now - at) for at in found.failed_at),
            found.reason,
        )
        for group, record in state.claimed.items()
        if (found := record.in_place) is not None
    }


def recover(state: MonitorState, former: Status, now: float) -> None:
    """Go on with what the earlier monitor of this boot has published."""
    for group, found in former.restarts.items():
        failed_at = tuple(now - age_s for age_s in found.failed)
        state.record(group).in_place = RestartedInPlace(
            found.count, now - found.age_s, found.level, failed_at, found.reason
        )


# --- what is said about it -----------------------------------------------------------------


def known(state: MonitorState, group: str, now: float) -> tuple[int, Restarts] | None:
    """Return which node that is heard has restarted the group since it runs there, and why."""
    own = published(state, now).get(group)
    if own is not None:
        return state.me, own
    for status in state.view.mentioning(group):
        found = status.restarts.get(group)
        if found is not None and state.view.speaks(status.node):
            heard_at = state.view.peer(status.node).heard_at
            since_s = int(now - heard_at) if heard_at is not None else 0
            return status.node, replace(found, age_s=found.age_s + since_s)
    return None


def said(state: MonitorState, group: str, now: float) -> str:
    """Return that in a clause, "" if none has."""
    found = known(state, group, now)
    if found is None:
        return ""
    node, it = found
    text = f"restarted in place on node {node} {times_text(it.count)}, last {it.age_s} s ago"
    return f"{text}: {it.reason}"
