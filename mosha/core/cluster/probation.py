"""Nodes that were found dead too often may watch and vote, and not own (probation).

Each node counts the receipts that it has heard of, one for each incarnation of the victim, and
publishes whom it keeps on probation: the victim itself remembers nothing of its deaths.
"""

from __future__ import annotations

import math

from mosha.core.cluster.state import MonitorState
from mosha.core.durations import UNITS_S, span_text


def own(state: MonitorState, now: float) -> dict[int, int]:
    """Return whom this node keeps on probation, and for how many seconds more."""
    count = state.fencing.probation
    ends = {node: state.deaths.until(node, count) for node in state.deaths.nodes}
    return {node: math.ceil(end - now) for node, end in sorted(ends.items()) if end > now}


def on_probation(state: MonitorState, node: int, now: float) -> int:
    """Return for how many seconds a node may own nothing, as far as anybody who is heard says."""
    if not state.fencing.probation:
        return 0
    until = state.deaths.until(node, state.fencing.probation)
    return max(math.ceil(until - now), 0) if until > now else state.view.probation_of(node)


def kept(state: MonitorState, now: float) -> dict[int, int]:
    """Return all nodes that may own nothing, and for how many seconds more."""
    told = {node for status in state.view.fresh() for node in status.probations}
    left_s = {n: on_probation(state, n, now) for n in sorted(told | state.deaths.nodes)}
    return {node: each_s for node, each_s in left_s.items() if each_s}


def left_text(left_s: int) -> str:
    """Return what is left of a probation for people: in whole minutes."""
    minute_s = UNITS_S["m"]
    return span_text(math.ceil(left_s / minute_s) * minute_s)
