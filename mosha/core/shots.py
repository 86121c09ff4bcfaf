"""Whom this node shoots now, and whose death an operator may vouch for: rules O4 and H3.6.

`core.fencing` says when a node may be shot; here it is asked for all that are stale.
"""

from __future__ import annotations

import math

from msgspec import Struct

from mosha.core import fencing
from mosha.core.fencing import Shot
from mosha.core.peers import Peer
from mosha.core.quorum import Sight
from mosha.core.seat import Mind
from mosha.core.status import NodeState

# Before a shot a majority has to be heard again; so often, in heartbeats, that is looked at.
WITNESS_STEP = 0.25
RUNNING = Shot(0, 0, 0.0)


class FenceOrder(Struct, frozen=True):
    """An order to shoot a node that is stale in this incarnation."""

    node: int
    inc: int


def orders(mind: Mind, quorum_since: float, now: float) -> tuple[list[FenceOrder], float]:
    """Return whom to shoot now, and when to ask again (infinity: not by time alone)."""
    if mind.view.sight is not Sight.YES or mind.state is not NodeState.UP or mind.displaced:
        return [], math.inf
    fresh = [*mind.view.fresh_nodes(), mind.me]
    found, again = [], math.inf
    for victim in mind.view.stale():
        due = fencing.shoot_at(
            victim,
            me=mind.me,
            fresh=fresh,
            started_at=mind.started_at,
            start_grace_s=mind.timing.start_grace_s,
            # Found stale while this node heard no majority, it may be as well as the others
            # that were heard again first. What is well is heard within a lease.
            healed_at=quorum_since + mind.timing.lease_s,
            rules=mind.fencing,
            last=mind.shots.get(victim.node),
        )
        if due is None:
            continue
        if now < due:
            again = min(again, due)
            continue
        if not _majority_since(mind, victim, fresh, now):
            again = min(again, now + mind.timing.heartbeat_s * WITNESS_STEP)
            continue
        mind.shots[victim.node] = Shot(victim.node, victim.inc, now)
        mind.note("fence_ordered", peer=victim.node, inc=victim.inc)
        found.append(FenceOrder(victim.node, victim.inc))
    return found, again


def _majority_since(mind: Mind, victim: Peer, fresh: list[int], now: float) -> bool:
    """Say whether a majority, this node among it, was heard since a node is stale (O4)."""
    heard = (mind.view.peer(node) for node in fresh)
    seen = fencing.witnesses(heard, victim, now, mind.timing.timeout_s) | {mind.me}
    return len(seen & mind.view.electorate.nodes) >= mind.view.electorate.needed


def forget(mind: Mind, node: int) -> None:
    """Forget a shot whose receipt does not count, since the node was heard meanwhile (R1)."""
    if mind.shots.get(node, RUNNING).outcome != RUNNING.outcome:
        del mind.shots[node]


def confirmable(mind: Mind, node: int) -> tuple[int, str]:
    """Return up to which incarnation an operator may vouch for a node's death, or why not."""
    if node == mind.me or mind.view.speaks(node):
        return 0, f"node {node} is alive: its status is fresh; stop it before you confirm"
    votes = (seat.ballot.vote for seat in mind.seats.values())
    incs = [vote.inc for vote in votes if vote is not None and vote.node == node]
    inc = max([mind.view.peer(node).inc, *incs])
    if inc == 0:
        return 0, f"node {node} was never seen: there is nothing to confirm"
    if mind.view.sight is not Sight.YES:  # that node may be well, and have its groups
        why = "it may be the one that is cut off; ask where there is one"
        return 0, f"this node sees no quorum: {why}"
    return inc, ""
