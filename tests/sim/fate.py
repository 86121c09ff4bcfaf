"""The fate of a world: which faults befall whom, when, and for how long."""

from __future__ import annotations

import random

from msgspec.structs import replace

from mosha.core.cluster.timing import Timing
from tests.sim.world import (
    AGENTS,
    FAILING,
    FENCING_ORDERS,
    KINDS,
    MONITORING,
    ORDERS,
    READYING,
    Fault,
    World,
)

# So many edits bring back a file of yesterday with its time, as a backup does.
RESTORED = 0.15
# So many edits have another one beside them, on any node, before anybody can have seen it.
CONCURRENT = 0.4
# What loses what a node remembers of itself. Those that forget are a minority: terms survive.
FORGETTING = frozenset({"wipe", "losedir", "losestate", "newrundir"})
START_FAILURES = ("prevented", "lost", "missing")
ERRORS = {
    "readerror": ("EIO", "ESTALE", "ENOENT"),
    "full": ("ENOSPC", "EIO"),
    "nostart": START_FAILURES,
}


def a_fate(rng: random.Random, world: World) -> tuple[Fault, ...]:
    """Draw all faults of a world, in the order of their times."""
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
    found: list[Fault] = []
    for at in sorted(times):
        fault = a_fault(rng, world, at, rng.choices(kinds, weights)[0], focus)
        if fault.kind in FORGETTING:
            wiped.update(fault.nodes)
            if len(wiped) > (world.nodes - 1) // 2:
                wiped.difference_update(fault.nodes)
                continue
        if fault.kind == "renode" and any(it.kind == "renode" for it in found):
            continue  # one step on all nodes, before the next
        found.append(fault)
        if fault.kind in ("edit", "cltab") and rng.random() < CONCURRENT:
            beside = at + rng.choice((0.0, world.lag_s, t.heartbeat_s)) * rng.random()
            found.append(a_fault(rng, world, beside, fault.kind, list(world.ids)))
    # What begins when all faults end would end on a cluster that shall be left alone by then.
    found = [fault for fault in found if fault.at < world.chaos_s]
    return tuple(sorted(found, key=lambda fault: fault.at))


