"""Orders of operators about fencing: shoot this node, shoot none for a while; and probation.

Drawn apart from everything else, by a chance of its own, as in `failing`.
"""

from __future__ import annotations

from msgspec.structs import replace

from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import FENCING_ORDERS, World

SHARE = 0.25
"""So many worlds have them."""

# Deaths until a node is on probation: most often so few that it comes to that.
PROBATIONS = (0, 1, 1, 2, 3)


def with_fencing_orders(world: World) -> World:
    """Return the world, in some cases with orders about fencing.

    What waits for a shot waits for the end of the last disarming, too.
    """
    rng = chance(world.seed, "fencing orders")
    if rng.random() > SHARE:
        return world
    kinds = rng.choices([*FENCING_ORDERS], [*FENCING_ORDERS.values()], k=rng.randint(1, 5))
    around = rng.uniform(0.0, world.chaos_s)
    width_s = world.timing.timeout_s if rng.random() < 0.5 else world.chaos_s
    found = []
    for kind in kinds:
        at = around + rng.uniform(-width_s, width_s)
        if 0.0 <= at < world.chaos_s:
            found.append(a_fault(rng, world, at, kind, [*world.ids]))
    disarmed_s = max((fault.amount for fault in found), default=0.0)
    return replace(
        world,
        faults=tuple(sorted((*world.faults, *found), key=lambda fault: fault.at)),
        fence=replace(world.fence, probation=rng.choice(PROBATIONS)),
        calm_s=world.calm_s + 2 * disarmed_s,
    )
