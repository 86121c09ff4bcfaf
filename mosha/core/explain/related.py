"""What a group waits for because of `after=`: those before it, or those that have to stop first."""

from __future__ import annotations

from msgspec import Struct

from mosha.core.cluster import relations
from mosha.core.cluster.state import MonitorState


class Waiting(Struct, frozen=True):
    """What a group waits for, in a clause, and what to do about it; empty if for nothing."""

    why: str = ""
    next: str = ""


NOTHING = Waiting()


def before_start(state: MonitorState, group: str, node: int) -> Waiting:
    """Return which group has to be at its level before this one goes to its own on a node."""
    why = relations.awaited(state, group, node)
    return Waiting(why, relations.remedy(state, group, node)) if why else NOTHING


def before_start_anywhere(state: MonitorState, group: str) -> Waiting:
    """Return the same, if it is the same group whatever the node is."""
    nodes = (state.me, *state.view.members)
    if len({relations.awaited(state, group, node) for node in nodes}) > 1:
        return NOTHING
    return before_start(state, group, state.me)


def before_stop(state: MonitorState, group: str, node: int) -> Waiting:
    """Return which groups have to stop before this one is stopped on a node."""
    marked = any(it.node == node and it.leaving for it in relations.places(state, group))
    if group not in state.relations.dependants or not marked:
        return NOTHING
    first = list(relations.dependants(state, group))
    if not first:
        return NOTHING
    text = ", ".join(f"{other} has stopped on node {there}" for other, there in first)
    limit_s = relations.HOLD_LIMIT_S
    return Waiting(f"waits until {text}, at most {limit_s:.0f} s", f"mosha why {first[0][0]}")