def _bunched(rng: random.Random, times: list[float], t: Timing) -> float:
    return rng.choice(times[: max(1, len(times) // 4)]) + rng.uniform(0, t.timeout_s)


def _lasts(rng: random.Random, t: Timing) -> float:
    """Draw a length, most often near one of the times that the promise is about."""
    near = rng.choice(
        (t.heartbeat_s, t.heartbeat_s * 3, t.lease_s, t.lease_s + t.stop_budget_s, t.timeout_s)
    )
    return rng.choice((near * rng.uniform(0.8, 1.3), t.timeout_s * rng.uniform(0.01, 3.0)))


def a_fault(rng: random.Random, world: World, at: float, kind: str, focus: list[int]) -> Fault:
    """Draw one fault of a kind that begins at `at`, most often on a node of `focus`."""
    t = world.timing
    node = rng.choice(focus)
    lasts = _lasts(rng, t)
    fault = Fault(round(at, 4), kind, round(lasts, 4), (node,))
    draw = _order if kind in ORDERS else _trouble
    return (_fencing_order if kind in FENCING_ORDERS else draw)(rng, world, fault)


SOME_NODES = frozenset({"failtest", *FAILING, *READYING, *MONITORING, *AGENTS})
"""Kinds that concern one group, on some nodes, and last longer than others."""


def _trouble(rng: random.Random, world: World, fault: Fault) -> Fault:
    """Draw what a kind needs besides."""
    t, kind, lasts, (node,) = world.timing, fault.kind, fault.lasts, fault.nodes
    match kind:
        case "cut":
            return _cut(rng, world, fault)
        case "lag" | "slow" | "slowkill" | "wallclock" | "slowlook" | "retime":
            return replace(fault, amount=round(_amount(rng, t, kind), 4))
        case "readerror" | "full" | "nostart":
            return replace(fault, word=rng.choice(ERRORS[kind]))
        case "losewrites" | "oldclstat":
            quick = rng.random() < 0.5
            lasts = t.heartbeat_s * 0.3 if quick else lasts
            return replace(fault, lasts=round(lasts, 4), amount=float(rng.randint(1, 12)))
        case "killmonitor" | "killclinit" | "crash" | "wipe" | "losestate" | "newrundir":
            quick = rng.random() < 0.5
            return replace(fault, lasts=round(t.heartbeat_s * 0.3 if quick else lasts, 4))
        case "die" | "nosignal":
            return replace(fault, word=rng.choice(world.groups).name)
        case _ if kind in SOME_NODES:
            some = tuple(sorted(rng.sample(world.ids, rng.randint(1, world.nodes))))
            word = rng.choice(world.groups).name
            return replace(fault, nodes=some, lasts=round(3 * lasts, 4), word=word)
        case "edit":
            return replace(fault, word=_edit(rng, world), amount=_age(rng))
        case "cltab":
            how = rng.choice(("changed", "grown", "gone", "back", "back"))
            word = f"{rng.choice(world.groups).name} {how}"
            return replace(fault, word=word, amount=_age(rng))
        case "renode" | "join":
            return replace(fault, nodes=world.ids, others=(node,), lasts=round(3 * lasts, 4))
        case "confirm" | "errconfirm":
            return replace(fault, others=(rng.choice([n for n in world.ids if n != node]),))
    return fault


def _order(rng: random.Random, world: World, fault: Fault) -> Fault:
    """Draw whom an order is about; it is given in a moment, and so has no length."""
    group, node = rng.choice(world.groups).name, rng.choice(world.ids)
    match fault.kind:
        case "standby":
            return replace(fault, others=(node,))
        case "failstop":
            some = tuple(sorted(rng.sample(world.ids, rng.randint(1, world.nodes))))
            return replace(fault, nodes=some, lasts=round(3 * fault.lasts, 4), word=group)
        case "fail":
            return replace(fault, nodes=world.ids, lasts=0.0, word=group)
        case "move" | "cleanup" if rng.random() < 0.5:
            return replace(fault, others=(node,), lasts=0.0, word=group)
    return replace(fault, lasts=0.0, word=group)


def _fencing_order(rng: random.Random, world: World, fault: Fault) -> Fault:
    """Draw what an operator orders about shots, in a moment."""
    given = replace(fault, lasts=0.0)
    match fault.kind:
        case "shoot":
            return replace(
                given, others=(rng.choice([n for n in world.ids if n not in fault.nodes]),)
            )
        case "disarm":
            return replace(given, amount=fault.lasts)
    return given


def _cut(rng: random.Random, world: World, fault: Fault) -> Fault:
    some = tuple(sorted(rng.sample(world.ids, rng.randint(1, world.nodes - 1))))
    others = tuple(n for n in world.ids if n not in some)
    if rng.random() < 0.3:  # a single link
        some = fault.nodes
        others = (rng.choice([n for n in world.ids if n not in some]),)
    word = rng.choice(("eio", "stale", "hang")) + rng.choice((" both", " both", ""))
    return replace(fault, nodes=some, others=others, word=word)


def _amount(rng: random.Random, t: Timing, kind: str) -> float:
    if kind == "wallclock":
        return rng.choice((-1e9, -1e5, 1e5, 1e9))
    if kind == "retime":
        return rng.choice((0.25, 0.5, 2.0))
    if kind == "slowlook":
        return t.timeout_s * rng.choice((0.05, 0.3, 1.0))
    if kind in ("lag", "slowkill"):
        return t.timeout_s * rng.choice((0.1, 0.3, 1.0))
    return t.heartbeat_s * rng.choice((0.05, 0.5, 2.0))


def _age(rng: random.Random) -> float:
    return 1e5 if rng.random() < RESTORED else 0.0


def _edit(rng: random.Random, world: World) -> str:
    group = rng.choice(world.groups).name
    level = rng.choice(("start", "start", "stop", "other"))
    prefer = rng.choice(("", "", f" prefer={rng.choice(world.ids)} failback=yes"))
    return f"{group} {level}{prefer}"
