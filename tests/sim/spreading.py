"""Draws groups with `on=all`, and edits to it and from it; says what excludes what then."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mosha.core.instance_names import INSTANCE_MARK, single
from tests.sim.agenda import chance
from tests.sim.world import Fault, World

SPREAD = 0.2
ON_ALL, ONCE = "start on=all", "start"


def with_instances(world: World) -> World:
    """Return the world with a group that has instances, now or after one of some edits.

    Not one that is given up after failures: an instance has no other node to go to. Nor one that
    relates to others: tests/core/test_relations.py has those.
    """
    rng = chance(world.seed, "instances")
    related = {name for it in world.groups for name in (*it.after, *it.with_, *it.apart)}
    related |= {it.name for it in world.groups if it.after or it.with_ or it.apart}
    plain = [it for it in world.groups if not it.move_after and it.name not in related]
    if not plain or rng.random() >= SPREAD:
        return world
    spec = rng.choice(plain)
    chosen = replace(spec, prefer=(), failback=False, on_all=rng.random() < 0.6)
    groups = tuple(chosen if it is spec else it for it in world.groups)
    faults = [*world.faults]
    for _ in range(rng.randint(1, 3)):
        at, node = round(rng.uniform(0.1, 0.9) * world.chaos_s, 4), rng.choice(world.ids)
        word = f"{spec.name} {rng.choice((ON_ALL, ON_ALL, ONCE))}"
        faults.append(Fault(at, "edit", nodes=(node,), word=word))
    found = tuple(sorted(faults, key=lambda fault: fault.at))
    # Each form waits until the other has ended everywhere, also where a stop takes long.
    return replace(world, groups=groups, faults=found, calm_s=world.calm_s + spec.stop_s)


def rivals_in(group: str, names: Iterable[str]) -> list[str]:
    """Return those of the names that a group or an instance excludes (I1)."""
    if INSTANCE_MARK in group:
        return [name for name in names if name == single(group)]
    return [name for name in names if INSTANCE_MARK in name and single(name) == group]
