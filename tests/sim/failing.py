"""Groups with time limits and `on-failure=`, and entries that hang or fail again and again.

Drawn apart from everything else, by a chance of its own: the rest of a world is what it is without.
"""

from __future__ import annotations

import random

from msgspec.structs import replace

from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import FAILING, GroupSpec, World

SHARE = 0.3
"""So many worlds have them."""

# For how many T failures are remembered: longer than it takes to try all nodes of a world.
MEMORY = 20

# More than the signals of a stop take: what hangs when the faults end is ended by them.
LADDER_S = 20.0


def with_failing_entries(world: World) -> World:
    """Return the world, in some cases with entries that fail and groups that mind it."""
    rng = chance(world.seed, "failing")
    if rng.random() > SHARE:
        return world
    unfit = _unfit(rng, world)
    specs = tuple(_spec(rng, world, spec, unfit=bool(unfit)) for spec in world.groups)
    world = replace(world, groups=specs, unfit=unfit)
    faults = [
        a_fault(rng, world, rng.uniform(0.0, world.chaos_s), rng.choice([*FAILING]), [*world.ids])
        for _ in range(rng.randint(1, 3))
    ]
    limit_s = max(spec.limit_s for spec in specs)
    more_s = limit_s + LADDER_S + 2 * world.timing.timeout_s * len(unfit)
    return replace(
        world,
        faults=tuple(sorted((*world.faults, *faults), key=lambda fault: fault.at)),
        calm_s=world.calm_s + more_s,
    )


def _unfit(rng: random.Random, world: World) -> tuple[int, ...]:
    """Draw where services fail to the end: nowhere, or on some; each group may run elsewhere."""
    able = [
        node
        for node in world.ids
        if node not in world.dead and all(node in (spec.only or world.ids) for spec in world.groups)
    ]
    if not able or rng.random() < 0.5:
        return ()
    fit = rng.choice(able)
    others = [node for node in world.ids if node != fit]
    return tuple(sorted(rng.sample(others, rng.randint(1, len(others)))))


def _spec(rng: random.Random, world: World, spec: GroupSpec, *, unfit: bool) -> GroupSpec:
    """Draw limits that only what hangs exceeds. Nobody asks to go back to where it always fails."""
    takes_s = max(spec.test_s, spec.start_s, world.timing.heartbeat_s)
    move_after = rng.choice((0, 1, 3, 5))
    return replace(
        spec,
        limit_s=rng.choice((0.0, 3 * takes_s)),
        move_after=move_after,
        move_within_s=MEMORY * world.timing.timeout_s,
        failback=spec.failback and not (unfit and move_after),
    )
