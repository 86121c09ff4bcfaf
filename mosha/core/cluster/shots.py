"""Which nodes this node shoots now, and whose death may be confirmed: rules O4 and H3.6.

`core.cluster.fencing` says when a node may be shot; this asks it for all stale nodes.
"""

from __future__ import annotations

import math

from mosha.core.cluster import fencing
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, Shot
from mosha.core.cluster.peers import Peer, Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.status import Grade, NodeState

# Before a shot a majority has to be heard again; how often that is checked, in heartbeats.
WITNESS_STEP = 0.25
RUNNING = Shot(0, 0, 0.0)


def orders(state: MonitorState, quorum_since: float, now: float) -> tuple[list[FenceOrder], float]:
    """Return which nodes to shoot now, and when to ask again (infinity: not by time alone)."""
    if (
        state.view.quorum_state is not QuorumState.YES
        or state.node_state is not NodeState.UP
        or state.displaced
    ):
        return [], math.inf
    fresh = [*state.view.fresh_nodes(), state.me]
    found, again = [], math.inf
    for victim in _victims(state):
        due = fencing.shoot_at(
            victim,
            me=state.me,
            fresh=fresh,
            started_at=state.started_at,
            start_grace_s=state.timing.start_grace_s,
            # Found stale while this node heard no majority, it may be as healthy as those that
            # were heard again first. A healthy node is heard within a lease.
            healed_at=quorum_since + state.timing.lease_s,
            rules=state.fencing,
            last=state.shots.get(victim.node),
        )
        if due is None:
            continue
        if now < due:
            again = min(again, due)
            continue
        if not _majority_since(state, victim, fresh, now):
            again = min(again, now + state.timing.heartbeat_s * WITNESS_STEP)
            continue
        state.shots[victim.node] = Shot(victim.node, victim.inc, now)
        state.log("fence_ordered", peer=victim.node, inc=victim.inc)
        found.append(FenceOrder(victim.node, victim.inc, _required(state, victim.node)))
    return found, again


def _victims(state: MonitorState) -> list[Peer]:
    """Return the stale nodes, and those whose receipt does not do for all that they hold."""
    short = [
        state.view.peer(node)
        for node, receipt in sorted(state.view.receipts.items())
        if state.view.standing(node) is Standing.FENCED and receipt.grade < _required(state, node)
    ]
    return [*state.view.stale(), *(peer for peer in short if peer.stale_since is not None)]


def _required(state: MonitorState, node: int) -> Grade:
    """Return what receipt will do for all groups that a node holds, or may hold by its votes."""
    held = {g for g in state.records if node in state.view.holders(g, Grade.OFF_CONFIRMED)}
    held |= {g for g, record in state.records.items() if _votes_for(record, node)}
    return max([Grade.OPERATOR_SAID_SO, *(state.required_grade(group) for group in held)])


def _votes_for(record: GroupRecord, node: int) -> bool:
    return record.ballot.vote is not None and record.ballot.vote.node == node


def _majority_since(state: MonitorState, victim: Peer, fresh: list[int], now: float) -> bool:
    """Say whether a majority, including this node, was heard since a node went stale (O4)."""
    heard = (state.view.peer(node) for node in fresh)
    seen = fencing.witnesses(heard, victim, now, state.timing.timeout_s) | {state.me}
    return len(seen & state.view.electorate.nodes) >= state.view.electorate.needed


def ended(state: MonitorState, end: ShotEnded, now: float) -> None:
    """Record what a shot has come to."""
    victim, inc = end.order.node, end.order.inc
    known = state.shots.get(victim)  # None: a later shot has ended and been forgotten (R1)
    if known is not None and known.inc == inc:  # else it came back and is shot again
        shot = Shot(victim, inc, now, end.outcome, end.method, end.detail, end.grade)
        state.shots[victim] = shot
    graded = {} if end.grade is Grade.LEASE_ELAPSED else {"grade": end.grade.text}
    told: dict[str, object] = {"outcome": end.outcome, "method": end.method, **graded}
    state.log("fence_ended", peer=victim, inc=inc, **told, detail=end.detail)


def is_void(state: MonitorState, order: FenceOrder) -> bool:
    """Say whether a shot that is under way must not go on: its victim is heard again."""
    return state.view.speaks(order.node)


def forget(state: MonitorState, node: int) -> None:
    """Forget a shot whose receipt is void, since the node was heard meanwhile (R1)."""
    if state.shots.get(node, RUNNING).outcome != RUNNING.outcome:
        del state.shots[node]


def confirmable(state: MonitorState, node: int) -> tuple[int, str]:
    """Return up to which incarnation an operator may confirm a node's death, or why not."""
    if node == state.me or state.view.speaks(node):
        return 0, f"node {node} is alive: its status is fresh; stop it before you confirm"
    votes = (record.ballot.vote for record in state.records.values())
    incs = [vote.inc for vote in votes if vote is not None and vote.node == node]
    inc = max([state.view.peer(node).inc, *incs])
    if inc == 0:
        return 0, f"node {node} was never seen: there is nothing to confirm"
    if state.view.quorum_state is not QuorumState.YES:  # it may be healthy and run its groups
        why = "it may be the one that is cut off; ask where there is one"
        return 0, f"this node sees no quorum: {why}"
    return inc, ""
