"""Which nodes could run a group, and when this node may claim it: C1 and the placement.

All of it follows from this node's view; nodes with the same view come to the same plan.
"""

from __future__ import annotations

import math

from mosha.core.cluster import placement, preemption, rivals
from mosha.core.cluster.capacity import capacities, loads
from mosha.core.cluster.eligibility import NODE, broken, eligible, may_take, node_rules
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.placement import Free
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import FailbackAttempt, GroupRecord, MonitorState
from mosha.core.instance_names import node_of
from mosha.core.status import GroupState
from mosha.core.tables import STOP_LEVEL, Wish

SHORT_WAIT_MIN_S = 0.1
SHORT_WAIT_MAX_S = 2.0
# How often the pause after a failed failback doubles: with a ban of 300 s it grows to 21 hours.
WAY_DOUBLINGS_MAX = 8


def wanted_level(state: MonitorState, record: GroupRecord, now: float) -> str:
    """Return the level that the group should have here, `stop` if it must not run on this node.

    While no tables are in force, what runs stays as it is.
    """
    tables = state.hactl is not None and state.cltab_groups is not None
    mine = Case(state, record.group, state.me, now)
    if not tables and broken(mine, NODE) is None:
        return state.report(record.group).wanted
    return STOP_LEVEL if broken(mine) is not None else state.wish_level(record.group)


def rank_due_at(state: MonitorState, record: GroupRecord, now: float) -> float:
    """Return when this node may claim the group, infinity while C1 does not hold.

    Rank 0 claims at once, rank k after k short waits, counted from when the group is first seen
    free.
    """
    group = record.group
    view = state.view
    free = not rivals.holders(state, group) and not rivals.excluded(state, group)
    obstacle = broken(Case(state, group, state.me, now))
    if not free or obstacle is not None or state.report(group).present:
        if free and obstacle in preemption.ROOM:
            state.crowded.add(group)
            joint_plan(state, now)  # another one may have to give way here
        record.free_since = None
        return math.inf
    ready = (
        view.quorum_state is QuorumState.YES
        and not state.silent(now)
        and record.ballot.vote is None
        and state.published is not None
        and state.published.inc == state.inc
        and not awaited(state, group)
    )
    if not ready:
        return math.inf
    if record.free_since is None:
        record.free_since = now
    order = joint_plan(state, now).get(group, (state.me,) if node_of(group) else ())
    if state.me not in order:
        state.crowded.add(group)
        return math.inf
    due = record.free_since + order.index(state.me) * short_wait_s(state)
    return max(due, record.backoff_until)


def awaited(state: MonitorState, group: str) -> frozenset[int]:
    """Return the nodes that a claim has to wait for, because they hold the votes it would need.

    Others vote for them and this node has not heard from them yet: a node that has just started
    may hear the voters before the owner. A claim now could not be granted, and this node's vote,
    spent on a higher term, could not support what runs there.
    """
    electorate, supported = state.view.electorate, state.view.unheard(group)
    unheard = frozenset(supported)
    held = len(supported) + len(unheard & electorate.nodes)  # each votes for itself too
    return frozenset() if len(electorate.nodes) - held >= state.view.needed else unheard


def short_wait_s(state: MonitorState) -> float:
    """Return how much later each rank claims: long enough to see a better rank's claim."""
    return min(max(state.timing.heartbeat_s / 2, SHORT_WAIT_MIN_S), SHORT_WAIT_MAX_S)


def better_home(state: MonitorState, group: str, now: float) -> int | None:
    """Return the node to hand the group back to: hactl prefers it, and it has been up for T.

    Not one to which a failback has just failed: the service would be interrupted over and over.
    """
    wish = state.wish(group)
    if wish is None or not wish.failback:
        return None
    place = wish.prefer.index(state.me) if state.me in wish.prefer else len(wish.prefer)
    for node in wish.prefer[:place]:
        since = state.view.peer(node).first_heard_at
        if (
            may_take(state, group, node, now)
            and since is not None
            and now - since >= state.timing.timeout_s
            and in_vain(state, group, node, now) is None
        ):
            return node
    return None


def in_vain(state: MonitorState, group: str, node: int, now: float) -> float | None:
    """Return until when there is no failback to that node's current incarnation, or None."""
    attempt = state.record(group).failbacks.get(node)
    if attempt is None or attempt.inc != state.view.peer(node).inc or now >= attempt.until:
        return None
    return attempt.until


def give_way(state: MonitorState, record: GroupRecord, now: float) -> None:
    """Record a failback to the better node, and for how long there is not another one."""
    node = better_home(state, record.group, now)
    if node is None:
        return
    inc = state.view.peer(node).inc
    attempt = record.failbacks.get(node)
    if attempt is None or attempt.inc != inc:
        attempt = record.failbacks[node] = FailbackAttempt(inc)
    attempt.banned = False
    attempt.until = now + _pause_s(state, attempt)


def _pause_s(state: MonitorState, attempt: FailbackAttempt) -> float:
    """Return `ban_s`, doubled each time that the other node has banned itself instead."""
    return state.timing.ban_s * 2.0 ** min(attempt.bans, WAY_DOUBLINGS_MAX)


def follow_failbacks(state: MonitorState, record: GroupRecord, now: float) -> None:
    """Update the failback attempts of a group with their outcomes."""
    for node, attempt in tuple(record.failbacks.items()):
        status = state.view.peer(node).status
        if status is None:
            continue
        line = status.groups.get(record.group)
        wanted = (state.wish_level(record.group), GroupState.DONE)
        if line is not None and (line.level, line.state) == wanted:
            del record.failbacks[node]
        elif record.group in status.bans and not attempt.banned:
            attempt.bans += 1
            attempt.banned = True
            attempt.until = now + _pause_s(state, attempt)


def joint_plan(state: MonitorState, now: float) -> dict[str, tuple[int, ...]]:
    """Return the rankings of all free groups, computed once per change of the view.

    Instances have no choice of nodes, and take part only where there may be too little room.
    """
    if state.plan is None:
        frees, rules = [], node_rules(state, now)
        most = capacities(state)
        for group, wish in (state.hactl.wishes if state.hactl else {}).items():
            record = state.record(group)
            if node_of(group) and not most:
                continue
            held = rivals.holders(state, group) or rivals.excluded(state, group)
            if state.wish(group) is None or wish.level == STOP_LEVEL or held or record.claim:
                continue
            frees.append(Free(wish, eligible(state, group, now, rules)))
        apart = state.relations.apart
        state.plan = placement.place(frees, loads(state), apart, most)
        room = preemption.find(state, state.plan, rules, now)
        if room.nodes:  # groups that are placed later do not get it
            state.plan = placement.place(frees, loads(state), apart, most, room.nodes)
        state.preempted, state.promised = room.victims, room.nodes
        state.to_step.update(group for group, (_, at) in room.victims.items() if at == state.me)
    return state.plan


def ranks(state: MonitorState, group: str, now: float) -> dict[int, int]:
    """Return the rank of every node that may have claimed the group, to choose one."""
    wish = state.wish(group) or Wish(group, STOP_LEVEL)
    candidates = eligible(state, group, now) | {state.me, *state.view.fresh_nodes()}
    order = placement.ranking(Free(wish, candidates), loads(state, without=group))
    return {node: rank for rank, node in enumerate(order)}
