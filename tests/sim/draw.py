"""Worlds drawn from seeds (swarm testing).

Each world has its own number of nodes, timings, clock rates, visibility and *subset* of fault
kinds: rare combinations come up because most worlds leave most faults out.
"""

from __future__ import annotations

import random

from msgspec.structs import replace

from mosha.core.cluster.timing import Timing, derive, unsafe
from tests.sim.agenda import chance
from tests.sim.agents import with_agents
from tests.sim.asking import with_requests
from tests.sim.changing import with_changes
from tests.sim.dying import with_slow_deaths
from tests.sim.failing import with_failing_entries
from tests.sim.fate import FORGETTING, a_fate, a_fault
from tests.sim.fencing_orders import with_fencing_orders
from tests.sim.graded import with_grades
from tests.sim.ladders import with_ladders
from tests.sim.monitoring import with_monitors
from tests.sim.ordering import with_orders
from tests.sim.pills import with_pills
from tests.sim.readying import with_awaited_services
from tests.sim.relating import with_relations
from tests.sim.rooms import with_rooms
from tests.sim.spreading import with_instances
from tests.sim.starting import with_failing_starts
from tests.sim.world import HIDING, KINDS, Fault, FenceSpec, GroupSpec, World

# Own clock rates: two of them differ by less than the one percent of the promise.
RATE_MIN, RATE_MAX = 0.9951, 1.0048
# In calm weather a lease outlives its renewal by at least this factor.
MARGIN = 1.1
# How many nodes, and how often: a world of seven costs four times what one of three does.
NODES = {2: 2, 3: 10, 4: 3, 5: 4, 7: 1}
# Heartbeats as a share of the timeout, and how often each is tried: the shortest are safe with
# most other times, and a world with twenty to a timeout costs twice as much as one with ten.
HEARTBEATS = {0.05: 1, 0.1: 7, 0.2: 4}
# Clusters with the adaptive quorum, and those of them in which nobody that lives is hidden.
ADAPTIVE, UNHIDDEN = 0.12, 0.5
# An empty file is what its editor has to say if it stays so for a second (`SETTLE_GONE_S`).
EDITOR_MAX_S = 0.9
# What is lost at once of an adaptive cluster must leave 0.6 of it (H2.1).
ADAPTIVE_DEAD = 0.4


def draw(seed: int, storm: tuple[str, ...] = ()) -> World:
    """Draw the world of a seed; `storm` makes it a small one with storms of these kinds."""
    world = with_failing_entries(_with_editors(_drawn(seed, storm)))
    world = with_changes(with_failing_starts(with_slow_deaths(with_orders(world))))
    world = with_awaited_services(with_fencing_orders(with_grades(world)))
    world = with_monitors(with_pills(with_requests(world)))
    world = with_ladders(with_agents(world))
    return with_rooms(with_instances(with_relations(world)))


def _with_editors(world: World) -> World:
    """Draw whether those who edit tables write them in two parts."""
    rng = chance(world.seed, "editors")
    return replace(world, editor_s=rng.uniform(0.05, EDITOR_MAX_S)) if rng.random() < 0.5 else world


def _drawn(seed: int, storm: tuple[str, ...]) -> World:
    """Draw all but what `failing` adds.

    In a storm one fault of each kind begins within a fraction of T: that is how the schedules
    come about that need three or four things to go wrong together. A share of the ordinary
    worlds has storms of kinds drawn at random.
    """
    rng = chance(seed, "world")
    if storm:
        return _stormy(rng, seed, storm)
    if rng.random() < 0.3:
        kinds = rng.choices(list(KINDS), list(KINDS.values()), k=rng.randint(2, 4))
        return _stormy(rng, seed, tuple(dict.fromkeys(kinds)))
    nodes = rng.choices([*NODES], [*NODES.values()])[0]
    timing, lag_s = _timing(rng)
    groups = _groups(rng, nodes, timing)
    world = World(
        seed=seed,
        nodes=nodes,
        groups=groups,
        timing=timing,
        rates=_rates(rng, nodes),
        shared=rng.random() < 0.4,
        lag_s=lag_s,
        lag_tail=rng.choice((0.0, 0.0, 0.05, 0.2)),
        reorder=rng.random() < 0.3,
        late_writes=rng.random() < 0.3,
        ipc_s=timing.heartbeat_s * rng.choice((0.002, 0.01, 0.1)),
        fence=_fence(rng, timing),
        chaos_s=timing.timeout_s * rng.uniform(4, 11),
    )
    adaptive = rng.random() < ADAPTIVE
    dying = int(ADAPTIVE_DEAD * nodes) if adaptive else (nodes - 1) // 2
    dead = tuple(rng.sample(world.ids, dying)) if rng.random() < 0.3 else ()
    world = replace(world, dead=tuple(sorted(dead)), calm_s=calm_limit_s(world), adaptive=adaptive)
    world = replace(world, faults=a_fate(rng, world))
    return _unhidden(world) if adaptive and rng.random() < UNHIDDEN else world


def _unhidden(world: World) -> World:
    """Return the world without the faults that hide who lives: here adaptive promises all."""
    faults = tuple(fault for fault in world.faults if fault.kind not in HIDING)
    return replace(world, lag_tail=0.0, reorder=False, faults=faults)


def calm_limit_s(world: World) -> float:
    """Return how long after the last fault everything must run: the liveness bound.

    T for silent nodes, T for stale ones, one ban, then 60 heartbeats and 20 s of back-off; and as
    many T more as a node may count with that had a longer one (T1).
    """
    t = world.timing
    return 4.2 * t.timeout_s + t.ban_s + 60 * t.heartbeat_s + 20.0 + t.start_grace_s


