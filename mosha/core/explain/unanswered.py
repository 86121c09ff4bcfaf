"""What is known of an operator's order that a node has not answered.

Most orders are answered within seconds. One that cannot be carried out any more is over, and who
gave it reads why; it decides nothing.
"""

from __future__ import annotations

from mosha.core.cluster import orders, rivals
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import late, said
from mosha.core.explain.addressees import places, stop_has_failed
from mosha.core.status import Order, TroubleKind, Verb


def loss(state: MonitorState, order: Order, node: int, number: int, run: str) -> str:
    """Return why a node will not answer an order that was given here, "" while it may.

    `number` is that of the order, `run` that of the node when it was given. An answer that this
    node has not read is lost too: whether it was obeyed is not known then.
    """
    group = rivals.at(state, order.group, node)
    if node != state.me:
        if not state.view.speaks(node):
            return f"node {node} {said(state.view.standing(node))}"
        if run_of(state, node) != run:
            return f"the monitor of node {node} has started anew"
        elsewhere = places(state, group, level=state.wish_level(group))
        if elsewhere and node not in places(state, group):
            return f"{group} runs on node {', '.join(map(str, elsewhere))} now"
    if order.verb == Verb.RESTART and not order.tag and stop_has_failed(state, group, node):
        return f"its stop entries failed on node {node}: repair that, then mosha cleanup {group}"
    if number not in state.orders and not _is_under_way(state, order, node, number):
        return f"node {node} has not answered while the order stood"
    return ""


def _is_under_way(state: MonitorState, order: Order, node: int, number: int) -> bool:
    """Say whether a node still carries out an order that stands no longer."""
    if order.tag:
        return is_ending(state, order, node)
    # A restart of a whole group may take longer than its order stands.
    status = state.view.peer(node).status
    unfinished = status.unfinished if status is not None else {}
    if node == state.me:
        unfinished = orders.unfinished(state)
    return unfinished.get((state.me, number)) == state.inc


def run_of(state: MonitorState, node: int) -> str:
    """Return the run of a node's monitor, "" if it was never read."""
    status = state.view.peer(node).status
    return status.run if status is not None else ""


def is_ending(state: MonitorState, order: Order, node: int) -> bool:
    """Say whether a node reports that the entry of an order is ending, or is not ready yet."""
    status = state.view.peer(node).status
    group = rivals.at(state, order.group, node)
    found = status.troubles_of(group) if status is not None else ()
    if node == state.me:
        return any(waits.tag == order.tag for waits in state.entry_orders.values())
    kinds = (TroubleKind.STOPPED, TroubleKind.LATE, TroubleKind.UNREADY)
    return any(trouble.tag == order.tag and trouble.kind in kinds for trouble in found)


def delay(state: MonitorState, order: Order, node: int) -> str:
    """Return what keeps a node that may still answer from it, as far as known."""
    if is_ending(state, order, node):
        return f"the entry is still ending, or not ready yet: mosha status {order.group}, there"
    if node != state.me and (
        missed := state.view.heartbeats_missed(node, state.timing.heartbeat_s)
    ):
        return f"node {node} {late(missed)}"
    return (
        "the entry is still ending or not ready yet, or the node does not hear this one, or its"
        f" version of mosha does not support orders for entries: mosha status {order.group}, there"
    )
