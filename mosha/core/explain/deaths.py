"""On what evidence a node counts as dead for a group, and what to do where there is not enough."""

from __future__ import annotations

from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import said
from mosha.core.status import Grade


def asked_by(state: MonitorState, group: str) -> str:
    """Return which setting says what evidence of a death a group asks for."""
    wish = state.hactl.wishes.get(group) if state.hactl is not None else None
    if wish is not None and wish.fence is not None:
        return f"fence={wish.fence.text} in hactl"
    return "fencing.required" if state.fencing.required else "fencing.required is off"


def not_dead_enough(state: MonitorState, group: str, node: int) -> str:
    """Return in a clause why a node that is not heard may still run a group."""
    receipt = state.view.receipts.get(node)
    silent = f"node {node} {said(state.view.standing(node))}"
    if receipt is None:
        return f"{silent}, may still run it and is not fenced"
    return f"{silent} ({receipt.grade.text}), which is not enough: {asked_by(state, group)}"


def vouch(state: MonitorState, group: str, node: int) -> str:
    """Return what to do about a node that is not fenced: shots are listed on the node that shot."""
    sure = f"if you are sure that node {node} is off: {_way_out(state, group, node)}"
    others = sorted(state.view.fresh_nodes())
    if node in state.shots:
        return f"see the shots; {sure}"
    if not others:
        return f"it was not shot from here; {sure}"
    names = ", ".join(map(str, others))
    return f"see the shots of node {names} (mosha status there); {sure}"


def _way_out(state: MonitorState, group: str, node: int) -> str:
    """Return the commands by which an operator answers for the death of a node."""
    receipt, required = state.view.receipts.get(node), state.required_grade(group)
    steps = [f"mosha confirm {node}"] if receipt is None else []
    known = Grade.OPERATOR_SAID_SO if receipt is None else receipt.grade
    if required > known:
        steps.append(f"mosha set {group} {state.wish_level(group)} fence={known.text}")
    return ", then ".join(steps)
