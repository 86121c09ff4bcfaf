"""Hosts on which nothing can be started for a while; drawn as in `failing`.

A start is prevented (no process, no memory, no descriptor is left), lost (the fork server has died:
perhaps there is a process), or fails because there is no such program.
"""

from __future__ import annotations

from msgspec.structs import replace

from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import World

SHARE = 0.1
"""So many worlds have them."""

# What was prevented is tried again each second.
RETRIES_S = 5.0


def with_failing_starts(world: World) -> World:
    """Return the world, in some cases with hosts that start nothing for a while."""
    rng = chance(world.seed, "starting")
    if rng.random() > SHARE:
        return world
    faults = []
    for _ in range(rng.randint(1, 3)):
        fault = a_fault(rng, world, rng.uniform(0.0, world.chaos_s), "nostart", [*world.ids])
        faults.append(fault)
        # Something has to be started meanwhile: what dies, if it runs there.
        dies_at = fault.at + fault.lasts * rng.random()
        if dies_at < world.chaos_s:
            faults.append(a_fault(rng, world, dies_at, "die", [*fault.nodes]))
    return replace(
        world,
        faults=tuple(sorted((*world.faults, *faults), key=lambda fault: fault.at)),
        calm_s=world.calm_s + RETRIES_S,
    )
