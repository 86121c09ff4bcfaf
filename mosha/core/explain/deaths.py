"""On what evidence a node counts as dead for a group, and what to do where there is not enough."""

from __future__ import annotations

from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import said
from mosha.core.explain import shooting
from mosha.core.status import Grade


def asked_by(state: MonitorState, group: str) -> str:
    """Return which setting says what evidence of a death a group asks for."""
    wish = state.hactl.wishes.get(group) if state.hactl is not None else None
    if wish is not None and wish.fence is not None:
        return f"fence={wish.fence.text} in hactl"
    return "fencing.required" if state.fencing.required else "fencing.required is off"


def not_dead_enough(state: MonitorState, group: str, node: int, now: float) -> str:
    """Return in a clause why a node that is not heard may still run a group, and is not shot."""
    receipt = state.view.receipts.get(node)
    silent = f"node {node} {said(state.view.standing(node))}"
    shots = shooting.account(state, node, now).said
    if receipt is None:
        text, joint = f"{silent}, may still run it and is not fenced", ": "
    else:
        asked = asked_by(state, group)
        text, joint = f"{silent} ({receipt.grade.text}), which is not enough: {asked}", "; "
    return f"{text}{joint}{shots}" if shots else text


def vouch(state: MonitorState, group: str, node: int, now: float) -> str:
    """Return what to do about a node that is not fenced; to vouch for its death comes last."""
    step = shooting.account(state, node, now).next
    sure = f"if you are sure that node {node} is off: {_way_out(state, group, node)}"
    return f"{step}; {sure}" if step else sure


def _way_out(state: MonitorState, group: str, node: int) -> str:
    """Return the commands by which an operator answers for the death of a node."""
    receipt, required = state.view.receipts.get(node), state.required_grade(group)
    steps = [f"mosha confirm {node}"] if receipt is None else []
    known = Grade.OPERATOR_SAID_SO if receipt is None else receipt.grade
    if required > known:
        steps.append(f"mosha set {group} {state.wish_level(group)} fence={known.text}")
    return ", then ".join(steps)
