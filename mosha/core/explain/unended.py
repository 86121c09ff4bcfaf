"""What is said of a group that a node cannot end, and of the shot that it may ask for (F1)."""

from __future__ import annotations

from mosha.core.cluster.shot_requests import FAILED
from mosha.core.cluster.state import MonitorState
from mosha.core.explain import shooting
from mosha.core.status import Unended


def found(state: MonitorState, group: str, node: int) -> Unended | None:
    """Return what a node says of a group that it cannot end, None if nothing."""
    status = state.view.peer(node).status
    said = state.unended if node == state.me else status.unended if status else {}
    return said.get(group)


def clause(state: MonitorState, group: str, node: int, now: float) -> str:
    """Return that a node cannot end a group, as the end of a sentence; "" if not so.

    A failed stop is told without this.
    """
    it = found(state, group, node)
    if it is None:
        return ""
    text = "" if it.reason == FAILED else f"; it cannot be ended there: {it.reason}"
    if it.asks:
        text += f"; node {node} asks to be shot for it{shot(state, node, now)}"
    return text


def shot(state: MonitorState, node: int, now: float) -> str:
    """Return what has come of the shot that a node asks for, as the end of a sentence."""
    said = shooting.account(state, node, now).said
    return f": {said}" if said else ""


def remedy(state: MonitorState, group: str, node: int, now: float) -> str:
    """Return what to do about a group that a node cannot end, "" if it says no such thing."""
    it = found(state, group, node)
    return of_node(state, group, node, now, asks=it.asks) if it is not None else ""


def of_node(state: MonitorState, group: str, node: int, now: float, *, asks: bool) -> str:
    """Return what to do about a node that cannot end a group: if it `asks`, first its shot."""
    step = (
        f"repair or reset node {node}; or, if nothing is left of it: mosha cleanup {group} {node}"
    )
    first = shooting.account(state, node, now).next if asks else ""
    return f"{first}; {step}" if first else step
