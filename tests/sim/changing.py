"""What administrators do to a cluster that runs: clinit is restarted, a node joins.

Drawn as in `failing`. A monitor that is restarted in an orderly way and leaves its groups to the
next one is to the core the same as one that is killed (`killmonitor`); leaving is `leave`, and a
node is taken out of the lists by `renode`.
"""

from __future__ import annotations

from msgspec.structs import replace

from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import World

SHARE, JOINS = 0.15, 0.5
"""So many worlds have them, and in so many of those a node joins."""

NODES_MIN = 3
"""Without the one that joins there are two."""

# More than the signals of a halt take.
HALT_S = 20.0


def with_changes(world: World) -> World:
    """Return the world, in some cases with orderly restarts of clinit and a node that joins."""
    rng = chance(world.seed, "changing")
    if rng.random() > SHARE:
        return world
    kinds = ["stopclinit"] * rng.randint(1, 3)
    faults = world.faults
    if world.nodes >= NODES_MIN and rng.random() < JOINS:
        kinds.append("join")
        faults = tuple(it for it in faults if it.kind != "renode")  # one step, before the next
    found = [
        a_fault(rng, world, rng.uniform(0.0, world.chaos_s), kind, [*world.ids]) for kind in kinds
    ]
    return replace(
        world,
        faults=tuple(sorted((*faults, *found), key=lambda fault: fault.at)),
        calm_s=world.calm_s + HALT_S,
    )
