"""Whether a wish of hactl agrees with cltab and with the nodes that exist.

`mosha check`, `mosha set` and the problems of `mosha status` use this, so they report the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from mosha.core.tables import BUILT_IN_LEVELS, STOP_LEVEL, Cltab, Wish
from mosha.formats.hactl_relations import RELATIONS
from mosha.formats.names import nearest

NAMES_SHOWN_MAX = 10


class Doubt(NamedTuple):
    """What is wrong with a wish, and what to do. `grave`: the group cannot run at all."""

    grave: bool
    text: str
    remedy: str


def against_cltab(wish: Wish, cltab: Cltab) -> Doubt | None:
    """Return what a wish needs that cltab does not have: the group, or the level.

    A wish for `stop` needs nothing from cltab.
    """
    if wish.level == STOP_LEVEL:
        return None
    if not cltab.entries_of(wish.group):  # H4.6
        return line_without_group(wish.group, cltab.groups())
    if cltab.has_level(wish.group, wish.level):
        return None
    levels = tuple(dict.fromkeys(entry.level for entry in cltab.entries_of(wish.group)))
    usual = [level for level in levels if level not in BUILT_IN_LEVELS]
    text = f"no entry of {wish.group} is for level {wish.level}: nothing of it would run"
    return Doubt(False, text, f"{nearest(wish.level, usual)}its levels are {listed(levels)}")


def unknown_group(group: str, known: Collection[str]) -> Doubt:
    """Return the doubt that cltab lacks a group, with the one that may be meant."""
    remedy = f"{nearest(group, known)}its groups are {listed(sorted(known))}"
    return Doubt(True, f"cltab has no group {group!r}", remedy)


def line_without_group(group: str, known: Collection[str]) -> Doubt:
    """Return the doubt about a line of hactl whose group cltab lacks: a typing error, or a rest."""
    grave, text, remedy = unknown_group(group, known)
    return Doubt(grave, text, f"{remedy}; add it to cltab, or take its line out of hactl")


def unknown_relation(wish: Wish, known: Collection[str]) -> Doubt | None:
    """Return the doubt about a group that a wish relates to and hactl lacks, if there is one."""
    for relation, related in RELATIONS.items():
        for group in related(wish):
            if group not in known:
                text = f"{relation}= of {wish.group} names {group}, which hactl does not have"
                return Doubt(False, text, f"{nearest(group, known)}set that one first")
    return None


def against_nodes(wish: Wish, nodes: Collection[int]) -> Iterator[Doubt]:
    """Yield doubts about nodes in a wish that do not exist; `nodes` empty: not known."""
    for option, named in (("prefer", wish.prefer), ("only", wish.only)):
        strange = [str(node) for node in named if nodes and node not in nodes]
        if strange:
            text = f"{option}= of {wish.group} names {', '.join(strange)}"
            yield Doubt(False, text, f"nodes are {', '.join(map(str, sorted(nodes)))}")


def listed(names: Collection[str]) -> str:
    """Return the first names, `...` for the rest."""
    shown = ", ".join(list(names)[:NAMES_SHOWN_MAX]) or "none"
    return f"{shown}, ..." if len(names) > NAMES_SHOWN_MAX else shown
