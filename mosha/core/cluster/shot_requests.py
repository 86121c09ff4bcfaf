"""Nodes that cannot end a group and ask to be shot for it (F1; docs/explanation/protocol.md).

Such a node is heard: its claim stays, and no other node may start the group. A receipt ends that
as for any other node, once the node has gone silent (R1). The request is in its status for as long
as its cause is: it ends when the group has ended after all, or an operator has cleaned up.
"""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core.cluster.peers import Peer
from mosha.core.cluster.state import MonitorState, ShotRequest
from mosha.core.cluster.timing import kill_s
from mosha.core.self_fencing import fence_after_s
from mosha.core.status import Status, Unended

OUTLIVED = "its processes have outlived kill_at"
FAILED = "its stop has failed"


def unended(state: MonitorState, now: float) -> dict[str, Unended]:
    """Return the groups that this node cannot end, why, and whether it asks to be shot.

    Processes have as long after `kill_at` as before the node fences itself, a failed stop has none.
    """
    after_s = max(fence_after_s(state.timing), kill_s(len(state.reports)))
    found = {}
    for group, report in sorted(state.reports.items()):
        if report.stop_failed:
            since, reason = report.since, FAILED
        elif report.killed and report.present and report.kill_at is not None:
            since, reason = report.kill_at + after_s, OUTLIVED
        else:
            continue
        if now >= since and state.record(group).cleaned_at < since:
            found[group] = Unended(reason, asks=state.fencing.ask_for_shots)
    return found


def note_own(state: MonitorState, now: float) -> None:
    """Find out what this node publishes from now on; log what is new, and what has ended."""
    found = unended(state, now)
    for group in found.keys() - state.unended.keys():
        state.log("group_unended", group=group, reason=found[group].reason, asks=found[group].asks)
    for group in state.unended.keys() - found.keys():
        state.log("group_ended_after_all", group=group)
    state.unended = found


def hear(state: MonitorState, status: Status, now: float) -> None:
    """Remember since when a node has asked, in this incarnation."""
    known = state.requests.get(status.node)
    if not status.asks_to_be_shot:
        state.requests.pop(status.node, None)
    elif known is None or known.inc != status.inc:
        state.requests[status.node] = ShotRequest(status.inc, now)


def asks(peer: Peer) -> bool:
    """Say whether the newest status of a node asks to be shot."""
    return peer.status is not None and peer.status.asks_to_be_shot


def asking(state: MonitorState) -> Iterator[Peer]:
    """Yield the nodes that are heard and ask to be shot.

    None for a node that asks itself: what is wrong with both may be wrong with what they share.
    """
    if any(it.asks for it in state.unended.values()):
        return
    for node in sorted(state.view.fresh_nodes()):
        peer = state.view.peer(node)
        if asks(peer):
            yield peer


def is_void(state: MonitorState, node: int, inc: int) -> str:
    """Return why a shot that a node has asked for must not go on, "" if it may."""
    peer = state.view.peer(node)
    if peer.inc == inc and asks(peer):
        return ""
    return f"node {node} does not ask for it any more"


def survivors(state: MonitorState, victim: Peer, now: float) -> frozenset[int]:
    """Return the voters that were heard within T, with this node and without the victim."""
    heard = (state.view.peer(node) for node in state.view.fresh_nodes())
    limit_s = state.timing.timeout_s
    seen = {p.node for p in heard if p.heard_at is not None and now - p.heard_at <= limit_s}
    return (frozenset(seen | {state.me}) - {victim.node}) & state.view.electorate.nodes


def suffice(state: MonitorState, victim: Peer, now: float) -> bool:
    """Say whether those who go on after a shot can: a majority, or half of an even cluster."""
    enough = state.view.electorate.half or state.view.needed
    return len(survivors(state, victim, now)) >= enough
