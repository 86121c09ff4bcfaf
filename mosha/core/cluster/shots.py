"""Which nodes this node shoots now: rules O4 and H3.6, and what holds a shot back.

`core.cluster.fencing` says when a node may be shot; this asks it for all nodes that are to be. A
shot is published first, so that one node at a time shoots another, and everybody sees which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from mosha.core.cluster import arming, fencing, poison, restraint, shot_requests
from mosha.core.cluster.capacity import counts
from mosha.core.cluster.events import MethodBegun, ShotEnded
from mosha.core.cluster.fencing import AIMING, RUNNING, SHOT, FenceOrder, Shot
from mosha.core.cluster.peers import Peer, Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import GroupRecord, Hold, MonitorState
from mosha.core.status import Grade, NodeState, ShotLine, Stamp

# Before a shot a majority has to be heard again; how often that is checked, in heartbeats.
WITNESS_STEP = 0.25
NO_SHOT = Shot(0, 0, 0.0)
NEVER_READ = Stamp(0, 0)
ASKED_S = 10.0
"""An operator's order to shoot is void if it could not begin for so long: he has been told."""
REPORTED_S = 10.0
"""How much longer than its methods a shot may take until its end is known."""


class _Victim(NamedTuple):
    """A node that may be shot: an operator has `asked` for it, or it has `requested` it (F1)."""

    peer: Peer
    asked: bool = False
    requested: bool = False


def orders(state: MonitorState, quorum_since: float, now: float) -> tuple[list[FenceOrder], float]:
    """Return which nodes to shoot now, and when to ask again (infinity: not by time alone)."""
    again = arming.armed_at(state, now)
    found: list[FenceOrder] = []
    aimed_at: set[int] = set()
    holds: dict[int, Hold] = {}
    _drop_void_orders(state, now)
    if may_shoot(state):
        for victim in _victims(state):
            node = victim.peer.node
            at = _wait_until(state, victim, quorum_since, now, holds)
            if at > now:
                again = min(again, at)
                continue
            aimed_at.add(node)
            if not _is_shown(state, victim.peer):
                _aim(state, victim.peer, now)
            elif victim.asked and not _is_read(state, node):
                again = min(again, now + state.timing.heartbeat_s * WITNESS_STEP)
            else:
                state.asked.pop(node, None)
                state.shots[node] = Shot(node, victim.peer.inc, now)
                found.append(_fire(state, victim))
    _lower(state, aimed_at)
    _note_holds(state, holds)
    return found, again


def _fire(state: MonitorState, victim: _Victim) -> FenceOrder:
    node, inc = victim.peer.node, victim.peer.inc
    why = {"reason": "it asks to be shot"} if victim.requested else {}
    state.log("fence_ordered", peer=node, inc=inc, **why)
    required = _required(state, node)
    return FenceOrder(node, inc, required, asked=victim.asked, requested=victim.requested)


def _drop_void_orders(state: MonitorState, now: float) -> None:
    """Forget operators' orders that could not begin, or whose victim is dead, or back, by now."""
    for node, asked in tuple(state.asked.items()):
        pending = state.pending[node].receipt if node in state.pending else None
        receipt, inc = state.view.receipts.get(node, pending), state.view.peer(node).inc
        dead = receipt is not None and receipt.inc >= asked.inc and receipt.grade > asked.known
        if now >= asked.until or dead or inc != asked.inc:
            del state.asked[node]


def may_shoot(state: MonitorState) -> bool:
    """Say whether this node may shoot anybody: it sees a quorum, or half of an even cluster."""
    enough = state.view.quorum_state is QuorumState.YES or state.view.is_half
    return enough and state.node_state is NodeState.UP and not state.displaced


def _victims(state: MonitorState) -> Iterator[_Victim]:
    """Yield nodes that an operator named, are stale, ask for it, or whose receipt does not do."""
    view = state.view
    named = state.asked.keys()
    for node in sorted(named):
        yield _Victim(view.peer(node), asked=True)
    for peer in view.stale():
        if peer.node not in named:
            yield _Victim(peer)
    for peer in shot_requests.asking(state):
        if peer.node not in named:
            yield _Victim(peer, requested=True)
    for node, receipt in sorted(view.receipts.items()):
        silent = view.standing(node) is Standing.FENCED and view.peer(node).stale_since is not None
        if silent and node not in named and receipt.grade < _required(state, node):
            yield _Victim(view.peer(node))


