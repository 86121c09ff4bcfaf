"""A cluster and everything that will happen to it, drawn from one seed (swarm testing).

Each world has its own number of nodes, timings, clock rates, visibility and *subset* of fault
kinds: rare combinations come up because most worlds leave most faults out. A world is a
value; shrinking makes smaller ones, `worldtext` writes and reads them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from mosha.core.timing import Timing, derive, unsafe
from tests.sim.agenda import chance

# Own clock rates: two of them differ by less than the one percent of the promise.
RATE_MIN, RATE_MAX = 0.9951, 1.0048
# In calm weather a lease outlives its renewal by at least this factor.
MARGIN = 1.1


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens at `at` (true seconds) and, if it lasts, ends `lasts` later.

    `nodes` and `others` are whom it concerns (a cut: `nodes` do not see what `others` write),
    `word` and `amount` what a kind needs besides. `faults` lists the kinds.
    """

    at: float
    kind: str
    lasts: float = 0.0
    nodes: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    word: str = ""
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """One resource group: its wish and how long its entries take, in seconds."""

    name: str
    prefer: tuple[int, ...] = ()
    only: tuple[int, ...] = ()
    failback: bool = False
    level: str = "start"
    test_s: float = 0.0
    start_s: float = 0.0
    stop_s: float = 0.0
    daemon: bool = False


@dataclass(frozen=True, slots=True)
class FenceSpec:
    """What shots come to: weights of works, fails, hangs, lies, print; and how long they take."""

    required: bool = False
    outcomes: tuple[str, ...] = ("print",)
    takes_s: float = 0.1


@dataclass(frozen=True, slots=True)
class World:
    """One cluster and its fate. Times are true seconds."""

    seed: int
    nodes: int
    groups: tuple[GroupSpec, ...]
    timing: Timing
    rates: tuple[float, ...]
    shared: bool = False
    lag_s: float = 0.002
    lag_tail: float = 0.0
    reorder: bool = False
    ipc_s: float = 0.001
    fence: FenceSpec = FenceSpec()
    adaptive: bool = False
    faults: tuple[Fault, ...] = ()
    chaos_s: float = 100.0
    calm_s: float = 100.0
    dead: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """The nodes, numbered from 1."""
        return tuple(range(1, self.nodes + 1))

    @property
    def end_s(self) -> float:
        """When the run is over."""
        return self.chaos_s + self.calm_s


# kind -> how often it is chosen when its world has it
KINDS: dict[str, float] = {
    "cut": 6,  # `nodes` see nothing new of `others`; word: eio, stale or hang
    "lag": 2,  # visibility takes `amount` seconds longer
    "stale": 3,  # reads of `nodes` may give older versions
    "torn": 2,  # reads of `nodes` may be cut short or hold zeros
    "readerror": 2,  # word: EIO, ESTALE, ENOENT
    "hangread": 3,  # reads of `nodes` begun now end when the fault does
    "full": 2,  # writes of `nodes` fail; word ENOSPC, or EIO: it may have landed all the same
    "hangwrite": 3,
    "vanish": 2,  # the directory of `nodes` is away for a while
    "killmonitor": 5,
    "pausemonitor": 5,
    "slow": 2,  # the loop of `nodes` takes up to `amount` seconds for each step
    "killclinit": 2,
    "pauseclinit": 2,  # with a watchdog that resets the machine at a missed kill_at
    "crash": 4,  # the machine; comes back after `lasts`
    "wipe": 3,  # the machine, and its directory is lost
    "losedir": 2,  # the directory is lost, the processes live on
    "leave": 2,  # clean leave, back after `lasts`
    "wallclock": 1,  # the wall clock jumps by `amount` seconds
    "die": 2,  # a process of a group dies
    "hangstop": 3,  # processes on `nodes` ignore all but SIGKILL
    "failtest": 2,  # tests of the group `word` fail on `nodes`
    "edit": 3,  # hactl: group and wish in `word`
    "badedit": 1,  # an edit that is no hactl
    "confirm": 1,  # an operator at `nodes` vouches for `others`: honest, says so of dead ones only
}


