"""What is said of a stop that has failed under a claim that is not granted any more.

Another node may have claimed the group since. An instance of a group with `on=all` has nowhere else
to go; only the single group may have been claimed instead of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mosha.core.cluster import rivals
from mosha.core.cluster.state import MonitorState
from mosha.core.instance_names import node_of


def where_by_now(group: str, others: Sequence[int]) -> str:
    """Return which nodes have the group by now; `others` are seen to have it."""
    if others:
        return f"node {', '.join(map(str, others))} has it by now"
    local = node_of(group) is not None
    return "no other node may start it" if local else "another node may have it by now"


def step(state: MonitorState, group: str, node: int, claim: int | None) -> str:
    """Return what to do, and what a cleanup does then: the rows of `group_rules` for failed stops.

    `claim` is the term of the claim that the node still has, None for none.
    """
    t = state.timing.timeout_s
    order = f"mosha cleanup {group} {node}"
    if node_of(group) is not None and not rivals.overtaken(state, group):
        effect = f"the entries run again with a lease, or without one after {t:g} s"
        return f"repair what failed there, then: {order} ({effect})"
    effect = "it forgets the failure, and runs nothing"
    if claim is not None and rivals.known_term(state, group) <= claim:
        effect = f"the entries run again with a lease; without one for {t:g} s, {effect}"
    return f"check by hand that nothing of it is left on node {node}, then: {order} ({effect})"
