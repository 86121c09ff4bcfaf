"""The rule that a node has room for a group: `weight=` of hactl, `capacity` of mosha.toml."""

from __future__ import annotations

from mosha.core.cluster import capacity
from mosha.core.cluster.eligibility_rule import Case, Rule


def _fits(case: Case) -> bool:
    return capacity.fits(case.state, case.group, case.node)


def _said(case: Case) -> str:
    return f"node {case.node} {'has' if _fits(case) else 'has no'} room: {_room_said(case)}"


def _room_said(case: Case) -> str:
    """Say how much is free there without the group."""
    weight = capacity.weight_of(case.state, case.group)
    most = capacity.capacity_of(case.state, case.node)
    if most is None:
        return f"weight {weight}, and any fits"
    left = most - capacity.load(case.state, case.node, case.group)
    return f"weight {weight}, and {max(left, 0)} of {most} free"


def fits_alone(case: Case) -> bool:
    """Say whether the node would have room for the group if it held no other."""
    most = capacity.capacity_of(case.state, case.node)
    return most is None or capacity.weight_of(case.state, case.group) <= most


def _remedy(case: Case) -> str:
    group, node = case.group, case.node
    if not fits_alone(case):
        return f"lower weight= of {group}, or raise capacity in mosha.toml of node {node}"
    return (
        f"move another group away from node {node}, lower weight= of {group}, or raise capacity in"
        f" mosha.toml of node {node}"
    )


CAPACITY = Rule(
    "capacity",
    "the `weight=` of the group and those of the groups that the node holds are within the node's"
    " `capacity`; reported only where it has one",
    _fits,
    lambda c: f"no room: {_room_said(c)}",
    _said,
    _remedy,
)
