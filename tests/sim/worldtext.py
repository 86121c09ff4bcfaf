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
from mosha.errors import UsageError
from tests.sim.world import Fault, FenceSpec, GroupSpec, World
from tests.sim.worldrules import ALL_KINDS, finite, mistakes, unknown


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


def parse(text: str, name: str = "world") -> World:
    """Read a world; blank lines and those that begin with # do not count.

    Raises:
        UsageError: all mistakes, a line each, that begin with `name` and the number of the line.
    """
    facts: dict[str, Any] = {"seed": 0, "groups": (), "faults": ()}
    places: list[tuple[Any, int]] = []  # what was read -> its line
    wrong: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                places.append((_read(facts, line.split(), places), number))
            except _LineError as error:
                wrong.append((number, str(error)))
    if not wrong and "nodes" not in facts:
        wrong.append((1, "how many nodes are there? Add a line: nodes 3"))
    if not wrong:
        facts.setdefault("rates", (1.0,) * facts["nodes"])
        facts.setdefault("timing", derive(10.0, start_grace_s=0.0))
        world = World(**facts)
        wrong = [(_line_of(place, places), problem) for place, problem in mistakes(world)]
    if wrong:
        raise UsageError("\n".join(f"{name}:{number}: {problem}" for number, problem in wrong))
    return world


def _line_of(place: Any, places: list[tuple[Any, int]]) -> int:
    """Return the line of a fault, a group or a name; equal faults are told apart."""
    named = isinstance(place, str)
    return next((n for what, n in places if (what == place if named else what is place)), 1)


class _LineError(Exception):
    """A line that cannot be read; the message says what and what would be right."""


# Lines of their own form, beside those that are the name of a fact and its value.
_FORMS = ("timing", "rates", "group", "fence", "at")
_FACTS = tuple(n for n in World.__struct_fields__ if n not in {"groups", "faults", *_FORMS})


def _read(facts: dict[str, Any], words: list[str], places: list[tuple[Any, int]]) -> Any:
    """Read a line into the facts; return what stands for it when a mistake is found later."""
    match words:
        case ["group", name, *pairs] if "=" not in name:
            facts["groups"] += (GroupSpec(name, **_values(GroupSpec, pairs)),)
            return facts["groups"][-1]
        case ["at", at, kind, *pairs] if "=" not in kind:
            if kind not in ALL_KINDS:
                raise _LineError(unknown("fault", kind, ALL_KINDS))
            values = _values(Fault, pairs)
            facts["faults"] += (Fault(_value("at", "float", at), kind, **values),)
            return facts["faults"][-1]
    name = words[0]
    if any(place == name for place, _ in places):
        raise _LineError(f"there is a line {name!r} already")
    match words:
        case ["timing", *pairs]:
            facts["timing"] = _timing(pairs)
        case ["rates", *rates]:
            facts["rates"] = tuple(_value("rates", "float", rate) for rate in rates)
        case ["fence", *pairs]:
            facts["fence"] = FenceSpec(**_values(FenceSpec, pairs))
        case [_, value] if name in _FACTS:
            facts |= _values(World, [f"{name}={value}"])
        case _ if name in _FACTS:
            raise _LineError(f"{name} has one value: {name} {_EXAMPLES[_type(World, name)]}")
        case _ if name in _FORMS:
            raise _LineError("a group is `group NAME …`, a fault `at SECONDS KIND nodes=1 …`")
        case _:
            raise _LineError(unknown("line", name, (*_FORMS, *_FACTS)))
    return name


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
    "float": finite,
    "str": lambda text: text.replace("_", " "),
    "tuple[int, ...]": lambda text: tuple(int(word) for word in text.split(",") if word),
    "tuple[str, ...]": lambda text: tuple(text.split(",")),
}
_EXAMPLES = {
    "bool": "yes or no",
    "int": "3",
    "float": "2.5",
    "str": "a_word",
    "tuple[int, ...]": "1,2,3",
    "tuple[str, ...]": "works,fails",
}


def _type(kind: type[Any], name: str) -> str:
    return str(kind.__annotations__[name])


def _value(name: str, type_name: str, text: str) -> Any:
    try:
        return _READERS[type_name](text)
    except (KeyError, ValueError) as error:
        raise _LineError(
            f"{name}: not understood: {text!r}; write {_EXAMPLES[type_name]}"
        ) from error


def _values(kind: type[Any], pairs: Iterable[str]) -> dict[str, Any]:
    known = [name for name in kind.__annotations__ if name not in _LEADING.get(kind, ())]
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise _LineError(f"{pair!r} is not NAME=VALUE; known: {', '.join(known)}")
        if name not in known:
            raise _LineError(unknown("word", name, known))
        if name in found:
            raise _LineError(f"{name} is there twice")
        found[name] = _value(name, _type(kind, name), text)
    return found


# What stands first on its line, without its name.
_LEADING: dict[type[Any], tuple[str, ...]] = {GroupSpec: ("name",), Fault: ("at", "kind")}
