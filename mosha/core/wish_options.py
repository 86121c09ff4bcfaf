"""The options of a line of hactl: which there are, how each is written, what it means.

`OPTIONS` is the one place that knows them: rendering, explanations, `mosha set` and the manual go
by its rows, and `mosha.formats.hactl` has a reader for each `kind`. A new option is a field of
`core.tables.Wish`, a row here, and whatever decides by it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NamedTuple

from mosha.core.tables import STAY, Wish

AS_SET = "as-set"
"""What stands for the evidence of a death that mosha.toml asks for."""

ANY = "any"
"""What stands for no node at all where an option is written out."""

NONE = "none"
"""What stands for no group at all where an option is written out."""

ALL, ONE = "all", "one"
"""On how many nodes a group runs."""


class ValueKind(enum.Enum):
    """How the value of an option is read."""

    NODES = enum.auto()
    YES_NO = enum.auto()
    LADDER = enum.auto()
    GRADE = enum.auto()
    GROUPS = enum.auto()
    PRIORITY = enum.auto()
    WEIGHT = enum.auto()
    INSTANCES = enum.auto()


class WishOption(NamedTuple):
    """One option: `field` of `Wish` has its value, `default` is the text of its default value."""

    name: str
    field: str
    kind: ValueKind
    write: Callable[[Any], str]
    default: str
    form: str
    meaning: str


def _nodes(nodes: tuple[int, ...]) -> str:
    return ",".join(map(str, nodes)) or ANY


def _groups(groups: tuple[str, ...]) -> str:
    return ",".join(groups) or NONE


OPTIONS: tuple[WishOption, ...] = (
    WishOption(
        "prefer",
        "prefer",
        ValueKind.NODES,
        _nodes,
        ANY,
        "prefer=2,3",
        "these nodes first, in this order; other nodes only if none of these can run the group",
    ),
    WishOption(
        "only",
        "only",
        ValueKind.NODES,
        _nodes,
        ANY,
        "only=1,2,3",
        "no other nodes. If the group runs on an excluded node, it is stopped and moves",
    ),
    WishOption(
        "failback",
        "failback",
        ValueKind.YES_NO,
        lambda value: "yes" if value else "no",
        "no",
        "failback=yes",
        "whether the group moves back to a node that `prefer` ranks higher, once that node has been"
        " heard for `timeout`. If the move fails, it is not repeated for `ban`, and for twice as"
        " long after each further failure there",
    ),
    WishOption(
        "on-failure",
        "on_failure",
        ValueKind.LADDER,
        lambda value: str(value or STAY),
        STAY,
        "on-failure=restart:3/10m,move:2/1h,stop",
        "what happens when [entries fail](#on-failure) on the node where the group runs: they are"
        " restarted there, however often (`stay`); or three times within ten minutes, then the"
        " group moves, twice within an hour, then it is stopped. `move:3/10m` is short for"
        " `restart:2/10m,move`",
    ),
    WishOption(
        "fence",
        "fence",
        ValueKind.GRADE,
        lambda value: AS_SET if value is None else value.text,
        AS_SET,
        "fence=off-confirmed",
        "on what [evidence](fencing.md#receipts) a node that is not heard counts as dead, so that"
        " the group may start elsewhere: `off-confirmed`, `command-said-so`, `operator-said-so`,"
        " each also met by a better one, or `lease-elapsed`: `timeout` has passed. `as-set`:"
        " `fencing.required` of mosha.toml decides",
    ),
    WishOption(
        "after",
        "after",
        ValueKind.GROUPS,
        _groups,
        NONE,
        "after=db,cache",
        "the group starts only once each of [these groups](#groups-that-relate) is at its level"
        " somewhere, and stops before them",
    ),
    WishOption(
        "with",
        "with_",
        ValueKind.GROUPS,
        _groups,
        NONE,
        "with=db",
        "on the node of [these groups](#groups-that-relate), and nowhere else; it follows them",
    ),
    WishOption(
        "apart",
        "apart",
        ValueKind.GROUPS,
        _groups,
        NONE,
        "apart=mail",
        "on no node that runs one of [these groups](#groups-that-relate), and the reverse",
    ),
    WishOption(
        "priority",
        "priority",
        ValueKind.PRIORITY,
        str,
        "0",
        "priority=10",
        "groups with a higher number are placed first. From -1000 to 1000",
    ),
    WishOption(
        "weight",
        "weight",
        ValueKind.WEIGHT,
        str,
        "1",
        "weight=2048",
        "how much of the `capacity` of a node the group takes, in any unit, such as megabytes. From"
        " 0 to 1000000",
    ),
    WishOption(
        "on",
        "on_all",
        ValueKind.INSTANCES,
        lambda value: ALL if value else ONE,
        ONE,
        "on=all",
        "`all`: one instance on each node, or on each node of `only=`; otherwise on one node",
    ),
)

NAMES = tuple(option.name for option in OPTIONS)
FIELDS = frozenset(option.field for option in OPTIONS)


def option_words(wish: Wish, *, defaults: bool = False) -> list[str]:
    """Return the options of a wish as hactl has them; those at their defaults only if asked for."""
    words = []
    for option in OPTIONS:
        text = option.write(getattr(wish, option.field))
        if defaults or text != option.default:
            words.append(f"{option.name}={text}")
    return words
