"""Instances of the groups with `on=all`, and what excludes what: V1, V2, C1 and C2 across names.

An instance `dns@3` and the single group `dns` are rivals: where one is claimed, voted for or alive,
the other is not. Two instances of a group are no rivals. Names decide that, never a table: a node
may have an older one, or none.
"""

from __future__ import annotations

from mosha.core.cluster.relation_graph import NO_RELATIONS, graph_of
from mosha.core.cluster.standby import is_witness
from mosha.core.cluster.state import MonitorState
from mosha.core.instance_names import instance, single
from mosha.core.instances import expanded
from mosha.core.tables import STOP_LEVEL


def place_instances(state: MonitorState) -> None:
    """Find out which nodes have an instance of the groups with `on=all`: all but witnesses."""
    if state.written is None:
        state.hactl, state.relations = None, NO_RELATIONS
        return
    nodes = state.view.members | {state.me}
    state.hactl = expanded(state.written, (it for it in nodes if not is_witness(state, it)))
    state.relations = graph_of(state.hactl)
    for group in state.hactl.wishes:
        state.record(group)


def named(state: MonitorState, group: str) -> tuple[str, ...]:
    """Return what a name means to an operator: of a group with `on=all` all its instances."""
    wishes = state.hactl.wishes if state.hactl is not None else {}
    if group in wishes or not state.is_on_all(group):
        return (group,)
    return tuple(name for name in wishes if single(name) == group)


def at(state: MonitorState, group: str, node: int) -> str:
    """Return what a name means on a node: of a group with `on=all` the instance there."""
    return instance(group, node) if state.is_on_all(group) else group


def level_of(state: MonitorState, group: str) -> str:
    """Return the level that hactl has for a group, or for the group of an instance."""
    if state.written is None or (state.hactl is not None and group in state.hactl.wishes):
        return state.hactl.level_of(group) if state.hactl is not None else STOP_LEVEL
    return state.written.level_of(single(group))


def rivals(state: MonitorState, group: str) -> tuple[str, ...]:
    """Return the names that this one excludes on all nodes."""
    return state.view.instances.rivals(group)


def holders(state: MonitorState, group: str) -> list[int]:
    """Return the nodes that hold a group or a rival, as far as that counts (C1)."""
    required = state.required_grade(group)
    names = (group, *rivals(state, group))
    return [node for name in names for node in state.view.holders(name, required)]


def excluded(state: MonitorState, group: str) -> bool:
    """Say whether this node has, claims or votes for a rival of a group (V1, C1)."""
    for rival in rivals(state, group):
        record = state.records.get(rival)
        if state.report(rival).present:
            return True
        if record is not None and (record.claim is not None or record.ballot.vote is not None):
            return True
    return False


def runs(state: MonitorState, group: str) -> bool:
    """Say whether a fresh status of another node shows a rival of a group active (V2)."""
    return any(map(state.view.runners, rivals(state, group)))


def known_term(state: MonitorState, group: str) -> int:
    """Return the highest term known of a group and its rivals (C2)."""
    return max(state.view.terms.get(name, 0) for name in (group, *rivals(state, group)))


def voted(state: MonitorState, group: str) -> int:
    """Return the highest term in which this node has voted for a group or a rival (V2)."""
    records = (state.records.get(name) for name in (group, *rivals(state, group)))
    return max((record.ballot.voted for record in records if record is not None), default=0)


def successor(state: MonitorState, group: str, term: int) -> int | None:
    """Return the fresh node where a group or a rival runs under a higher term, if any (G1)."""
    names = (group, *rivals(state, group))
    return next(filter(None, (state.view.superseded(name, term) for name in names)), None)


def overtaken(state: MonitorState, group: str) -> bool:
    """Say whether a rival was claimed after a group, as far as is known (C2)."""
    own = state.view.terms.get(group, 0)
    return any(state.view.terms.get(name, 0) > own for name in rivals(state, group))
