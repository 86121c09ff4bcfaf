"""Nodes that ask to be shot when they cannot end a group (F1).

Drawn apart from everything else, by a chance of its own, as in `failing`.
"""

from __future__ import annotations

import random

from msgspec.structs import replace

from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import World

SHARE = 0.3
"""So many of the worlds in which shots work have them, and stops that fail."""


def with_requests(world: World) -> World:
    """Return the world, in some cases with nodes that ask, and with what makes them ask."""
    rng = chance(world.seed, "requests")
    if rng.random() > SHARE or "works" not in world.fence.outcomes:
        return world
    return _with_failed_stops(rng, replace(world, fence=replace(world.fence, ask=True)))


def _with_failed_stops(rng: random.Random, world: World) -> World:
    """Return the world with failures of `stop`, and orders that stop what runs."""
    kinds = ("failstop", *rng.choices(("move", "restart", "cleanup"), k=rng.randint(1, 3)))
    around = rng.uniform(0.0, world.chaos_s)
    found = []
    for kind in kinds:
        at = around + rng.uniform(0.0, world.timing.timeout_s)
        if at < world.chaos_s:
            found.append(a_fault(rng, world, at, kind, [*world.ids]))
    failing = {fault.word for fault in found if fault.kind == "failstop"}
    specs = (replace(g, stop_test=g.stop_test or g.name in failing) for g in world.groups)
    more_s = 3 * world.timing.timeout_s + 2 * max(spec.stop_s for spec in world.groups)
    return replace(
        world,
        groups=tuple(specs),
        faults=tuple(sorted((*world.faults, *found), key=lambda fault: fault.at)),
        calm_s=world.calm_s + more_s,
    )
