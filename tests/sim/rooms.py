"""Nodes with a capacity, and groups with weights and priorities that compete for their room."""

from __future__ import annotations

import random
from collections.abc import Iterable

from msgspec.structs import replace

from mosha.core.tables import Wish
from mosha.formats.hactl import parse_change
from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import Fault, GroupSpec, World

CROWDED = 0.3
"""So many worlds with several groups have nodes with a capacity; none in which groups relate: what
waits for one without room waits as well."""

WEIGHTS = (0, 1, 1, 2, 3)
PRIORITIES = (-1, 0, 0, 1, 5)
ROOMS = (1, 2, 2, 3, 3, 4, 6)
UNLIMITED = 0
RAISED_MAX = 3
"""So many times an operator gives some group another priority: others may have to give way."""


def with_rooms(world: World) -> World:
    """Return the world, in some cases with little room; edits there change who gets it."""
    rng = chance(world.seed, "rooms")
    relate = any((*spec.after, *spec.with_, *spec.apart) for spec in world.groups)
    if relate or len(world.groups) < 2 or rng.random() >= CROWDED:
        return world
    groups = tuple(
        replace(group, weight=rng.choice(WEIGHTS), priority=rng.choice(PRIORITIES))
        for group in world.groups
    )
    limited = [rng.choice(ROOMS) for _ in world.ids]
    capacities = tuple(UNLIMITED if rng.random() < 0.1 else most for most in limited)
    faults = [_edited(rng, fault) for fault in world.faults]
    for _ in range(rng.randint(0, RAISED_MAX)):
        edit = a_fault(rng, world, rng.uniform(0.0, world.chaos_s), "edit", [*world.ids])
        word = f"{rng.choice(groups).name} start priority={rng.choice(PRIORITIES)}"
        faults.append(replace(edit, word=word))
    faults.sort(key=lambda fault: fault.at)
    return replace(world, groups=groups, capacities=capacities, faults=tuple(faults))


def _edited(rng: random.Random, fault: Fault) -> Fault:
    """Let some edits of a wish change its weight or its priority."""
    if fault.kind != "edit" or rng.random() < 0.5:
        return fault
    option = rng.choice((f"weight={rng.choice(WEIGHTS)}", f"priority={rng.choice(PRIORITIES)}"))
    return replace(fault, word=f"{fault.word} {option}")


def capacity_of(world: World, node: int) -> int | None:
    """Return the capacity of a node, None if it has none."""
    return (world.capacities[node - 1] or None) if world.capacities else None


def words_of(spec: GroupSpec) -> list[str]:
    """Return what hactl says of the room of a group at first."""
    words = [f"priority={spec.priority}"] if spec.priority else []
    return [*words, f"weight={spec.weight}"] if spec.weight != 1 else words


def edited_wish(word: str, specs: Iterable[GroupSpec]) -> Wish:
    """Return the wish that an edit asks for; weight and priority stay unless they are named."""
    change = parse_change(word.split())
    spec = next(spec for spec in specs if spec.name == change.wish.group)
    kept = {"weight": spec.weight, "priority": spec.priority}
    return replace(change.wish, **{k: v for k, v in kept.items() if k not in change.named})
