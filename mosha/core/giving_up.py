"""When a node gives up a group that fails again and again on it: `on-failure=move:N/TIME` of hactl.

clinit remembers when the respawn entries of a group failed (`core.failures`); so a monitor that
is restarted forgets nothing. After N failures within TIME, if another node may have the group,
this node stops it and bans itself as after a failed test, and the next one takes it. The ban lasts
until the failures are forgotten, if that is longer: else it could end before the group was tried on
all nodes, which would then go round for ever between those where it fails. Where there is no other
node the group stays, and is started again as without the option.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core import placement
from mosha.core.candidacy import loads
from mosha.core.durations import span_text
from mosha.core.eligibility import eligible
from mosha.core.entries import EntryReport
from mosha.core.placement import Free
from mosha.core.seat import Mind, Seat
from mosha.core.tables import STOP_LEVEL


class Tally(Struct, frozen=True):
    """The failures of a group here that count: when they were, oldest first, and the last entry."""

    failed_at: tuple[float, ...] = ()
    entry: EntryReport | None = None


def tally(mind: Mind, seat: Seat, now: float) -> Tally:
    """Count the failures that `on-failure=` looks at; none where it says `stay`."""
    wish = mind.wish(seat.group)
    if wish is None or wish.on_failure is None:
        return Tally()
    since = max(now - wish.on_failure.within_s, seat.cleaned_at)
    found = sorted(
        ((at, entry) for entry in mind.local(seat.group).entries for at in entry.failed_at),
        key=lambda failure: failure[0],
    )
    counted = [(at, entry) for at, entry in found if at > since]
    return Tally(tuple(at for at, _ in counted), counted[-1][1]) if counted else Tally()


def gives_up(mind: Mind, seat: Seat, now: float) -> bool:
    """Say whether the group has failed here as often as it may, and another node may have it."""
    wish = mind.wish(seat.group)
    if wish is None or wish.on_failure is None:
        return False
    failures = len(tally(mind, seat, now).failed_at)
    return failures >= wish.on_failure.failures and bool(others(mind, seat.group, now))


def others(mind: Mind, group: str, now: float) -> tuple[int, ...]:
    """Return the other nodes that may have the group, in the order in which they would take it."""
    wish = mind.wish(group)
    if wish is None or wish.level == STOP_LEVEL:
        return ()
    able = eligible(mind, group, now) - {mind.me}
    return placement.ranking(Free(wish, able), loads(mind, without=group))


def reason(mind: Mind, seat: Seat, now: float) -> str:
    """Say why the group is given up here, as the reason of a ban."""
    found, wish = tally(mind, seat, now), mind.wish(seat.group)
    if found.entry is None or wish is None or wish.on_failure is None:
        return ""
    entry = found.entry
    last = ": ".join(filter(None, (entry.error or entry.exit, *entry.said[-1:])))
    count = len(found.failed_at)
    told = f"failed {count} time{'s' * (count != 1)} in {span_text(wish.on_failure.within_s)}"
    told += f" (on-failure={wish.on_failure}), last entry {entry.tag}"
    return f"{told}: {last}" if last else told


def ban_s(mind: Mind, seat: Seat) -> float:
    """Return for how long this node keeps off a group that it gives up."""
    wish = mind.wish(seat.group)
    within_s = wish.on_failure.within_s if wish is not None and wish.on_failure is not None else 0.0
    return max(mind.timing.ban_s, within_s)


def prediction(mind: Mind, seat: Seat, now: float) -> str:
    """Say what the next failure of an entry will do; "" where hactl says nothing of failures."""
    wish = mind.wish(seat.group)
    if wish is None or wish.on_failure is None:
        return ""
    limit, failed_at = wish.on_failure, tally(mind, seat, now).failed_at
    count, able = len(failed_at), others(mind, seat.group, now)
    told = f"{count} of {limit.failures} failures in {span_text(limit.within_s)} on node {mind.me}"
    missing = limit.failures - count
    if not able:
        told += "; no other node may have it: it stays, however often it fails"
    elif missing > 1:
        told += f"; it moves to node {able[0]} after {missing} more"
    else:
        told += f"; the next one moves it to node {able[0]}" * (missing == 1)
        told += f"; it moves to node {able[0]} now" * (missing < 1)
    if failed_at:
        left_s = failed_at[0] + limit.within_s - now
        told += f"; the oldest is forgotten in {left_s:.0f} s"
    return f"{told} (on-failure={limit})"
