"""Orders of operators that are not in hactl: restart, move, cleanup, standby.

An order is in the status of the node where it was given, for a while; each node that it concerns
obeys it once, and acknowledges it in its status. Older versions of mosha skip both lines, and do
not obey. Only the effect of an order remains: hactl is not changed. Those for single entries are
carried out by `entry_orders`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from mosha.core.cluster import entry_orders, exhaustion, rivals
from mosha.core.cluster.eligibility import may_take
from mosha.core.cluster.entry_orders import ORDER_MIN_S, drop_old_answers, pass_on
from mosha.core.cluster.state import NEVER, GroupRecord, MonitorState, StandingOrder
from mosha.core.instance_names import instance
from mosha.core.status import DELIBERATE, GroupState, Order, Stamp, Status, Verb

MOVED = "moved "
"""The prefix of the reason of a ban that is a move."""

ORDERS_MAX = 64
"""How many orders stand at once; beyond that the oldest is dropped."""


def give(state: MonitorState, order: Order, now: float) -> int:
    """Put an order into this node's status, and obey it here; return its number."""
    number = max(state.orders, default=state.order_number) + 1
    state.order_number = number
    until = now + max(ORDER_MIN_S, 2 * state.timing.timeout_s)
    state.orders[number] = StandingOrder(order, until)
    while len(state.orders) > ORDERS_MAX:
        del state.orders[min(state.orders)]
    names = {"tag": order.tag} if order.tag else {}
    state.log("order_given", verb=order.verb, group=order.group, **names, to=order.node)
    _obey(state, order, state.me, Stamp(state.inc, number), now)
    state.changed()
    return number


def drop_old(state: MonitorState, now: float) -> None:
    """Drop the orders that have stood long enough, and answers to such."""
    drop_old_answers(state, now)
    for number in [n for n, standing in state.orders.items() if standing.until <= now]:
        del state.orders[number]


def hear(state: MonitorState, old: Status | None, new: Status, now: float) -> None:
    """Obey the orders in a peer's status that were not obeyed yet.

    Those that already stood when this node first reads the peer are not for it, or for an earlier
    life of it: whether that has obeyed them is not known, so a later order does not say so either.
    Nor does it say so of those that stand no longer when this node hears the peer again.
    """
    if not new.orders:
        return
    if old is not None and old.inc < new.inc and old.run == new.run:
        go_on_counting(state, new.node, old.inc, new.inc)
    taken = state.taken.get(new.node, Stamp(0, 0))
    last = max(new.orders)
    first = taken.seq + 1 if taken.inc == new.inc else 1
    for number in sorted({*new.orders, *range(max(first, last - ORDERS_MAX), last)}):
        stamp, order = Stamp(new.inc, number), new.orders.get(number)
        if stamp > taken:
            state.taken[new.node] = stamp
            if order is None or old is None:
                _pass_over(state, new.node, stamp)
            else:
                _obey(state, order, new.node, stamp, now)


def _pass_over(state: MonitorState, issuer: int, stamp: Stamp) -> None:
    """Record that an order was not obeyed here, for as long as somebody may ask."""
    former = [key for key, inc in state.passed_over.items() if key[0] == issuer and inc < stamp.inc]
    for key in former:
        del state.passed_over[key]
    state.passed_over[issuer, stamp.seq] = stamp.inc
    while len(state.passed_over) > ORDERS_MAX:
        del state.passed_over[next(iter(state.passed_over))]


def go_on_counting(state: MonitorState, issuer: int, before: int, inc: int) -> None:
    """Handle: a node has begun a new incarnation while it runs; its orders are those of before.

    Else each of them that still stands would be obeyed again, and what was obeyed would not count.
    """

    def renewed(stamp: Stamp) -> Stamp:
        return Stamp(inc, stamp.seq) if stamp.inc == before else stamp

    for known in (state.taken, state.obeyed):
        if issuer in known:
            known[issuer] = renewed(known[issuer])
    state.passed_over = {
        key: inc if key[0] == issuer and of == before else of
        for key, of in state.passed_over.items()
    }
    for record in state.claimed.values():
        record.restarts = tuple(
            (node, renewed(stamp) if node == issuer else stamp) for node, stamp in record.restarts
        )
    entry_orders.go_on_counting(state, issuer, before, inc)
    state.changed()


