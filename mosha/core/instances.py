"""Groups with `on=all` of hactl: one instance on each node.

An instance is a group of its own, `dns@3`, which may run on its node alone: it is claimed, voted
for and leased like any other. No table names it: a name in a table has no `@`. The single group
`dns`, of a hactl without `on=all`, and any instance of `dns` exclude each other, in whatever
version of hactl a node has read of them (docs/explanation/protocol.md, V1).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from mosha.core.instance_names import INSTANCE_MARK, instance, single
from mosha.core.tables import STOP_LEVEL, Hactl, Wish


def expanded(hactl: Hactl, nodes: Iterable[int]) -> Hactl:
    """Return the wishes with one for each instance, on those of `nodes` that `only=` allows.

    A group that is to be stopped has no instances.
    """
    if not any(wish.on_all for wish in hactl.wishes.values()):
        return hactl
    found: dict[str, Wish] = {}
    there = sorted(nodes)
    for group, wish in hactl.wishes.items():
        if not wish.on_all or wish.level == STOP_LEVEL:
            found[group] = wish
            continue
        for node in filter(wish.allows, there):
            name = instance(group, node)
            found[name] = replace(wish, group=name, only=(node,), prefer=(), failback=False)
    return Hactl(found)


class KnownInstances(Struct):
    """All instances that a node has ever heard of, by group, whatever its tables say."""

    by_group: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def know(self, group: str) -> None:
        """Remember the name of a group, if it is an instance."""
        if INSTANCE_MARK in group:
            known = self.by_group.get(single(group), ())
            if group not in known:
                self.by_group[single(group)] = (*known, group)

    def rivals(self, group: str) -> tuple[str, ...]:
        """Return the names that this one excludes: of an instance the group, of it its instances.

        Two instances of a group do not exclude each other.
        """
        return (single(group),) if INSTANCE_MARK in group else self.by_group.get(group, ())
