"""Which nodes take no group although they are well.

Witnesses; who is on standby, or ends all its groups by order of another node (F2), which publishes
the same; and who is cut off from its storage.
"""

from __future__ import annotations

from mosha.core.cluster.state import MonitorState


def is_witness(state: MonitorState, node: int) -> bool:
    """Say whether a node only votes (`role = "witness"`), as far as known here."""
    if node == state.me:
        return state.witness
    status = state.view.peer(node).status
    return status is not None and status.witness


def on_standby(state: MonitorState, node: int) -> bool:
    """Say whether a node is on standby, as far as known here."""
    if node == state.me:
        return state.standby or state.witness or bool(state.pills_taken)
    status = state.view.peer(node).status
    return status is not None and status.standby


def is_let_in(state: MonitorState, node: int, group: str) -> bool:
    """Say whether the storage lets a node in (`unfence`), or it has the group already."""
    if node == state.me:
        return not state.cut_off or group in state.claimed
    status = state.view.peer(node).status
    return status is None or not status.cut_off or group in status.claims
