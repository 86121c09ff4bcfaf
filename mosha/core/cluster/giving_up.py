"""When a node gives up a group that keeps failing on it: the ladder of `on-failure=` of hactl.

clinit remembers when the respawn entries of a group failed (`core.supervision.failures`), so
nothing is lost when the monitor restarts. After too many failures within the time, if another node
may take the group, this node stops it and bans itself as after a failed test, and the next node
takes it. The ban lasts until the failures are forgotten, if that is longer: else it could end
before the group was tried on all nodes, and the group would cycle for ever among those where it
fails.

Where hactl counts the moves, each node publishes when it gave the group up, and the owner counts
those of all nodes. They are never passed on, or their ages would grow. Where there is no other
node, or no move is left, the group is stopped for good (`exhaustion`), or stays if hactl does not
say so.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mosha.core.cluster import placement, restarting
from mosha.core.cluster.capacity import loads
from mosha.core.cluster.eligibility import eligible
from mosha.core.cluster.placement import Free
from mosha.core.cluster.state import NEVER, GroupRecord, MonitorState
from mosha.core.durations import span_text, times_text
from mosha.core.ladder import LADDER, Ladder, Rung
from mosha.core.status import GroupState, Status
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.failures import remembered
from mosha.core.tables import STOP_LEVEL


class Tally(Struct, frozen=True):
    """When a group failed, as far as that counts here, oldest first; and the entry that did last.

    None if that was before a restart in place.
    """

    failed_at: tuple[float, ...] = ()
    entry: EntryReport | None = None


def ladder_of(state: MonitorState, group: str) -> Ladder | None:
    """Return what hactl wants after failures, None if the group just stays."""
    wish = state.wish(group)
    return wish.on_failure if wish is not None else None


def tally(state: MonitorState, record: GroupRecord, now: float) -> Tally:
    """Count the failures that `on-failure=` considers; none for `stay`."""
    ladder = ladder_of(state, record.group)
    if ladder is None:
        return Tally()
    since = max(now - ladder.within_s, record.cleaned_at)
    found = sorted(
        ((at, entry) for entry in state.report(record.group).entries for at in entry.failed_at),
        key=lambda failure: failure[0],
    )
    counted = [(at, entry) for at, entry in found if at > since]
    own = [at for at, _ in counted]
    before = {at for at in restarting.carried(state, record) if at > since}.difference(own)
    return Tally(tuple(sorted((*before, *own))), counted[-1][1] if counted else None)


def reached(state: MonitorState, record: GroupRecord, now: float) -> Rung:
    """Return the rung that the failures of a group have got it to."""
    ladder = ladder_of(state, record.group)
    if ladder is None or len(tally(state, record, now).failed_at) < ladder.failures:
        return Rung.STAY
    return following(state, record, ladder, now)


def following(state: MonitorState, record: GroupRecord, ladder: Ladder, now: float) -> Rung:
    """Return what follows when the group is not restarted in place any more."""
    if not _used_up(state, record, ladder, now) and others(state, record.group, now):
        return Rung.MOVE
    return Rung.STOP if ladder.stops else Rung.STAY


def _used_up(state: MonitorState, record: GroupRecord, ladder: Ladder, now: float) -> bool:
    return ladder.moves is not None and len(moved_at(state, record, now)) >= ladder.moves


def counts(state: MonitorState, group: str) -> bool:
    """Say whether hactl counts the moves of a group: then a failed test or level is one, too."""
    ladder = ladder_of(state, group)
    return ladder is not None and bool(ladder.moves)


def spent(state: MonitorState, record: GroupRecord, now: float) -> bool:
    """Say whether a failed test or level stops the group for good: its moves are used up."""
    ladder = ladder_of(state, record.group)
    if ladder is None or not (ladder.moves and ladder.stops and record.granted):
        return False
    return _used_up(state, record, ladder, now)


def restart_at(state: MonitorState, record: GroupRecord, now: float) -> float:
    """Return when the group is restarted in place because a monitor fails; infinity: not at all."""
    if restarting.failing(state, record.group) is None:
        return restarting.NOT_AT_ALL
    ladder = ladder_of(state, record.group)
    failures = len(tally(state, record, now).failed_at)
    counted = ladder is not None and 0 < failures < ladder.failures
    return restarting.due_at(state, record.group, counted=counted)


def others(state: MonitorState, group: str, now: float) -> tuple[int, ...]:
    """Return the other nodes that may take the group, in the order in which they would."""
    wish = state.wish(group)
    if wish is None or wish.level == STOP_LEVEL:
        return ()
    able = eligible(state, group, now) - {state.me}
    return placement.ranking(Free(wish, able), loads(state, without=group))


# --- the moves of the whole cluster --------------------------------------------------------


def note(record: GroupRecord, now: float) -> None:
    """Remember that this node gives the group up now."""
    record.gave_up_at = remembered(record.gave_up_at, now)


def moved_at(state: MonitorState, record: GroupRecord, now: float) -> list[float]:
    """Return when nodes gave the group up, as far as that counts, oldest first."""
    ladder = ladder_of(state, record.group)
    if ladder is None or not ladder.moves:
        return []
    times = list(record.gave_up_at)
    for status in state.view.mentioning(record.group):
        heard_at = state.view.peer(status.node).heard_at
        if heard_at is not None:
            times += [heard_at - age_s for age_s in status.given_up.get(record.group, ())]
    return sorted(at for at in times if at > now - ladder.moves_within_s)


def ease_at(state: MonitorState, record: GroupRecord, now: float) -> float:
    """Return when a move is forgotten that keeps the group from another one, else NEVER."""
    ladder = ladder_of(state, record.group)
    if ladder is None or not ladder.moves or ladder.stops or not record.granted:
        return NEVER
    return min(moved_at(state, record, now), default=NEVER) + ladder.moves_within_s


def published(state: MonitorState, now: float) -> Mapping[str, tuple[int, ...]]:
    """Return how many seconds ago this node gave groups up, where hactl counts that."""
    found = {}
    for group, record in state.records.items():
        ladder = ladder_of(state, group) if record.gave_up_at else None
        if ladder is not None and ladder.moves:
            since = now - ladder.moves_within_s
            if ages := tuple(int(now - at) for at in record.gave_up_at if at > since):
                found[group] = ages
    return found


def recover(state: MonitorState, former: Status, now: float) -> None:
    """Go on counting what the earlier monitor of this boot has published."""
    for group, ages in former.given_up.items():
        state.record(group).gave_up_at = tuple(now - age_s for age_s in ages)


# --- what is said about it -------------------------------------------------------------------


def reason(state: MonitorState, record: GroupRecord, now: float) -> str:
    """Return why the group is given up here, as the reason of a ban or of a stop for good."""
    found, ladder = tally(state, record, now), ladder_of(state, record.group)
    if ladder is None:
        return ""
    report, entry = state.report(record.group), found.entry
    failed = report.state is GroupState.FAILED
    text = report.cause or "failed"
    if not failed:
        text = f"failed {times_text(len(found.failed_at))} in {span_text(ladder.within_s)}"
    if moves := moved_at(state, record, now):
        text += f", moved {times_text(len(moves))} in {span_text(ladder.moves_within_s)}"
    text += f" {LADDER}{ladder})"
    if failed or entry is None:
        return text
    last = filter(None, (entry.error or entry.exit, *entry.said[-1:]))
    return ": ".join((f"{text}, last entry {entry.tag}", *last))


def ban_s(state: MonitorState, record: GroupRecord) -> float:
    """Return for how long this node is banned from a group that it gives up."""
    ladder = ladder_of(state, record.group)
    return max(state.timing.ban_s, ladder.within_s if ladder is not None else 0.0)


def prediction(state: MonitorState, record: GroupRecord, now: float) -> str:
    """Return what the next failure will do; "" if nothing but a respawn ever follows."""
    ladder = ladder_of(state, record.group)
    if ladder is None:
        slowly = SLOWLY if restarting.monitored(state, record.group) else ""
        text = _restart_text(state, record, now) or slowly
        return f"{text} (on-failure=stay)" if text else ""
    failed_at, moves = tally(state, record, now).failed_at, moved_at(state, record, now)
    count = len(failed_at)
    text = f"{count} of {ladder.failures} failures in {span_text(ladder.within_s)}"
    text += f" on node {state.me}"
    if ladder.moves:
        text += f", {len(moves)} of {ladder.moves} moves in {span_text(ladder.moves_within_s)}"
    text += f"; {_what_follows(state, record, ladder, ladder.failures - count, now)}"
    if restart := _restart_text(state, record, now):
        text += f"; {restart}"
    if failed_at:
        text += f"; {_forgotten('', failed_at, ladder.within_s, now)}"
    if moves:
        text += f"; {_forgotten(' move', moves, ladder.moves_within_s, now)}"
    return f"{text} (on-failure={ladder})"


def _what_follows(
    state: MonitorState, record: GroupRecord, ladder: Ladder, missing: int, now: float
) -> str:
    able = others(state, record.group, now)
    monitored = restarting.monitored(state, record.group)
    match following(state, record, ladder, now):
        case Rung.MOVE:
            does, is_done = f"moves it to node {able[0]}", f"moves to node {able[0]}"
        case Rung.STOP:
            does, is_done = "stops it for good", "is stopped for good"
        case Rung.STAY:
            cause = "it has moved often enough" if able else "no other node may have it"
            cause = "nothing else is to follow" if ladder.moves == 0 else cause
            text = f"{cause}: it stays, however often it fails"
            restart = AT_ONCE if missing > 1 else SLOWLY
            return f"{text}, and {restart}" if monitored else text
    if missing > 1:
        text = f"it {is_done} after {missing} more"
        return f"{text}, before that {AT_ONCE}" if monitored else text
    return f"the next one {does}" if missing == 1 else f"it {is_done} now"


AT_ONCE = "a monitor that fails has it restarted in place at once"
SLOWLY = "a monitor that fails has it restarted in place, at most once a minute"
"""What is said of a group with a monitor."""


def _restart_text(state: MonitorState, record: GroupRecord, now: float) -> str:
    """Return when the group is restarted because a monitor fails now, "" if none does."""
    at, monitor = restart_at(state, record, now), restarting.failing(state, record.group)
    if monitor is None:
        return ""
    when = f"in {at - now:.0f} s" if at > now else "now"
    return f"monitor {monitor.tag} fails: it is restarted in place {when}"


def _forgotten(
    what: str, times: tuple[float, ...] | list[float], within_s: float, now: float
) -> str:
    """Return when the oldest and the last of them are forgotten."""
    first_s, last_s = times[0] + within_s - now, times[-1] + within_s - now
    text = f"the oldest{what} is forgotten in {first_s:.0f} s"
    return text + f", the last in {last_s:.0f} s" * (len(times) > 1)
