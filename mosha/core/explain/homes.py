"""Where groups run, from one snapshot of the cluster to the next: moves, and how long they took.

A group is at home where it has reached the level that hactl wants; at stop, plan and test no
service runs, and it has no home. It is away from when it was last known there until it has reached
its level again, there or elsewhere, as this node sees it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mosha.core.cluster.peers import Standing
from mosha.core.cluster.state import MonitorState
from mosha.core.explain.transitions import Picture, Subject
from mosha.core.status import STOPPED, NodeState
from mosha.core.tables import BUILT_IN_LEVELS

ARRIVED = frozenset(map(str, STOPPED))
"""The states of a group that is at its level: DONE, PASSED."""

_THERE = frozenset(map(str, (*NodeState, Standing.FRESH)))
"""The states of nodes whose reports count: this one in any state, and fresh others."""


class Home(Struct, frozen=True):
    """Where a group ran last; `left_at` is when it was last known there, None while it is there.

    `doubted_at`: since then its clinit does not answer. It may have died, with the group.
    """

    node: int
    left_at: float | None = None
    doubted_at: float | None = None


class Arrival(Struct, frozen=True):
    """A group runs again: it was on node `was`, is on `node`, and was away for `away_s` seconds."""

    group: str
    was: int
    node: int
    away_s: float


def follow(
    homes: Mapping[str, Home], state: MonitorState, seen: Picture, now: float
) -> tuple[dict[str, Home], list[Arrival]]:
    """Return the homes after a snapshot, and the groups that have arrived since the one before.

    A group that hactl wants at a built-in level, or does not name, has none.
    """
    places = _places(seen)
    doubtful = Subject("clinit", "", state.me) in seen
    found: dict[str, Home] = {}
    arrivals = []
    for group, wish in state.hactl.wishes.items() if state.hactl else ():
        if wish.level in BUILT_IN_LEVELS:
            continue
        there = places.get((group, wish.level), [])
        if doubtful:  # its last report may no longer be true
            there = [node for node in there if node != state.me]
        home = homes.get(group)
        if home is None:
            found |= {group: Home(there[0])} if there else {}
        elif home.node in there and home.left_at is None:
            found[group] = Home(home.node)
        elif there:
            node = home.node if home.node in there else there[0]
            away_s = max(now - _left_at(state, home, now), 0.0)
            arrivals.append(Arrival(group, home.node, node, away_s))
            found[group] = Home(node)
        elif doubtful and home.node == state.me and home.left_at is None:
            found[group] = Home(state.me, doubted_at=home.doubted_at or now)
        else:
            found[group] = Home(home.node, _left_at(state, home, now))
    return found, arrivals


def _places(seen: Picture) -> dict[tuple[str, str], list[int]]:
    """Return the nodes on which a group has arrived at a level, by group and level."""
    found: dict[tuple[str, str], list[int]] = {}
    for subject, fact in seen.items():
        if subject.kind != "group":
            continue
        node = seen.get(Subject("node", "", subject.node))
        level, _, state = fact.value.rpartition(" ")
        if state in ARRIVED and node is not None and node.value in _THERE:
            found.setdefault((subject.group, level), []).append(subject.node)
    return {place: sorted(nodes) for place, nodes in found.items()}


def _left_at(state: MonitorState, home: Home, now: float) -> float:
    """Return when a group was last known at home: for a silent node, its last status."""
    for known in (home.left_at, home.doubted_at):
        if known is not None:
            return known
    silent = {Standing.STALE, Standing.FENCED}
    if home.node == state.me or state.view.standing(home.node) not in silent:
        return now
    heard_at = state.view.peer(home.node).heard_at
    return now if heard_at is None else heard_at