def obeyed(state: MonitorState, issuer: int, stamp: Stamp) -> None:
    """Acknowledge in this node's status that an order was obeyed."""
    if stamp > state.obeyed.get(issuer, Stamp(0, 0)):
        state.obeyed[issuer] = stamp
        state.changed()


def have_obeyed(state: MonitorState, nodes: Iterable[int], number: int) -> frozenset[int]:
    """Return which of these nodes have obeyed an order that was given here."""
    stamp = Stamp(state.inc, number)
    said = {status.node: (status.obeyed, status.unfinished) for status in state.view.fresh()}
    said[state.me] = state.obeyed, unfinished(state)
    return frozenset(n for n in nodes if n in said and _has_obeyed(*said[n], state.me, stamp))


def _has_obeyed(
    obeyed: Mapping[int, Stamp],
    unfinished: Mapping[tuple[int, int], int],
    issuer: int,
    stamp: Stamp,
) -> bool:
    started = obeyed.get(issuer, Stamp(0, 0)) >= stamp
    return started and unfinished.get((issuer, stamp.seq)) != stamp.inc


def unfinished(state: MonitorState) -> dict[tuple[int, int], int]:
    """Return the orders that are being carried out here, or were passed over.

    A later one may be obeyed before them, or without them.
    """
    restarts = {
        (issuer, stamp.seq): stamp.inc
        for record in state.claimed.values()
        for issuer, stamp in record.restarts
    }
    return {**state.passed_over, **restarts}


def has_failed(state: MonitorState, group: str, node: int) -> bool:
    """Say whether a node has failures of a group to forget, as far as known here."""
    if state.is_on_all(group):
        return has_failed(state, instance(group, node), node)
    here = node == state.me
    record = state.record(group)
    if here and (record.failbacks or state.report(group).killed_late_s > record.late_seen_s):
        return True
    status = state.published if here else state.view.peer(node).status
    if status is None:
        return False
    line = status.groups.get(group)
    failed = line is not None and line.state is GroupState.FAILED
    return (
        failed
        or group in {*status.bans, *status.given_up, *status.exhausted, *status.restarts}
        or any(trouble.kind not in DELIBERATE for trouble in status.troubles_of(group))
    )


# --- what each order does ------------------------------------------------------------------


def _obey(state: MonitorState, order: Order, issuer: int, stamp: Stamp, now: float) -> None:
    meant = rivals.at(state, order.group, state.me)
    if order.tag:
        named = replace(order, group=meant)
        pass_on(state, named, issuer, stamp, now)  # answered when it is carried out
        return
    match order.verb:
        case Verb.RESTART:
            if _restart(state, meant, issuer, stamp):
                return  # acknowledged when it starts again
        case Verb.MOVE:
            _move(state, order, now)
        case Verb.CLEANUP if order.node in (0, state.me):
            for group in _forms(state, order.group):
                _cleanup(state, group, now)
        case Verb.STANDBY | Verb.UNSTANDBY if order.node == state.me:
            stand_by(state, on=order.verb == Verb.STANDBY)
    obeyed(state, issuer, stamp)


def _restart(state: MonitorState, group: str, issuer: int, stamp: Stamp) -> bool:
    """Stop a group that runs here and start it again under its claim.

    If the claim is not granted at the moment, as after a restart of this monitor, the order waits
    until it is, or until the claim is gone.
    """
    record = state.record(group)
    if record.claim is None or not state.report(group).present:
        return False
    record.restarts = (*record.restarts, (issuer, stamp))[-ORDERS_MAX:]
    state.wake((group,))
    return True


