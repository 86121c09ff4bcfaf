"""Orders of operators, and stops that fail until one of them cleans up.

Drawn apart from everything else, by a chance of its own, as in `failing`.
"""

from __future__ import annotations

from msgspec.structs import replace

from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import ORDERS, World

SHARE = 0.3
"""So many worlds have them."""

# What failed at `stop` is repaired when the faults end, and stops once more before it moves.
REPAIR_TIMEOUTS = 2


def with_orders(world: World) -> World:
    """Return the world, in some cases with orders, and groups whose stop may fail."""
    rng = chance(world.seed, "orders")
    if rng.random() > SHARE:
        return world
    resting = rng.sample(world.ids, rng.randint(1, world.nodes - 1)) if rng.random() < 0.3 else []
    around = rng.uniform(0.0, world.chaos_s)
    width_s = world.timing.timeout_s if rng.random() < 0.4 else world.chaos_s
    found = []
    kinds = rng.choices([*ORDERS], [*ORDERS.values()], k=rng.randint(1, 6))
    for kind in kinds:
        at = around + rng.uniform(-width_s, width_s)
        if 0.0 <= at < world.chaos_s:
            found.append(a_fault(rng, world, at, kind, [*world.ids]))
    failing = {fault.word for fault in found if fault.kind == "failstop"}
    specs = tuple(replace(spec, stop_test=spec.name in failing) for spec in world.groups)
    stops_s = max(spec.stop_s for spec in specs)
    return replace(
        world,
        groups=specs,
        resting=tuple(sorted(resting)),
        faults=tuple(sorted((*world.faults, *found), key=lambda fault: fault.at)),
        calm_s=world.calm_s + REPAIR_TIMEOUTS * world.timing.timeout_s + 2 * stops_s,
    )
