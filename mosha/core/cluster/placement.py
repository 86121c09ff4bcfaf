"""Which node is to take a group: every node computes the same answer independently.

Eligible nodes are ranked by `prefer`, then by fewest groups, then by a hash of group and
node. Groups that are free at the same time are placed one after the other, by name, each
counted where it would go: nodes with the same view then claim different groups at once. A node
where a group would go that must not run beside it (`apart=`) comes last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core.tables import Wish

NOTHING: Mapping[str, tuple[str, ...]] = {}


class Free(Struct, frozen=True):
    """A group that runs nowhere, and the nodes that may take it."""

    wish: Wish
    eligible: frozenset[int]


def ranking(free: Free, loads: Mapping[int, int]) -> tuple[int, ...]:
    """Return the eligible nodes, best first."""
    wish = free.wish
    last = len(wish.prefer)

    def key(node: int) -> tuple[int, int, bytes, int]:
        preference = wish.prefer.index(node) if node in wish.prefer else last
        # A checksum is not enough: similar names would all get the same first node.
        mixed = hashlib.blake2b(f"{wish.group} {node}".encode(), digest_size=8).digest()
        return (preference, loads.get(node, 0), mixed, node)

    return tuple(sorted(free.eligible, key=key))


def place(
    frees: Iterable[Free],
    loads: Mapping[int, int],
    apart: Mapping[str, tuple[str, ...]] = NOTHING,
) -> dict[str, tuple[int, ...]]:
    """Return for each free group the ranking of its nodes, all groups placed together.

    `apart`: the groups that each must not run beside.
    """
    counts = dict(loads)
    plan: dict[str, tuple[int, ...]] = {}
    for free in sorted(frees, key=lambda item: item.wish.group):
        order = ranking(free, counts)
        if taken := {plan[other][0] for other in apart.get(free.wish.group, ()) if plan.get(other)}:
            order = tuple(sorted(order, key=taken.__contains__))
        plan[free.wish.group] = order
        if order:
            counts[order[0]] = counts.get(order[0], 0) + 1
    return plan
