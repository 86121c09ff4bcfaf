"""Instances that run nowhere because their node is to take no group: that is as wanted."""

from __future__ import annotations

from mosha.core.cluster.eligibility import NODE, broken
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.state import MonitorState
from mosha.core.instance_names import node_of


def said(state: MonitorState, group: str, now: float) -> str:
    """Return why the node of an instance takes no group, if somebody has decided that, else ""."""
    node = node_of(group)
    if node is None:
        return ""
    case = Case(state, group, node, now)
    rule = broken(case, NODE)
    left = not case.mine and state.view.standing(node) is Standing.LEFT
    if rule is None or not (left or rule.name == "standby"):
        return ""
    return f"node {node}: {rule.why(case)}"
