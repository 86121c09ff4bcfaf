"""When a node gives up a group that keeps failing on it: `on-failure=move:N/TIME` of hactl.

clinit remembers when the respawn entries of a group failed (`core.supervision.failures`), so
nothing is lost when the monitor restarts. After N failures within TIME, if another node may take
the group, this node stops it and bans itself as after a failed test, and the next node takes it.
The ban lasts until the failures are forgotten, if that is longer: else it could end before the
group was tried on all nodes, and the group would cycle for ever among those where it fails. Where
there is no other node the group stays, and is started again as without the option.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.cluster import placement
from mosha.core.cluster.candidacy import loads
from mosha.core.cluster.eligibility import eligible
from mosha.core.cluster.placement import Free
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.durations import span_text
from mosha.core.supervision.entries import EntryReport
from mosha.core.tables import STOP_LEVEL


class Tally(Struct, frozen=True):
    """The failures of a group that count here: their times, oldest first, and the last entry."""

    failed_at: tuple[float, ...] = ()
    entry: EntryReport | None = None


def tally(state: MonitorState, record: GroupRecord, now: float) -> Tally:
    """Count the failures that `on-failure=` considers; none for `stay`."""
    wish = state.wish(record.group)
    if wish is None or wish.on_failure is None:
        return Tally()
    since = max(now - wish.on_failure.within_s, record.cleaned_at)
    found = sorted(
        ((at, entry) for entry in state.report(record.group).entries for at in entry.failed_at),
        key=lambda failure: failure[0],
    )
    counted = [(at, entry) for at, entry in found if at > since]
    return Tally(tuple(at for at, _ in counted), counted[-1][1]) if counted else Tally()


def gives_up(state: MonitorState, record: GroupRecord, now: float) -> bool:
    """Say whether the group has reached its failure limit here and another node may take it."""
    wish = state.wish(record.group)
    if wish is None or wish.on_failure is None:
        return False
    failures = len(tally(state, record, now).failed_at)
    return failures >= wish.on_failure.failures and bool(others(state, record.group, now))


def others(state: MonitorState, group: str, now: float) -> tuple[int, ...]:
    """Return the other nodes that may take the group, in the order in which they would."""
    wish = state.wish(group)
    if wish is None or wish.level == STOP_LEVEL:
        return ()
    able = eligible(state, group, now) - {state.me}
    return placement.ranking(Free(wish, able), loads(state, without=group))


def reason(state: MonitorState, record: GroupRecord, now: float) -> str:
    """Return why the group is given up here, as the reason of a ban."""
    found, wish = tally(state, record, now), state.wish(record.group)
    if found.entry is None or wish is None or wish.on_failure is None:
        return ""
    entry = found.entry
    last = ": ".join(filter(None, (entry.error or entry.exit, *entry.said[-1:])))
    count = len(found.failed_at)
    text = f"failed {count} time{'s' * (count != 1)} in {span_text(wish.on_failure.within_s)}"
    text += f" (on-failure={wish.on_failure}), last entry {entry.tag}"
    return f"{text}: {last}" if last else text


def ban_s(state: MonitorState, record: GroupRecord) -> float:
    """Return for how long this node is banned from a group that it gives up."""
    wish = state.wish(record.group)
    within_s = wish.on_failure.within_s if wish is not None and wish.on_failure is not None else 0.0
    return max(state.timing.ban_s, within_s)


def prediction(state: MonitorState, record: GroupRecord, now: float) -> str:
    """Return what the next failure of an entry will do; "" without `on-failure=` in hactl."""
    wish = state.wish(record.group)
    if wish is None or wish.on_failure is None:
        return ""
    limit, failed_at = wish.on_failure, tally(state, record, now).failed_at
    count, able = len(failed_at), others(state, record.group, now)
    text = f"{count} of {limit.failures} failures in {span_text(limit.within_s)} on node {state.me}"
    missing = limit.failures - count
    if not able:
        text += "; no other node may have it: it stays, however often it fails"
    elif missing > 1:
        text += f"; it moves to node {able[0]} after {missing} more"
    else:
        text += f"; the next one moves it to node {able[0]}" * (missing == 1)
        text += f"; it moves to node {able[0]} now" * (missing < 1)
    if failed_at:
        left_s = failed_at[0] + limit.within_s - now
        text += f"; the oldest is forgotten in {left_s:.0f} s"
    return f"{text} (on-failure={limit})"
