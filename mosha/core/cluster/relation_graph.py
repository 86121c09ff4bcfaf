"""Which groups relate to each other (`after=`, `with=`, `apart=`): worked out once per hactl.

Made when a hactl is adopted, so that a step of a group looks only at its own relations. The
relations themselves are judged in `relations`.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from mosha.core.instance_names import node_of, single
from mosha.core.tables import Hactl


class RelationGraph(Struct, frozen=True):
    """The relations of a hactl, by group.

    `concerned` are the groups that take a step when this one changes; `dependants` those with
    `after=` it; `apart` those that never run on its node, whichever line says so.
    """

    concerned: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dependants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NO_RELATIONS = RelationGraph()


def graph_of(hactl: Hactl | None) -> RelationGraph:
    """Return the relations of a hactl, those of groups that it does not name included.

    A group with `on=all` is there as its instances: each concerns who relates to the group.
    """
    instances: dict[str, list[str]] = {}
    for name in hactl.wishes if hactl else ():
        instances.setdefault(single(name), []).append(name)
    concerned: dict[str, set[str]] = {}
    dependants: dict[str, set[str]] = {}
    apart: dict[str, set[str]] = {}
    for group, wish in (hactl.wishes if hactl else {}).items():
        after, with_ = (_names(instances, group, it) for it in (wish.after, wish.with_))
        for other in after:
            dependants.setdefault(other, set()).add(group)
            concerned.setdefault(group, set()).add(other)  # its stop may wait for this one
        for other in wish.apart:
            apart.setdefault(other, set()).add(group)
            apart.setdefault(group, set()).add(other)
            concerned.setdefault(group, set()).add(other)
        for other in (*after, *with_, *wish.apart):
            concerned.setdefault(other, set()).add(group)
    if not concerned:
        return NO_RELATIONS
    return RelationGraph(
        concerned={group: frozenset(others) for group, others in concerned.items()},
        dependants=_sorted(dependants),
        apart=_sorted(apart),
    )


def _names(instances: Mapping[str, list[str]], group: str, others: tuple[str, ...]) -> list[str]:
    """Return the groups that a group relates to: an instance only to those of its own node."""
    node = node_of(group)
    found = [name for other in others for name in instances.get(other, [other])]
    return [name for name in found if node is None or node_of(name) in (None, node)]


def _sorted(found: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {group: tuple(sorted(others)) for group, others in found.items()}
