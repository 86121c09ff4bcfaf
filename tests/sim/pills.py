"""Shots by poison pill, and operators who order them at nodes that live (F2).

Drawn apart from everything else, by a chance of its own, as in `failing`.
"""

from __future__ import annotations

from msgspec.structs import replace

from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import World

SHARE = 0.35
"""So many of the worlds in which shots work have them."""


def with_pills(world: World) -> World:
    """Return the world, in some cases with pills among the outcomes of shots."""
    rng = chance(world.seed, "pills")
    if rng.random() > SHARE or "works" not in world.fence.outcomes:
        return world
    fence = replace(world.fence, outcomes=(*world.fence.outcomes, "poison", "poison", "poison"))
    found = [
        a_fault(rng, world, rng.uniform(0.0, world.chaos_s), "shoot", [*world.ids])
        for _ in range(rng.randint(1, 3))
    ]
    faults = tuple(sorted((*world.faults, *found), key=lambda fault: fault.at))
    return replace(world, fence=fence, faults=faults)
