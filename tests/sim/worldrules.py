"""What a world may not say: a fault that does nothing, a node that is not there.

A simulator that reads past a mistake runs a world that nobody wrote, and its good story proves
nothing. So whatever would have no effect is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mosha.core.status import GRADES
from mosha.errors import UsageError
from mosha.formats.hactl import parse_wish
from mosha.formats.names import NAME_RULE, is_name, nearest
from tests.sim.edits import EDITS
from tests.sim.fate import ERRORS
from tests.sim.world import (
    AGENTS,
    CHANGING,
    DYING,
    FAILING,
    FENCING_ORDERS,
    KINDS,
    MONITORING,
    ORDERS,
    READYING,
    STARTING,
    WEATHER,
    Fault,
    GroupSpec,
    World,
)

ALL_KINDS = (
    *(*KINDS, *FAILING, *ORDERS, *FENCING_ORDERS),
    *(*DYING, *STARTING, *READYING, *MONITORING, *AGENTS, *CHANGING),
)

# Kinds that do nothing, or undo in the same moment what they did, unless they last.
LASTING = WEATHER | {
    "vanish",
    "pausemonitor",
    "pauseclinit",
    "standstill",
    "wallclock",
    "retime",
    "renode",
    "standby",
    "join",
}
# Kinds whose effect is on, or from, `others`.
BETWEEN = frozenset({"cut", "renode", "confirm", "errconfirm", "standby", "join", "shoot"})
# Kinds whose effect may be limited to `others`.
AIMED = frozenset({"move", "cleanup"})
# Kinds that do nothing by an amount of 0.
MEASURED = frozenset(
    {
        *("lag", "slow", "slowlook", "slowkill", "wallclock", "losewrites", "oldclstat"),
        *("retime", "disarm"),
    }
)
CUTS = tuple(f"{how}{both}" for how in ("eio", "stale", "hang") for both in ("", " both"))
LEVELS = ("start", "stop", "other")
OUTCOMES = ("works", "weak", "fails", "hangs", "lies", "print", "poison")

# What a fault's word must be: problem and remedy, "" if it is that.
WordRule = Callable[[str, World], str]


class Mistake(NamedTuple):
    """What is wrong, and what would be right, with the fault or group it is about or a line."""

    place: Fault | GroupSpec | str
    text: str


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """Return what is said of a word that is not one of those known."""
    names = [name.replace(" ", "_") for name in known]
    word = word.replace(" ", "_")
    return f"unknown {what} {word!r}: {nearest(word, names)}known: {', '.join(names) or 'none'}"


def one_of(what: str, known: Iterable[str]) -> WordRule:
    """Return the rule that a word is one of these."""
    names = tuple(known)
    return lambda word, _: "" if word in names else unknown(what, word, names)


def _group(word: str, world: World) -> str:
    names = [group.name for group in world.groups]
    return "" if word in names else unknown("group", word, names)


def _hactl(word: str, world: World) -> str:
    try:
        wish = parse_wish(word.split())
    except UsageError as error:
        return str(error)
    nodes = [node for node in (*wish.prefer, *wish.only) if node not in world.ids]
    found = [_group(wish.group, world), one_of("level", LEVELS)(wish.level, world)]
    found += [f"no node {node}: the world has {world.nodes}" for node in nodes]
    return next(filter(None, found), "")


def _cltab(word: str, world: World) -> str:
    group, _, how = word.partition(" ")
    return _group(group, world) or one_of("change of a group", EDITS)(how, world)


WORDS: dict[str, WordRule] = {
    "cut": one_of("word", CUTS),
    **{kind: one_of("word", words) for kind, words in ERRORS.items()},
    **dict.fromkeys(
        (
            *("die", "failtest", "nosignal", *FAILING, *READYING, *MONITORING, *AGENTS),
            *(ORDERS.keys() - {"standby"}),
        ),
        _group,
    ),
    "edit": _hactl,
    "cltab": _cltab,
}


def mistakes(world: World) -> Iterator[Mistake]:
    """Find what cannot be, or would have no effect, each with its place."""
    yield from _of_the_world(world)
    names: set[str] = set()
    for group in world.groups:
        if group.name in names:
            yield Mistake(group, f"there is a group {group.name!r} already")
        names.add(group.name)
        yield from (Mistake(group, text) for text in _of_a_group(group, world))
    for fault in world.faults:
        yield from (Mistake(fault, text) for text in _of_a_fault(fault, world))


def _of_the_world(world: World) -> Iterator[Mistake]:
    if world.nodes < 1:
        yield Mistake("nodes", "a world has at least one node")
    if len(world.rates) != world.nodes:
        yield Mistake("rates", f"{len(world.rates)} rates for {world.nodes} nodes")
    if world.capacities and len(world.capacities) != world.nodes:
        yield Mistake("capacities", f"{len(world.capacities)} capacities for {world.nodes} nodes")
    for name in ("dead", "unfit", "resting", "told_of"):
        yield from (Mistake(name, text) for text in _strangers(name, getattr(world, name), world))
    for outcome in world.fence.outcomes:
        if outcome not in OUTCOMES:
            yield Mistake("fence", unknown("outcome", outcome, OUTCOMES))
    if "" in world.fence.outcomes or not world.fence.outcomes:
        yield Mistake("fence", f"outcomes is empty; known: {', '.join(OUTCOMES)}")


def _of_a_group(group: GroupSpec, world: World) -> Iterator[str]:
    if not is_name(group.name):
        yield f"not the name of a group: {group.name!r}; {NAME_RULE}"
    if group.level not in LEVELS:
        yield unknown("level", group.level, LEVELS)
    if group.fence and group.fence not in GRADES:
        yield unknown("fence", group.fence, GRADES)
    if group.ready_limit_s and not group.ready_s:
        yield "ready_limit_s does nothing without ready_s"
    if group.monitor_failures < 1:
        yield f"monitor_failures is {group.monitor_failures}: at least 1 run has to fail"
    yield from _strangers("prefer", group.prefer, world)
    yield from _strangers("only", group.only, world)


def _of_a_fault(fault: Fault, world: World) -> Iterator[str]:
    kind = fault.kind
    if kind not in ALL_KINDS:
        yield unknown("fault", kind, ALL_KINDS)
        return
    if not 0 <= fault.at < world.chaos_s:
        yield f"begins at {fault.at:g}: all faults end at chaos_s, {world.chaos_s:g}"
    if fault.lasts < 0 or (not fault.lasts and kind in LASTING):
        yield f"{kind} without lasts does nothing: add lasts=SECONDS"
    if not fault.nodes:
        yield f"{kind} without nodes does nothing: add nodes=1"
    yield from _strangers("nodes", fault.nodes, world)
    yield from _strangers("others", fault.others, world)
    if bool(fault.others) != (kind in BETWEEN) and kind not in AIMED:
        yield f"{kind} has no others" if fault.others else f"{kind} needs others: add others=2"
    if not fault.amount and kind in MEASURED:
        yield f"{kind} without amount does nothing: add amount=NUMBER"
    rule = WORDS.get(kind)
    if rule is None and fault.word:
        yield f"{kind} has no word"
    elif rule is not None and (wrong := rule(fault.word, world)):
        yield wrong if fault.word else f"{kind} needs a word: {wrong}"


def _strangers(name: str, nodes: Iterable[int], world: World) -> Iterator[str]:
    for node in nodes:
        if node not in world.ids:
            yield f"{name}: no node {node}: the world has nodes 1 to {world.nodes}"


def finite(text: str) -> float:
    """Read a number that is one.

    Raises:
        ValueError: it is none, or infinite.
    """
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value