def _move(state: MonitorState, order: Order, now: float) -> None:
    """Ban this node from the group until it runs at its destination: it moves there as usual."""
    record = state.record(order.group)
    if order.node == state.me:
        _end_ban(state, order.group)
    elif order.node or record.claim is not None:
        to = f"to node {order.node}" if order.node else "away"
        record.ban_until = now + _move_limit_s(state)
        record.ban_reason = f"{MOVED}{to} by an operator"
        record.moved_to = order.node
        state.log("move_began", group=record.group, to=order.node, reason=record.ban_reason)
        state.changed()
    state.wake((order.group,))


def hold_move(state: MonitorState, record: GroupRecord, now: float) -> None:
    """Count the ban of a move from the end of its stop, however long that takes.

    What has to stop first (`after=`) counts too. Else a group whose stop takes longer than a ban
    returned to the node that it was to leave.
    """
    if record.moved_to is None or record.ban_until <= now:
        return
    lines = (status.groups.get(record.group) for status in state.view.fresh())
    states = {state.report(record.group).state, *(line.state for line in lines if line)}
    if GroupState.STOPPING in states or record.leaving:
        record.ban_until = now + _move_limit_s(state)


def _move_limit_s(state: MonitorState) -> float:
    """Return how long others have to take a moved group: also where a failure is no ban."""
    return max(state.timing.ban_s, state.timing.timeout_s)


def has_arrived(state: MonitorState, record: GroupRecord, now: float) -> bool:
    """Say whether a moved group runs at its destination, or cannot run there."""
    group, node = record.group, record.moved_to
    if node is None:
        return False
    at = (state.wish_level(group), GroupState.DONE)
    lines = {s.node: s.groups.get(group) for s in state.view.fresh()}
    there = [n for n, line in lines.items() if line and (line.level, line.state) == at]
    if node == 0:
        return bool(there) or not any(may_take(state, group, n, now) for n in lines)
    return node in there or not may_take(state, group, node, now)


def fail_refusal(state: MonitorState, group: str) -> str:
    """Return why a failure of a group cannot be reported here, or ""."""
    report = state.report(group)
    if state.record(group).claim is None or not report.present or report.stop_failed:
        return f"{group} does not run on node {state.me}: there is nothing that could fail"
    return ""


def fail(state: MonitorState, group: str, reason: str, now: float) -> None:
    """Handle a report that a group that runs here has failed."""
    record = state.record(group)
    record.ban_until, record.ban_reason, record.moved_to = now + state.timing.ban_s, reason, None
    state.log("group_banned", group=group, reason=reason, ban_s=state.timing.ban_s)
    state.changed()
    state.wake((group,))


def _forms(state: MonitorState, group: str) -> list[str]:
    """Return a group, and its instance here: both may have failed, before and after an edit."""
    name = instance(group, state.me)
    return [group, name] if name in state.records else [group]


def _cleanup(state: MonitorState, group: str, now: float) -> None:
    """Forget what failed here, and try again what failed at `stop`."""
    record, report = state.record(group), state.report(group)
    record.stops_again = report.stop_failed
    record.cleaned_at, record.late_seen_s = now, report.killed_late_s
    record.gave_up_at = ()
    record.in_place = None
    exhaustion.end(state, record)
    state.changed()
    _end_ban(state, group)


def _end_ban(state: MonitorState, group: str) -> None:
    record = state.record(group)
    record.failbacks.clear()
    if record.ban_until != NEVER:
        lift(state, record)
    state.wake((group,))


def lift(state: MonitorState, record: GroupRecord) -> None:
    """End a ban."""
    moved = record.moved_to is not None
    record.ban_until, record.ban_reason, record.moved_to = NEVER, "", None
    if moved:
        state.log("move_ended", group=record.group)
    else:
        state.log("ban_ended", group=record.group)
    state.changed()


def stand_by(state: MonitorState, *, on: bool) -> None:
    """Put this node on standby (run nothing, keep voting), or end that; also while it leaves."""
    if state.standby is not on and not state.witness:
        state.standby = on
        state.log("standby_changed", to="standby" if on else "up")
        state.changed()
        state.wake_all()
