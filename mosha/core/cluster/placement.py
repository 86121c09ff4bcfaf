"""Which node is to take a group: every node computes the same answer independently.

Eligible nodes are ranked by `prefer`, then by the least weight of groups, then by a hash of group
and node. Groups that are free at the same time are placed one after the other, by priority and
name, each counted where it would go: nodes with the same view then claim different groups at once,
and of two groups that find room for one only, that of the higher priority is claimed. A node where
a group would go that must not run beside it (`apart=`) comes last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core.tables import Wish

NOTHING: Mapping[str, tuple[str, ...]] = {}
NO_LIMITS: Mapping[int, int] = {}
NOT_RESERVED: Mapping[str, int] = {}


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
    capacities: Mapping[int, int] = NO_LIMITS,
    reserved: Mapping[str, int] = NOT_RESERVED,
) -> dict[str, tuple[int, ...]]:
    """Return for each free group the ranking of its nodes, all groups placed together.

    `loads` are the weights that nodes hold, `apart` the groups that each must not run beside;
    `capacities` has the nodes with a limit; `reserved` where groups will go that find no room yet.
    """
    carried, most = dict(loads), capacities
    plan: dict[str, tuple[int, ...]] = {}
    for free in sorted(frees, key=lambda item: wish_order(item.wish)):
        wish = free.wish
        order = tuple(
            node
            for node in ranking(free, carried)
            if node not in most or carried.get(node, 0) + wish.weight <= most[node]
        )
        if taken := {plan[other][0] for other in apart.get(wish.group, ()) if plan.get(other)}:
            order = tuple(sorted(order, key=taken.__contains__))
        plan[wish.group] = order
        node = order[0] if order else reserved.get(wish.group)
        if node is not None:
            carried[node] = carried.get(node, 0) + wish.weight
    return plan


def wish_order(wish: Wish) -> tuple[int, str]:
    """Return what free groups are sorted by, those that are placed first first."""
    return (-wish.priority, wish.group)
