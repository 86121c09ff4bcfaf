"""Makes a failing world small: fewer faults, groups and nodes, shorter, plainer weather."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from mosha.errors import BugError
from tests.sim.cluster import Cluster
from tests.sim.monitor import ThrashingError
from tests.sim.truth import Violation
from tests.sim.world import FenceSpec, World

TRIES_MAX = 2000

FAILURES = (Violation, ThrashingError, BugError)
"""What a world fails by: a promise, an agent that never rests, an invariant that is broken."""


def shrink(world: World, told: str) -> tuple[World, str]:
    """Return the smallest world found that breaks the same promise, and what it tells."""
    promise = _promise(told)
    tries = 0
    smaller = True
    while smaller and tries < TRIES_MAX:
        smaller = False
        for candidate in _candidates(world):
            tries += 1
            now_told = _fails(candidate)
            if now_told and _promise(now_told) == promise:
                world, told, smaller = candidate, now_told, True
                break
            if tries >= TRIES_MAX:
                break
    return world, told


def _promise(told: str) -> str:
    return told.partition(":")[0].rpartition(" ")[2]


def _fails(world: World) -> str:
    try:
        Cluster(world).run()
    except FAILURES as error:
        return str(error)
    return ""


def _candidates(world: World) -> Iterator[World]:
    faults = world.faults
    for size in (len(faults) // 2, len(faults) // 4, 1):
        for at in range(0, len(faults), size) if size else ():
            yield replace(world, faults=faults[:at] + faults[at + size :])
    last = max((f.at + f.lasts for f in faults), default=0.0)
    shorter = last + world.timing.heartbeat_s
    if shorter < world.chaos_s:
        yield replace(world, chaos_s=round(shorter, 4))
    for k in range(len(world.groups)) if len(world.groups) > 1 else ():
        gone = world.groups[k].name
        if not any(gone in f.word.split() for f in faults):
            yield replace(world, groups=world.groups[:k] + world.groups[k + 1 :])
    if world.nodes > 2 and (fewer := _without_last_node(world)) is not None:
        yield fewer
    plain = {
        "rates": (1.0,) * world.nodes,
        "lag_tail": 0.0,
        "reorder": False,
        "shared": False,
        "dead": (),
        "unfit": (),
        "resting": (),
        "fence": FenceSpec(),
    }
    for name, value in plain.items():
        if getattr(world, name) != value:
            yield replace(world, **{name: value})
    for k, spec in enumerate(world.groups):
        bare = replace(spec, prefer=(), only=(), failback=False, daemon=False, test_s=0.0)
        bare = replace(bare, limit_s=0.0, move_after=0, stop_test=False)
        bare = replace(bare, moves=-1, moves_within_s=1200.0, stops=False)
        bare = replace(bare, ready_s=0.0, ready_limit_s=0.0, on_all=False, weight=1, priority=0)
        if bare != spec:
            yield replace(world, groups=(*world.groups[:k], bare, *world.groups[k + 1 :]))


def _without_last_node(world: World) -> World | None:
    last = world.nodes
    faults = []
    for fault in world.faults:
        nodes = tuple(n for n in fault.nodes if n != last)
        others = tuple(n for n in fault.others if n != last)
        if nodes and (others or not fault.others):
            faults.append(replace(fault, nodes=nodes, others=others))
    groups = tuple(
        replace(
            spec,
            prefer=tuple(n for n in spec.prefer if n != last),
            only=tuple(n for n in spec.only if n != last),
        )
        for spec in world.groups
    )
    return replace(
        world,
        nodes=last - 1,
        rates=world.rates[:-1],
        capacities=world.capacities[: last - 1],
        groups=groups,
        faults=tuple(faults),
        dead=tuple(n for n in world.dead if n != last),
        unfit=tuple(n for n in world.unfit if n != last),
        resting=tuple(n for n in world.resting if n != last),
    )