def _timing(rng: random.Random) -> tuple[Timing, float]:
    """Draw safe times, and a lag with which the leases last while nothing fails."""
    timeout_s = rng.choice((2.0, 5.0, 10.0, 30.0, 60.0, 60.0, 60.0, 60.0))
    for _ in range(100):
        timing = derive(
            timeout_s,
            heartbeat_s=timeout_s * rng.choices([*HEARTBEATS], [*HEARTBEATS.values()])[0],
            lease_s=timeout_s * (lease := rng.choice((0.45, 0.6, 0.6, 0.7, 0.8))),
            stop_budget_s=timeout_s * rng.choice((0.3, 0.99 - lease, 0.99 - lease)),
            ban_s=timeout_s * rng.choice((0.5, 2.0)),
            start_grace_s=timeout_s * rng.choice((0.0, 1.0, 2.0)),
        )
        lag_s = timing.heartbeat_s * rng.choice((0.01, 0.05, 0.2, 0.5))
        seen_s = lag_s + timing.poll_s
        if not unsafe(timing) and timing.lease_s > MARGIN * 2 * (seen_s + timing.heartbeat_s):
            return timing, lag_s
    raise AssertionError("no safe timing was drawn")


def _rates(rng: random.Random, nodes: int) -> tuple[float, ...]:
    style = rng.random()
    if style < 0.2:
        return (1.0,) * nodes
    if style < 0.7:
        return tuple(rng.choice((RATE_MIN, RATE_MAX)) for _ in range(nodes))
    return tuple(rng.uniform(RATE_MIN, RATE_MAX) for _ in range(nodes))


def _groups(rng: random.Random, nodes: int, timing: Timing) -> tuple[GroupSpec, ...]:
    ids = list(range(1, nodes + 1))
    count = rng.choice((1, 1, 2, 3, 5))
    short, budget = timing.heartbeat_s, timing.stop_budget_s

    def one(k: int) -> GroupSpec:
        prefer = tuple(rng.sample(ids, rng.randint(1, 2))) if rng.random() < 0.3 else ()
        only = tuple(sorted(rng.sample(ids, nodes - 1))) if rng.random() < 0.15 else ()
        return GroupSpec(
            name=f"g{k}",
            prefer=prefer,
            only=only,
            failback=bool(prefer) and rng.random() < 0.3,
            test_s=rng.choice((0.0, short * 0.1, short)),
            start_s=rng.choice((0.0, short * 0.1, short, budget)),
            stop_s=rng.choice((0.0, short * 0.1, budget * 0.9, budget * 2)),
            daemon=rng.random() < 0.2,
        )

    return tuple(one(k) for k in range(1, count + 1))


def _fence(rng: random.Random, timing: Timing) -> FenceSpec:
    style = rng.random()
    if style < 0.55:
        return FenceSpec()
    good = ("works", "works", "fails", "hangs")
    lying = (*good, "lies") if rng.random() < 0.15 else good
    takes_s = timing.heartbeat_s * rng.choice((0.1, 1.0, 10.0))
    return FenceSpec(required=rng.random() < 0.6, outcomes=lying, takes_s=takes_s)


# --- storms ------------------------------------------------------------------------------


def _stormy(rng: random.Random, seed: int, kinds: tuple[str, ...]) -> World:
    nodes = rng.choice((2, 3, 3, 3, 4, 5))
    timeout_s = rng.choice((10.0, 30.0, 60.0))
    lease = rng.choice((0.6, 0.7, 0.8))
    timing = derive(
        timeout_s,
        heartbeat_s=timeout_s * 0.1,
        lease_s=timeout_s * lease,
        stop_budget_s=timeout_s * (0.99 - lease),  # nothing to spare
        ban_s=timeout_s,
        start_grace_s=0.0,
    )
    stop_s = rng.choice((0.0, timing.stop_budget_s * 2))
    tests_s = rng.choice((0.0, timing.heartbeat_s))
    groups = (GroupSpec("g1", test_s=tests_s, stop_s=stop_s, stop_test="failstop" in kinds),)
    world = World(
        seed=seed,
        nodes=nodes,
        groups=groups,
        timing=timing,
        rates=_rates(rng, nodes),
        lag_s=timing.heartbeat_s * rng.choice((0.01, 0.3)),
        reorder=rng.random() < 0.5,
        late_writes=rng.random() < 0.5,
        ipc_s=timing.heartbeat_s * rng.choice((0.002, 0.05)),
        fence=_fence(rng, timing) if rng.random() < 0.3 else FenceSpec(),
    )
    storms = rng.randint(1, 3)
    chaos_s = timeout_s * (0.5 + 4.0 * storms)
    world = replace(world, chaos_s=chaos_s, calm_s=calm_limit_s(world))
    wiped = set(rng.sample(world.ids, (nodes - 1) // 2))
    faults: list[Fault] = []
    for k in range(storms):
        begins = timeout_s * (4.0 * k + rng.uniform(0.3, 1.0))
        width = timeout_s * rng.choice((0.02, 0.2, 0.8))
        for kind in kinds:
            at = begins + rng.random() * width
            fault = a_fault(rng, world, at, kind, list(world.ids))
            if kind == "renode" and any(it.kind == "renode" for it in faults):
                continue
            if kind not in FORGETTING or set(fault.nodes) <= wiped:
                faults.append(fault)
    return replace(world, faults=tuple(sorted(faults, key=lambda fault: fault.at)))
