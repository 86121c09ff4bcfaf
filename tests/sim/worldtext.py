"""A world as text, to be read, kept, changed and run again.

    seed 17
    nodes 3
    timing timeout_s=10 heartbeat_s=1 …
    rates 1 0.9951 1.0048
    group g1 test_s=0.1 prefer=2,3
    fence required=yes outcomes=works,fails takes_s=1
    at 31.5 cut nodes=1 others=2,3 word=eio_both lasts=12

Blanks in a word are written as `_`; what is at its default is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import fields

from mosha.core.cluster.timing import Timing, derive
from tests.sim.world import Fault, FenceSpec, GroupSpec, World


def render(world: World) -> str:
    """Write a world."""
    lines = [f"seed {world.seed}", f"nodes {world.nodes}"]
    lines.append(" ".join(["timing", *_pairs(world.timing, (), bare=False)]))
    if set(world.rates) != {1.0}:
        lines.append("rates " + " ".join(f"{rate!r}" for rate in world.rates))
    skipped = ("seed", "nodes", "timing", "rates", "groups", "fence", "faults")
    lines += [f"{pair.replace('=', ' ', 1)}" for pair in _pairs(world, skipped)]
    lines += [" ".join(["group", g.name, *_pairs(g, ("name",))]) for g in world.groups]
    if world.fence != FenceSpec():
        lines.append(" ".join(["fence", *_pairs(world.fence, ())]))
    lines += [" ".join([f"at {f.at!r} {f.kind}", *_pairs(f, ("at", "kind"))]) for f in world.faults]
    return "\n".join(lines) + "\n"


def parse(text: str) -> World:
    """Read a world; blank lines and those that begin with # do not count.

    Raises:
        ValueError: a line cannot be understood; it is told.
    """
    facts: dict[str, Any] = {"seed": 0, "groups": (), "faults": ()}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            try:
                _read(facts, line.split())
            except (KeyError, ValueError, IndexError, TypeError) as error:
                raise ValueError(f"not understood: {line!r}: {error}") from error
    facts.setdefault("rates", (1.0,) * facts["nodes"])
    facts.setdefault("timing", derive(10.0, start_grace_s=0.0))
    return World(**facts)


def _read(facts: dict[str, Any], words: list[str]) -> None:
    match words:
        case ["timing", *pairs]:
            facts["timing"] = _timing(pairs)
        case ["rates", *rates]:
            facts["rates"] = tuple(map(float, rates))
        case ["group", name, *pairs]:
            facts["groups"] += (GroupSpec(name, **_values(GroupSpec, pairs)),)
        case ["fence", *pairs]:
            facts["fence"] = FenceSpec(**_values(FenceSpec, pairs))
        case ["at", at, kind, *pairs]:
            facts["faults"] += (Fault(float(at), kind, **_values(Fault, pairs)),)
        case [name, value]:
            facts |= _values(World, [f"{name}={value}"])
        case _:
            raise ValueError("no such kind of line")


def _timing(pairs: list[str]) -> Timing:
    values = _values(Timing, pairs)
    return derive(values.pop("timeout_s", 10.0), **{"start_grace_s": 0.0, **values})


def _pairs(thing: Any, skipped: Iterable[str], *, bare: bool = True) -> list[str]:
    found = []
    for field in fields(thing):
        value = getattr(thing, field.name)
        if field.name in skipped or (bare and value == field.default):
            continue
        found.append(f"{field.name}={_word(value)}")
    return found


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value.replace(" ", "_") if isinstance(value, str) else repr(value)


_READERS: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: {"yes": True, "no": False}[text],
    "int": int,
    "float": float,
    "str": lambda text: text.replace("_", " "),
    "tuple[int, ...]": lambda text: tuple(int(word) for word in text.split(",") if word),
    "tuple[str, ...]": lambda text: tuple(text.split(",")),
}


def _values(kind: type[Any], pairs: Iterable[str]) -> dict[str, Any]:
    types = kind.__annotations__
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair!r} is not name=value")
        found[name] = _READERS[types[name]](text)
    return found
