"""How much of a node is taken: the weights of the groups that it holds, and its `capacity`.

What a node holds is what it claims, and what may run there: of other nodes as their statuses show
it, of this one as it knows for certain. Weights are those of the hactl in force here, in any unit.
Capacity is judged when a group is taken: what a node holds stays there, whatever an edit says.
"""

from __future__ import annotations

from collections.abc import Mapping

from mosha.core.cluster.state import MonitorState
from mosha.core.status import GroupLine

USUAL_WEIGHT = 1
"""Of a group that hactl does not name (any more)."""


def weight_of(state: MonitorState, group: str) -> int:
    """Return how much of a node a group takes."""
    wish = state.hactl.wishes.get(group) if state.hactl is not None else None
    return USUAL_WEIGHT if wish is None else wish.weight


def capacity_of(state: MonitorState, node: int) -> int | None:
    """Return the capacity of a node as far as known here, None if it has no limit."""
    if node == state.me:
        return state.capacity
    status = state.view.peer(node).status
    return None if status is None else status.capacity


def held(state: MonitorState, node: int) -> set[str]:
    """Return the groups that a node holds."""
    if node == state.me:
        return {*state.claimed, *(g for g, report in state.reports.items() if report.present)}
    status = state.view.peer(node).status
    return set() if status is None else {*status.claims, *_active(status.groups)}


def _active(groups: Mapping[str, GroupLine]) -> set[str]:
    return {group for group, line in groups.items() if line.active}


def load(state: MonitorState, node: int, without: str = "") -> int:
    """Return the weight of all groups that a node holds, not counting group `without`."""
    return sum(weight_of(state, group) for group in held(state, node) if group != without)


def loads(state: MonitorState, without: str = "") -> dict[int, int]:
    """Return the load of each fresh node and of this one, not counting group `without`."""
    nodes = (*state.view.fresh_nodes(), state.me)
    return {node: load(state, node, without) for node in nodes}


def counts(state: MonitorState) -> dict[int, int]:
    """Return how many groups each fresh node and this one hold."""
    return {node: len(held(state, node)) for node in (*state.view.fresh_nodes(), state.me)}


def capacities(state: MonitorState) -> dict[int, int]:
    """Return the capacities of the nodes that have one, among the fresh ones and this one."""
    nodes = (*state.view.fresh_nodes(), state.me)
    found = {node: capacity_of(state, node) for node in nodes}
    return {node: most for node, most in found.items() if most is not None}


def room_of(state: MonitorState, node: int, without: str = "") -> int | None:
    """Return how much of a node is free, less than 0 if it holds too much, None: no limit."""
    most = capacity_of(state, node)
    return None if most is None else most - load(state, node, without)


def fits(state: MonitorState, group: str, node: int) -> bool:
    """Say whether a node has room for a group, or holds it already."""
    room = room_of(state, node)
    return room is None or weight_of(state, group) <= room or group in held(state, node)