def _required(state: MonitorState, node: int) -> Grade:
    """Return what receipt will do for all groups that a node holds, or may hold by its votes."""
    held = {g for g in state.records if node in state.view.holders(g, Grade.OFF_CONFIRMED)}
    held |= {g for g, record in state.records.items() if _votes_for(record, node)}
    return max([Grade.OPERATOR_SAID_SO, *(state.required_grade(group) for group in held)])


def _votes_for(record: GroupRecord, node: int) -> bool:
    return record.ballot.vote is not None and record.ballot.vote.node == node


# --- when ----------------------------------------------------------------------------------


def _wait_until(
    state: MonitorState, victim: _Victim, quorum_since: float, now: float, holds: dict[int, Hold]
) -> float:
    """Return when to ask again about a victim: `now` if it is to be shot, infinity: not by time."""
    step = now + state.timing.heartbeat_s * WITNESS_STEP
    if not victim.asked:
        due = _due(state, victim.peer, quorum_since, now)
        if due > now:
            return due
        asks = shot_requests.asks(victim.peer)
        if not asks and (hearing := restraint.heard_by(state, victim.peer, now)):
            holds[victim.peer.node] = Hold("heard", hearing)
            return step
        if together := restraint.braked(state, victim.peer, now):
            holds[victim.peer.node] = Hold("brake", together)
            return step
        if victim.requested and (alike := restraint.asking(state)):
            holds[victim.peer.node] = Hold("asking", alike)
            return step
        if lately := restraint.spent(state, victim.peer.node, now):
            holds[victim.peer.node] = Hold("budget", lately)
            return max(step, restraint.ease_at(state, now))
        if not _enough_since(state, victim, now):
            return step
    return step if _other_shooter(state, victim.peer) else now


def _due(state: MonitorState, victim: Peer, quorum_since: float, now: float) -> float:
    if arming.is_disarmed(state, now):
        return math.inf
    request = state.requests.get(victim.node)
    due = fencing.shoot_at(
        victim,
        me=state.me,
        fresh=[*(n for n in state.view.fresh_nodes() if n != victim.node), state.me],
        started_at=state.started_at,
        start_grace_s=state.timing.start_grace_s,
        # Found stale while this node heard no majority, it may be as healthy as those that
        # were heard again first. A healthy node is heard within a lease.
        healed_at=quorum_since + state.timing.lease_s,
        rules=state.fencing,
        last=state.shots.get(victim.node),
        requested_at=request.since if request is not None else None,
    )
    if due is None:
        return math.inf
    return due + _tie_break_s(state)


def _tie_break_s(state: MonitorState) -> float:
    """Return how much longer this half of an even cluster waits: 0 if it has more to lose.

    That is the half of the node with the longest delay, else that with more groups: each half knows
    how many either had when all nodes were heard last.
    """
    if state.view.quorum_state is QuorumState.YES:
        return 0.0
    voters = state.view.electorate.nodes
    ours = voters & {*state.view.fresh_nodes(), state.me}
    theirs = voters - ours

    def worth(half: frozenset[int]) -> tuple[float, int, int]:
        spared_s = max(state.fencing.delays.get(node, 0.0) for node in half)
        return spared_s, sum(state.whole.get(node, 0) for node in half), -min(half)

    return 0.0 if worth(ours) > worth(theirs) else state.fencing.tie_break_s


def _enough_since(state: MonitorState, found: _Victim, now: float) -> bool:
    """Say whether a majority (or half), with this node, was heard since a node went stale (O4)."""
    view, victim = state.view, found.peer
    if found.requested:
        return shot_requests.suffice(state, victim, now)
    heard = (view.peer(node) for node in view.fresh_nodes())
    seen = fencing.witnesses(heard, victim, now, state.timing.timeout_s) | {state.me}
    half = view.quorum_state is not QuorumState.YES
    needed = len(view.electorate.nodes) // 2 if half else view.needed
    return len(seen & view.electorate.nodes) >= needed


