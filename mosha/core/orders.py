"""What an operator asks of nodes besides hactl: restart, move, cleanup, standby.

An order stands in the status of the node where it was given, for a while; each node that it
concerns obeys it once, and says so in its own status. Nodes of versions before this one skip
both lines, and do not obey. Nothing of an order outlasts it but what it did, so none of them
leaves anything in hactl.
"""

from __future__ import annotations

from collections.abc import Iterable

from mosha.core.eligibility import may_take
from mosha.core.seat import NEVER, Mind, Seat, StandingOrder
from mosha.core.status import GroupState, NodeState, Order, Stamp, Status, Verb

ORDER_MIN_S = 30.0
"""So long an order stands at the least: each node reads each other once a heartbeat."""

MOVED = "moved "
"""So begins the reason of a ban that is a move."""

ORDERS_MAX = 64
"""How many orders stand at once; the oldest goes."""


def give(mind: Mind, order: Order, now: float) -> int:
    """Let an order stand in the own status, and obey it here; return its number."""
    number = max(mind.orders, default=mind.order_number) + 1
    mind.order_number = number
    until = now + max(ORDER_MIN_S, 2 * mind.timing.timeout_s)
    mind.orders[number] = StandingOrder(order, until)
    while len(mind.orders) > ORDERS_MAX:
        del mind.orders[min(mind.orders)]
    mind.note("order_given", verb=order.verb, group=order.group, to=order.node)
    _obey(mind, order, mind.me, Stamp(mind.inc, number), now)
    mind.changed()
    return number


def drop_old(mind: Mind, now: float) -> None:
    """Take away the orders that have stood long enough."""
    for number in [n for n, standing in mind.orders.items() if standing.until <= now]:
        del mind.orders[number]


def hear(mind: Mind, old: Status | None, new: Status, now: float) -> None:
    """Obey what a peer's status orders and was not obeyed yet.

    What stands there when this node begins to listen was for a node that listened then.
    """
    taken = mind.taken.get(new.node, Stamp(0, 0))
    for number, order in sorted(new.orders.items()):
        stamp = Stamp(new.inc, number)
        if stamp > taken:
            mind.taken[new.node] = stamp
            if old is not None:
                _obey(mind, order, new.node, stamp, now)


def obeyed(mind: Mind, issuer: int, stamp: Stamp) -> None:
    """Note in the own status that an order was obeyed."""
    if stamp > mind.obeyed.get(issuer, Stamp(0, 0)):
        mind.obeyed[issuer] = stamp
        mind.changed()


def have_obeyed(mind: Mind, nodes: Iterable[int], number: int) -> frozenset[int]:
    """Return which of these nodes have obeyed an order that was given here."""
    stamp = Stamp(mind.inc, number)
    statuses = {status.node: status.obeyed for status in mind.view.fresh()}
    statuses[mind.me] = mind.obeyed
    return frozenset(n for n in nodes if statuses.get(n, {}).get(mind.me, Stamp(0, 0)) >= stamp)


def has_failed(mind: Mind, group: str, node: int) -> bool:
    """Say whether a node has something to forget of a group, as far as is known here."""
    here = node == mind.me
    seat = mind.seat(group)
    if here and (seat.ways or mind.local(group).killed_late_s > seat.late_seen_s):
        return True
    status = mind.published if here else mind.view.peer(node).status
    if status is None:
        return False
    line = status.groups.get(group)
    failed = line is not None and line.state is GroupState.FAILED
    return failed or group in status.bans or bool(status.troubles_of(group))


# --- what each of them does ----------------------------------------------------------------


def _obey(mind: Mind, order: Order, issuer: int, stamp: Stamp, now: float) -> None:
    match order.verb:
        case Verb.RESTART:
            if _restart(mind, order.group, issuer, stamp):
                return  # said when it starts again
        case Verb.MOVE:
            _move(mind, order, now)
        case Verb.CLEANUP if order.node in (0, mind.me):
            _cleanup(mind, order.group, now)
        case Verb.STANDBY | Verb.UNSTANDBY if order.node == mind.me:
            stand_by(mind, on=order.verb == Verb.STANDBY)
    obeyed(mind, issuer, stamp)


def _restart(mind: Mind, group: str, issuer: int, stamp: Stamp) -> bool:
    """Have a group that runs here stopped and started again under its claim."""
    seat = mind.seat(group)
    if not (seat.granted and seat.proven and mind.local(group).present):
        return False
    seat.restarts = (issuer, stamp)
    mind.wake((group,))
    return True


def _move(mind: Mind, order: Order, now: float) -> None:
    """Keep off the group until it runs where it shall: it goes there by the usual way."""
    seat = mind.seat(order.group)
    if order.node == mind.me:
        _end_ban(mind, order.group)
    elif order.node or seat.claim is not None:
        to = f"to node {order.node}" if order.node else "away"
        seat.ban_until, seat.ban_reason = now + mind.timing.ban_s, f"{MOVED}{to} by an operator"
        seat.moved_to = order.node
        mind.note("move_began", group=seat.group, to=order.node, reason=seat.ban_reason)
        mind.changed()
    mind.wake((order.group,))


def has_arrived(mind: Mind, seat: Seat, now: float) -> bool:
    """Say whether what an operator moved runs where it shall, or cannot run there."""
    group, node = seat.group, seat.moved_to
    if node is None:
        return False
    at = (mind.wish_level(group), GroupState.DONE)
    lines = {s.node: s.groups.get(group) for s in mind.view.fresh()}
    there = [n for n, line in lines.items() if line and (line.level, line.state) == at]
    if node == 0:
        return bool(there) or not any(may_take(mind, group, n, now) for n in lines)
    return node in there or not may_take(mind, group, node, now)


def fail_refusal(mind: Mind, group: str) -> str:
    """Return why nobody can have found a group failed here, or ""."""
    if mind.seat(group).claim is None or not mind.local(group).present:
        return f"{group} does not run on node {mind.me}: there is nothing that could fail"
    return ""


def fail(mind: Mind, group: str, reason: str, now: float) -> None:
    """Take in that somebody found a group failed here that runs here."""
    seat = mind.seat(group)
    seat.ban_until, seat.ban_reason, seat.moved_to = now + mind.timing.ban_s, reason, None
    mind.note("group_banned", group=group, reason=reason, ban_s=mind.timing.ban_s)
    mind.changed()
    mind.wake((group,))


def _cleanup(mind: Mind, group: str, now: float) -> None:
    """Forget what failed here, and try again what failed at `stop`."""
    seat, local = mind.seat(group), mind.local(group)
    seat.stops_again = local.stop_failed
    seat.cleaned_at, seat.late_seen_s = now, local.killed_late_s
    mind.changed()
    _end_ban(mind, group)


def _end_ban(mind: Mind, group: str) -> None:
    seat = mind.seat(group)
    seat.ways.clear()
    if seat.ban_until != NEVER:
        lift(mind, seat)
    mind.wake((group,))


def lift(mind: Mind, seat: Seat) -> None:
    """End a ban."""
    moved = seat.moved_to is not None
    seat.ban_until, seat.ban_reason, seat.moved_to = NEVER, "", None
    if moved:
        mind.note("move_ended", group=seat.group)
    else:
        mind.note("ban_ended", group=seat.group)
    mind.changed()


def stand_by(mind: Mind, *, on: bool) -> None:
    """Let this node run nothing and vote on, or take groups again."""
    if mind.standby is not on and mind.state is NodeState.UP:
        mind.standby = on
        mind.note("standby_changed", to="standby" if on else "up")
        mind.changed()
        mind.wake_all()