def draw(seed: int, storm: tuple[str, ...] = ()) -> World:
    """Draw the world of a seed; `storm` makes it a small one with storms of these kinds.

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
    nodes = rng.choice((2, 3, 3, 3, 3, 4, 5, 5, 5, 7))
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
        ipc_s=timing.heartbeat_s * rng.choice((0.002, 0.01, 0.1)),
        fence=_fence(rng, timing),
        chaos_s=timing.timeout_s * rng.uniform(6, 18),
    )
    dead = tuple(rng.sample(world.ids, (nodes - 1) // 2)) if rng.random() < 0.3 else ()
    world = replace(world, dead=tuple(sorted(dead)), calm_s=calm_limit_s(world))
    return replace(world, faults=_faults(rng, world))


def calm_limit_s(world: World) -> float:
    """Return how long after the last fault everything must run: the liveness bound.

    T for silent nodes, T for stale ones, one ban, then 60 heartbeats and 20 s of back-off.
    """
    t = world.timing
    return 2.2 * t.timeout_s + t.ban_s + 60 * t.heartbeat_s + 20.0 + t.start_grace_s


def _timing(rng: random.Random) -> tuple[Timing, float]:
    """Draw safe times, and a lag with which the leases last while nothing fails."""
    timeout_s = rng.choice((2.0, 5.0, 10.0, 30.0, 60.0, 60.0, 60.0, 60.0))
    for _ in range(100):
        timing = derive(
            timeout_s,
            heartbeat_s=timeout_s * rng.choice((0.05, 0.1, 0.1, 0.2)),
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
    groups = (GroupSpec("g1", test_s=tests_s, stop_s=stop_s),)
    world = World(
        seed=seed,
        nodes=nodes,
        groups=groups,
        timing=timing,
        rates=_rates(rng, nodes),
        lag_s=timing.heartbeat_s * rng.choice((0.01, 0.3)),
        reorder=rng.random() < 0.5,
        ipc_s=timing.heartbeat_s * rng.choice((0.002, 0.05)),
        fence=_fence(rng, timing) if rng.random() < 0.3 else FenceSpec(),
    )
    storms = rng.randint(1, 3)
    chaos_s = timeout_s * (0.5 + 4.0 * storms)
    world = replace(world, chaos_s=chaos_s, calm_s=calm_limit_s(world))
    wiped = set(rng.sample(world.ids, (nodes - 1) // 2))
    faults = []
    for k in range(storms):
        begins = timeout_s * (4.0 * k + rng.uniform(0.3, 1.0))
        width = timeout_s * rng.choice((0.02, 0.2, 0.8))
        for kind in kinds:
            at = begins + rng.random() * width
            fault = _fault(rng, world, at, kind, list(world.ids))
            if kind not in ("wipe", "losedir") or set(fault.nodes) <= wiped:
                faults.append(fault)
    return replace(world, faults=tuple(sorted(faults, key=lambda fault: fault.at)))


# --- faults ------------------------------------------------------------------------------


def _faults(rng: random.Random, world: World) -> tuple[Fault, ...]:
    share = rng.choice((0.15, 0.3, 0.6))
    kinds = [kind for kind in KINDS if rng.random() < share] or [rng.choice(list(KINDS))]
    weights = [KINDS[kind] for kind in kinds]
    t = world.timing
    rate = rng.choice((0.3, 1.0, 2.0))  # faults per timeout
    count = max(1, int(rate * world.chaos_s / t.timeout_s))
    focus = rng.sample(world.ids, rng.randint(1, world.nodes))
    # From the middle of a warm cluster most of the time, from the cold start sometimes.
    first = rng.choice((0.0, 2 * t.heartbeat_s, t.timeout_s, 2 * t.timeout_s))
    times = sorted(rng.uniform(first, world.chaos_s) for _ in range(count))
    if rng.random() < 0.4:  # in bursts: what belongs together comes together
        times = [_bunched(rng, times, t) for _ in times]
    wiped: set[int] = set()
    found = []
    for at in sorted(times):
        fault = _fault(rng, world, at, rng.choices(kinds, weights)[0], focus)
        if fault.kind in ("wipe", "losedir"):
            wiped.update(fault.nodes)
            if len(wiped) > (world.nodes - 1) // 2:  # who forgets is a minority: terms survive
                wiped.difference_update(fault.nodes)
                continue
        found.append(fault)
    return tuple(found)


def _bunched(rng: random.Random, times: list[float], t: Timing) -> float:
    return rng.choice(times[: max(1, len(times) // 4)]) + rng.uniform(0, t.timeout_s)


def _lasts(rng: random.Random, t: Timing) -> float:
    """Draw a length, most often near one of the times that the promise is about."""
    near = rng.choice(
        (t.heartbeat_s, t.heartbeat_s * 3, t.lease_s, t.lease_s + t.stop_budget_s, t.timeout_s)
    )
    return rng.choice((near * rng.uniform(0.8, 1.3), t.timeout_s * rng.uniform(0.01, 3.0)))


def _fault(rng: random.Random, world: World, at: float, kind: str, focus: list[int]) -> Fault:
    t = world.timing
    node = rng.choice(focus)
    rest = [n for n in world.ids if n != node]
    lasts = _lasts(rng, t)
    fault = Fault(round(at, 4), kind, round(lasts, 4), (node,))
    match kind:
        case "cut":
            some = tuple(sorted(rng.sample(world.ids, rng.randint(1, world.nodes - 1))))
            others = tuple(n for n in world.ids if n not in some)
            if rng.random() < 0.3:  # a single link
                some, others = (node,), (rng.choice(rest),)
            word = rng.choice(("eio", "stale", "hang")) + rng.choice((" both", " both", ""))
            return replace(fault, nodes=some, others=others, word=word)
        case "lag":
            return replace(fault, amount=round(t.timeout_s * rng.choice((0.1, 0.3, 1.0)), 4))
        case "readerror":
            return replace(fault, word=rng.choice(("EIO", "ESTALE", "ENOENT")))
        case "full":
            return replace(fault, word=rng.choice(("ENOSPC", "EIO")))
        case "slow":
            return replace(fault, amount=round(t.heartbeat_s * rng.choice((0.05, 0.5, 2.0)), 4))
        case "killmonitor" | "killclinit" | "crash" | "wipe":
            quick = rng.random() < 0.5
            return replace(fault, lasts=round(t.heartbeat_s * 0.3 if quick else lasts, 4))
        case "wallclock":
            years = rng.choice((-1e9, -1e5, 1e5, 1e9))
            return replace(fault, amount=years)
        case "failtest" | "die":
            return replace(fault, word=rng.choice(world.groups).name)
        case "edit":
            return replace(fault, word=_edit(rng, world))
        case "confirm":
            return replace(fault, others=(rng.choice(rest),))
    return fault


def _edit(rng: random.Random, world: World) -> str:
    group = rng.choice(world.groups).name
    level = rng.choice(("start", "start", "stop", "other"))
    prefer = rng.choice(("", "", f" prefer={rng.choice(world.ids)} failback=yes"))
    return f"{group} {level}{prefer}"