def _other_shooter(state: MonitorState, victim: Peer) -> int | None:
    """Return the node that shoots this one, or has; of two that aim, the lower one does."""
    for status in state.view.fresh():
        line = status.shots.get(victim.node)
        if line is None or line.inc != victim.inc or status.node == victim.node:
            continue
        if line.outcome in (RUNNING, SHOT) or status.node < state.me:
            return status.node
    return None


# --- a shot is shown before it is fired ------------------------------------------------------


def _aim(state: MonitorState, victim: Peer, now: float) -> None:
    shot = state.shots.get(victim.node)
    if shot is None or (shot.inc, shot.outcome) != (victim.inc, AIMING):
        state.shots[victim.node] = Shot(victim.node, victim.inc, now, AIMING)
        state.changed()


def _is_shown(state: MonitorState, victim: Peer) -> bool:
    """Say whether this node's status, as it is on the file system, shows that it aims."""
    shot, own = state.shots.get(victim.node), state.published
    line = own.shots.get(victim.node) if own is not None else None
    aims = shot is not None and (shot.inc, shot.outcome) == (victim.inc, AIMING)
    return aims and line is not None and line.inc == victim.inc


def _is_read(state: MonitorState, node: int) -> bool:
    """Say whether all who are heard have read that this node aims, as an operator has ordered.

    Two may be ordered at one moment, on two nodes. Who has read of this aim shows its own, if it
    has one, in what it writes after; and of two that aim the lower one shoots.
    """
    asked, own = state.asked[node], state.published
    if asked.shown is None and own is not None:
        asked = state.asked[node] = asked._replace(shown=own.stamp)
    others = (status for status in state.view.fresh() if status.node != node)
    return asked.shown is not None and all(
        status.seen.get(state.me, NEVER_READ) >= asked.shown for status in others
    )


def _lower(state: MonitorState, aimed_at: set[int]) -> None:
    """Forget the aims at nodes that are not to be shot any more."""
    for node, shot in tuple(state.shots.items()):
        if shot.outcome == AIMING and node not in aimed_at:
            del state.shots[node]
            state.changed()


def published(state: MonitorState) -> dict[int, ShotLine]:
    """Return what this node shows of its shots: those under way, or whose receipt is to count."""
    lines = {n: ShotLine(it.inc, it.outcome) for n, it in state.shots.items() if it.under_way}
    return lines | {n: ShotLine(it.receipt.inc, SHOT) for n, it in state.pending.items()}


def aims(state: MonitorState) -> bool:
    """Say whether a shot waits for this node's status to be written."""
    return any(shot.outcome == AIMING for shot in state.shots.values())


def _note_holds(state: MonitorState, holds: dict[int, Hold]) -> None:
    for node, hold in holds.items():
        if state.holds.get(node) != hold:
            state.log("fencing_held", peer=node, reason=hold.kind, nodes=list(hold.nodes))
    state.holds = holds


def remember_whole(state: MonitorState) -> None:
    """Remember what each node has while all are heard: it breaks a tie between two halves."""
    view, heartbeat_s = state.view, state.timing.heartbeat_s
    others = view.electorate.nodes - {state.me}
    if not view.electorate.half:
        return
    if all(view.speaks(n) and not view.heartbeats_missed(n, heartbeat_s) for n in others):
        state.whole = counts(state)


# --- what came of it -------------------------------------------------------------------------


def begun(state: MonitorState, event: MethodBegun) -> None:
    """Note which method a shot waits for, for people to see."""
    known = state.shots.get(event.order.node)
    if known is not None and (known.inc, known.outcome) == (event.order.inc, RUNNING):
        shot = replace(known, method=event.method, detail=event.detail)
        state.shots[event.order.node] = shot


