"""Processes that SIGKILL does not end at once, and times that allow for that, or do not.

Half of these worlds leave K, from a kill to the end of the last process, enough room in
`L + D + K <= 0.99 T`: there the whole promise holds. Drawn as in `failing`.
"""

from __future__ import annotations

import random

from msgspec.structs import replace

from mosha.core.cluster.timing import CLOCK_RATE_ERROR, Timing
from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import DYING, Fault, World

SHARE = 0.15
"""So many worlds have them."""

# So much of what the lease leaves of T is D; the rest is K.
BUDGET = 0.6

# As a share of T, how long a process lives on where there is no room for it.
OVERRUNS = (0.2, 0.5, 1.0, 2.0)

# SIGKILL is sent again after 15 s, then after 20, and so on: what hung is ended by one of those.
AGAIN_S = 60.0


def kill_room_s(timing: Timing) -> float:
    """Return how long K may be."""
    limit_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR)
    return limit_s - timing.lease_s - timing.stop_budget_s


def overruns(world: World) -> bool:
    """Say whether processes of a world may live on for longer than K may be."""
    room_s = kill_room_s(world.timing)
    return any(
        fault.kind == "nosignal" or (fault.kind == "slowkill" and fault.amount > room_s)
        for fault in world.faults
    )


def with_slow_deaths(world: World) -> World:
    """Return the world, in some cases with processes that take time to die."""
    rng = chance(world.seed, "dying")
    if rng.random() > SHARE:
        return world
    within = rng.random() < 0.5
    if within:
        world = _with_room(world)
    kinds = ["slowkill"] if within else rng.choices([*DYING], [*DYING.values()], k=2)
    most_s, found = 0.0, []
    for kind in kinds:
        at = rng.uniform(0.0, world.chaos_s)
        fault = a_fault(rng, world, at, kind, [*world.ids])
        lasts = 4 * max(fault.lasts, world.timing.timeout_s)
        fault = replace(fault, nodes=world.ids, lasts=round(lasts, 4))
        if kind == "slowkill":
            room_s = kill_room_s(world.timing)
            amount = room_s * rng.uniform(0.3, 0.95) if within else _overrun(rng.random(), world)
            most_s = max(most_s, amount)
            fault = replace(fault, amount=round(amount, 4))
        found.append(fault)
        found += [
            _isolation(rng, world, fault),
            a_fault(rng, world, at, "killclinit", [*world.ids]),
        ]
    more_s = most_s + world.timing.timeout_s + (0.0 if within else AGAIN_S)
    return replace(
        world,
        faults=tuple(sorted((*world.faults, *found), key=lambda fault: fault.at)),
        calm_s=world.calm_s + more_s,
    )


def _isolation(rng: random.Random, world: World, fault: Fault) -> Fault:
    """Draw a node that is cut off from all others meanwhile, most often until they count it out."""
    node = rng.choice(world.ids)
    others = tuple(other for other in world.ids if other != node)
    lasts = world.timing.timeout_s * rng.uniform(0.5, 3.0)
    return Fault(fault.at, "cut", round(lasts, 4), (node,), others, "eio both")


def _overrun(draw: float, world: World) -> float:
    return world.timing.timeout_s * OVERRUNS[int(draw * len(OVERRUNS))]


def _with_room(world: World) -> World:
    """Return the world with a shorter stop budget; where T changes, K has no bound."""
    timing = world.timing
    left_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR) - timing.lease_s
    faults = tuple(fault for fault in world.faults if fault.kind != "retime")
    return replace(world, timing=replace(timing, stop_budget_s=left_s * BUDGET), faults=faults)
