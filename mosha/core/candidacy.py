"""Who could run a group, and when it is this node's turn to claim it: C1 and the placement.

All of it follows from what this node knows; nodes with the same view come to the same plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from mosha.core import placement
from mosha.core.eligibility import NODE, Case, able_nodes, broken, eligible, may_take
from mosha.core.placement import Free
from mosha.core.quorum import Sight
from mosha.core.seat import Mind, Seat, Way
from mosha.core.status import GroupLine, GroupState
from mosha.core.tables import STOP_LEVEL, Wish

SHORT_WAIT_MIN_S = 0.1
SHORT_WAIT_MAX_S = 2.0
# How often the pause after giving way in vain doubles: with a ban of 300 s it grows to 21 hours.
WAY_DOUBLINGS_MAX = 8


def wanted_level(mind: Mind, seat: Seat, now: float) -> str:
    """Return the level the group shall have here, `stop` if it shall not run on this node.

    While no tables are in force, what runs already stays where it is.
    """
    tables = mind.hactl is not None and mind.cltab_groups is not None
    mine = Case(mind, seat.group, mind.me, now)
    if not tables and broken(mine, NODE) is None:
        return mind.local(seat.group).wanted
    return STOP_LEVEL if broken(mine) is not None else mind.wish_level(seat.group)


def turn_at(mind: Mind, seat: Seat, now: float) -> float:
    """Return when this node may claim the group, infinity while C1 does not hold.

    Rank 0 claims at once, rank k after k short waits. The waiting starts when the group is
    first seen free.
    """
    group = seat.group
    view = mind.view
    free = not view.holders(group, stale_too=mind.fencing.required)
    if not free or not may_take(mind, group, mind.me, now) or mind.local(group).present:
        seat.free_since = None
        return math.inf
    ready = (
        view.sight is Sight.YES
        and not mind.silent(now)
        and seat.ballot.vote is None
        and mind.published is not None
        and mind.published.inc == mind.inc
        and not awaited(mind, group)
    )
    if not ready:
        return math.inf
    if seat.free_since is None:
        seat.free_since = now
    order = joint_plan(mind, now).get(group, ())
    if mind.me not in order:
        return math.inf
    due = seat.free_since + order.index(mind.me) * short_wait_s(mind)
    return max(due, seat.backoff_until)


def awaited(mind: Mind, group: str) -> frozenset[int]:
    """Return the nodes that a claim has to wait for, because they have the votes it would need.

    Others support them and this node has heard nothing of them yet: one that has just started
    may hear of the voters first. A claim now could not be granted, and its own vote, spent
    on a higher term, could not support what runs there.
    """
    electorate, supported = mind.view.electorate, mind.view.unheard(group)
    unheard = frozenset(supported)
    held = len(supported) + len(unheard & electorate.nodes)  # each votes for itself as well
    return frozenset() if len(electorate.nodes) - held >= electorate.needed else unheard


def short_wait_s(mind: Mind) -> float:
    """Return how much later each rank claims: long enough to see the better one's claim."""
    return min(max(mind.timing.heartbeat_s / 2, SHORT_WAIT_MIN_S), SHORT_WAIT_MAX_S)


def better_home(mind: Mind, group: str, now: float) -> int | None:
    """Return the node to give way to: hactl prefers it, and it has been up for T.

    Not one that this node has just given way to in vain: the service would be interrupted for it
    over and over.
    """
    wish = mind.wish(group)
    if wish is None or not wish.failback:
        return None
    place = wish.prefer.index(mind.me) if mind.me in wish.prefer else len(wish.prefer)
    for node in wish.prefer[:place]:
        since = mind.view.peer(node).first_heard_at
        if (
            may_take(mind, group, node, now)
            and since is not None
            and now - since >= mind.timing.timeout_s
            and in_vain(mind, group, node, now) is None
        ):
            return node
    return None


def in_vain(mind: Mind, group: str, node: int, now: float) -> float | None:
    """Return until when this node gives no way to the present life of that one, or None."""
    way = mind.seat(group).ways.get(node)
    if way is None or way.inc != mind.view.peer(node).inc or now >= way.until:
        return None
    return way.until


def give_way(mind: Mind, seat: Seat, now: float) -> None:
    """Note to which node this one gives way, and for how long not again."""
    node = better_home(mind, seat.group, now)
    if node is None:
        return
    inc = mind.view.peer(node).inc
    way = seat.ways.get(node)
    if way is None or way.inc != inc:
        way = seat.ways[node] = Way(inc)
    way.banned = False
    way.until = now + _pause_s(mind, way)


def _pause_s(mind: Mind, way: Way) -> float:
    """Return `ban_s`, twice as long for each time that the other node has banned itself instead."""
    return mind.timing.ban_s * 2.0 ** min(way.bans, WAY_DOUBLINGS_MAX)


def follow_ways(mind: Mind, seat: Seat, now: float) -> None:
    """See what became of the group where this node has given way."""
    for node, way in tuple(seat.ways.items()):
        status = mind.view.peer(node).status
        if status is None:
            continue
        line = status.groups.get(seat.group)
        wanted = (mind.wish_level(seat.group), GroupState.DONE)
        if line is not None and (line.level, line.state) == wanted:
            del seat.ways[node]
        elif seat.group in status.bans and not way.banned:
            way.bans += 1
            way.banned = True
            way.until = now + _pause_s(mind, way)


def joint_plan(mind: Mind, now: float) -> dict[str, tuple[int, ...]]:
    """Return the rankings of all free groups, worked out once for each change of the view."""
    if mind.plan is None:
        frees, able = [], able_nodes(mind, now)
        for group, wish in (mind.hactl.wishes if mind.hactl else {}).items():
            seat = mind.seat(group)
            held = mind.view.holders(group, stale_too=mind.fencing.required)
            if mind.wish(group) is None or wish.level == STOP_LEVEL or held or seat.claim:
                continue
            frees.append(Free(wish, eligible(mind, group, now, able)))
        mind.plan = placement.place(frees, loads(mind))
    return mind.plan


def loads(mind: Mind, without: str = "") -> dict[int, int]:
    """Return how many groups each fresh node holds, one group left out."""
    counts = {
        status.node: len((set(status.claims) | _active(status.groups)) - {without})
        for status in mind.view.fresh()
    }
    own = set(mind.claimed)
    own |= {g for g, local in mind.locals.items() if local.present}
    counts[mind.me] = len(own - {without})
    return counts


def _active(groups: Mapping[str, GroupLine]) -> set[str]:
    return {group for group, line in groups.items() if line.active}


def ranks(mind: Mind, group: str, now: float) -> dict[int, int]:
    """Return the rank of every node that may have claimed the group, for choosing one."""
    wish = mind.wish(group) or Wish(group, STOP_LEVEL)
    candidates = eligible(mind, group, now) | {mind.me, *mind.view.fresh_nodes()}
    order = placement.ranking(Free(wish, candidates), loads(mind, without=group))
    return {node: rank for rank, node in enumerate(order)}