def ended(state: MonitorState, end: ShotEnded, now: float) -> None:
    """Record what a shot has come to."""
    victim, inc = end.order.node, end.order.inc
    known = state.shots.get(victim)  # None: a later shot has ended and been forgotten (R1)
    if known is not None and known.inc == inc:  # else it came back and is shot again
        shot = Shot(victim, inc, now, end.outcome, end.method, end.detail, end.grade)
        state.shots[victim] = shot
        state.changed()
    if end.counts:
        state.deaths.shot(victim, now)
    graded = {} if end.grade is Grade.LEASE_ELAPSED else {"grade": end.grade.text}
    told: dict[str, object] = {"outcome": end.outcome, "method": end.method, **graded}
    state.log("fence_ended", peer=victim, inc=inc, **told, detail=end.detail)


def is_void(state: MonitorState, order: FenceOrder, now: float) -> str:
    """Return why a shot that is under way must not go on, "" if it may."""
    if order.asked or poison.acknowledged(state, order.node, order.inc):
        return ""
    if arming.is_disarmed(state, now):
        return "fencing is disarmed"
    if order.requested and state.view.speaks(order.node):
        return shot_requests.is_void(state, order.node, order.inc)
    if state.view.speaks(order.node):
        return f"node {order.node} is heard again"
    hearing = restraint.heard_by(state, state.view.peer(order.node), now)
    others = ", ".join(map(str, hearing))
    return f"node {order.node} is heard by a majority again (nodes {others})" if hearing else ""


def withdraw(state: MonitorState, node: int) -> None:
    """Forget an operator's order to shoot a node that has not begun."""
    state.asked.pop(node, None)


def forget(state: MonitorState, node: int) -> None:
    """Forget a shot whose receipt is void, since the node was heard meanwhile (R1)."""
    if not state.shots.get(node, NO_SHOT).under_way:
        state.shots.pop(node, None)


# --- what an operator may do -----------------------------------------------------------------


def confirmable(state: MonitorState, node: int, now: float) -> tuple[int, str]:
    """Return up to which incarnation an operator may confirm a node's death, or why not."""
    if node == state.me or state.view.speaks(node):
        return 0, f"node {node} is alive: its status is fresh; stop it before you confirm"
    if hearing := restraint.heard_by(state, state.view.peer(node), now):
        nodes = ", ".join(map(str, hearing))
        return 0, f"node {node} is alive: nodes {nodes} hear it; stop it before you confirm"
    votes = (record.ballot.vote for record in state.records.values())
    incs = [vote.inc for vote in votes if vote is not None and vote.node == node]
    receipt = state.view.receipts.get(node)
    incs.append(receipt.inc if receipt is not None else 0)  # of before this monitor's start
    inc = max([state.view.peer(node).inc, *incs])
    # Half of an even cluster that was started alone waits for this word (E1).
    if inc == 0 and not (state.view.is_half and node in state.view.electorate.nodes):
        return 0, f"node {node} was never seen: there is nothing to confirm"
    return inc, _without_quorum(state)


def grade_known(state: MonitorState, node: int) -> Grade:
    """Return what is known of a node's death: an order to shoot it is for more than that."""
    receipt = state.view.receipts.get(node)
    return receipt.grade if receipt is not None else Grade.LEASE_ELAPSED


def fenceable(state: MonitorState, node: int) -> str:
    """Return why an operator may not have a node shot from here, or ""."""
    if node == state.me:
        return f"node {node} does not shoot itself: ask another node"
    if state.view.peer(node).inc == 0:
        return f"node {node} was never seen: mosha does not know whom it would shoot"
    if grade_known(state, node) is Grade.OFF_CONFIRMED:
        return f"node {node} counts as dead already ({Grade.OFF_CONFIRMED.text})"
    if state.displaced or state.node_state is not NodeState.UP:
        return "this node is leaving: ask another one"
    return _without_quorum(state)


def _without_quorum(state: MonitorState) -> str:
    if state.view.quorum_state is QuorumState.YES or state.view.is_half:
        return ""
    why = "it may be the one that is cut off; ask where there is one"  # and run its groups
    return f"this node sees no quorum: {why}"
