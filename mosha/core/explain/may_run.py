"""Which nodes may run a group although no fresh status shows it there.

A node that is not heard may run what it ran, or what it has started since. On the side of a
majority its lease is over (docs/explanation/protocol.md, C4 and V3) unless a node that is heard
still votes for it; where a group asks for a receipt it counts as running until there is one.
Without a quorum nothing is known of the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import MonitorState
from mosha.core.status import Grade, Vote


class Unseen(Struct, frozen=True):
    """The nodes that may run a group, and what makes that possible.

    `unfenced`: it ran there, and there is no receipt as the group asks for; `voters`: these nodes
    vote for a node of `nodes`; `without_quorum`: this node knows nothing of the others;
    `unconfirmed`: there is a quorum only by what nodes had published before this monitor started.
    """

    nodes: tuple[int, ...]
    unfenced: bool = False
    voters: tuple[int, ...] = ()
    without_quorum: bool = False
    unconfirmed: bool = False


class Heard(Struct, frozen=True):
    """What is known of the nodes, whatever the group: made once for many groups.

    `confirmed`: those that are fresh and have published something since this monitor started;
    `unheard`: those of which it is not known what they run.
    """

    confirmed: frozenset[int]
    unheard: tuple[int, ...]


def heard(state: MonitorState) -> Heard:
    """Return what is known of the nodes now."""
    fresh = frozenset((*state.view.fresh_nodes(), state.me))
    return Heard(fresh.difference(unconfirmed(state)), tuple(_unheard(state)))


def may_run(state: MonitorState, group: str, known: Heard | None = None) -> Unseen | None:
    """Return which nodes may run the group unseen; None: it runs only where it is seen."""
    view = state.view
    if state.record(group).granted:
        return None  # the lease of this node keeps all others from it
    known = known or heard(state)
    quorum = view.quorum_state is QuorumState.YES
    if not quorum or len(known.confirmed & view.electorate.nodes) < view.needed:
        nodes = known.unheard
        return Unseen(nodes, without_quorum=not quorum, unconfirmed=quorum) if nodes else None
    required = state.required_grade(group)
    silent = (node for node in view.holders(group, required) if not view.speaks(node))
    if nodes := tuple(sorted(silent)):
        return Unseen(nodes, unfenced=True)
    backed: dict[int, list[int]] = {}
    for voter, vote in sorted(_votes(state, group)):
        if vote.node != state.me and not _accounted_for(state, vote.node, vote.inc, required):
            backed.setdefault(vote.node, []).append(voter)
    if not backed:
        return None
    node = min(backed)
    return Unseen((node,), voters=tuple(backed[node]))


def unconfirmed(state: MonitorState) -> list[int]:
    """Return the nodes that have published nothing since this monitor started."""
    return sorted(node for node in state.view.watched() if state.view.unconfirmed(node))


def _unheard(state: MonitorState) -> Iterator[int]:
    """Yield the nodes of which it is not known what they run."""
    view = state.view
    for node in sorted((view.watched() | view.electorate.nodes) - {state.me}):
        if view.unconfirmed(node) or not _accounted_for(
            state, node, view.peer(node).inc, Grade.LEASE_ELAPSED
        ):
            yield node


def _votes(state: MonitorState, group: str) -> Iterator[tuple[int, Vote]]:
    """Yield the votes of this node and of those that are heard."""
    own = state.record(group).ballot.vote
    if own is not None:
        yield state.me, own
    for status in state.view.fresh():
        if group in status.votes:
            yield status.node, status.votes[group]


def _accounted_for(state: MonitorState, node: int, inc: int, required: Grade) -> bool:
    """Say whether incarnation `inc` of a node is heard, or is known to have ended.

    By a receipt of the `required` grade, if it was fenced.

    A node that had left or was fenced may have come back where this node cannot read.
    """
    peer, standing = state.view.peer(node), state.view.standing(node)
    receipt = state.view.receipts.get(node)
    if standing is Standing.FENCED and receipt is not None and receipt.grade < required:
        return False
    if standing in (Standing.LEFT, Standing.FENCED):
        return inc <= peer.inc and (not peer.error or state.view.quorum_state is QuorumState.YES)
    return state.view.speaks(node)
