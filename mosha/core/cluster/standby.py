"""Which nodes take no group although they are well: witnesses, on standby, cut off from storage."""

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
        return state.standby or state.witness
    status = state.view.peer(node).status
    return status is not None and status.standby


def is_let_in(state: MonitorState, node: int, group: str) -> bool:
    """Say whether the storage lets a node in (`unfence`), or it has the group already."""
    if node == state.me:
        return not state.cut_off or group in state.claimed
    status = state.view.peer(node).status
    return status is None or not status.cut_off or group in status.claims
