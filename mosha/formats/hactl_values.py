"""Reads the values of the options of a line of hactl: one reader for each kind of value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from mosha.core.ladder import Ladder
from mosha.core.status import GRADES, Grade
from mosha.core.wish_options import ALL, ANY, AS_SET, NONE, ONE, ValueKind
from mosha.formats.ladder import LadderMistake, read_ladder
from mosha.formats.mistakes import Findings
from mosha.formats.names import NAME_RULE, NODE_RULE, is_name, nearest, node_number

NODES_MAX = 1024
"""How many nodes one option can list."""

GROUPS_MAX = 100
"""How many groups one option can list."""

PRIORITIES = (-1000, 1000)
WEIGHTS = (0, 1_000_000)
"""Any unit will do, such as megabytes of memory: a node's `capacity` has the same."""

_YES_NO = {"yes": True, "no": False}
_INSTANCES = {ALL: True, ONE: False}


class Word(NamedTuple):
    """A word of a line, or the value of an option, and in which column it begins."""

    text: str
    column: int


T = TypeVar("T")


class ListKind(NamedTuple, Generic[T]):
    """A list of nodes or groups: how each is read (None: it is none), and what is said of it."""

    what: str
    most: int
    read: Callable[[str], T | None]
    problem: str
    remedy: str


NODES = ListKind("node", NODES_MAX, node_number, "not a node number", NODE_RULE)
GROUPS = ListKind(
    "group",
    GROUPS_MAX,
    lambda text: text if is_name(text) else None,
    "not the name of a group",
    NAME_RULE,
)


def _listed(kind: ListKind[T], number: int, value: Word, mistakes: Findings) -> tuple[T, ...]:
    """Read a list with commas; each mistake is told with its column."""
    found: list[T] = []
    parts = value.text.split(",")
    if len(parts) > kind.most:
        problem, remedy = f"{len(parts)} {kind.what}s", f"list at most {kind.most} {kind.what}s"
        mistakes.add(number, value.column, value.text, problem, remedy)
        return ()
    column = value.column
    for part in parts:
        item = kind.read(part)
        if item is None:
            mistakes.add(number, column, part or value.text, kind.problem, kind.remedy)
        elif item in found:
            mistakes.add(number, column, part, f"the {kind.what} is listed twice", "list it once")
        else:
            found.append(item)
        column += len(part) + 1
    return tuple(found)


def _nodes(number: int, value: Word, mistakes: Findings, any_node: bool) -> tuple[int, ...]:  # noqa: FBT001 - one of the readers
    # A file leaves the option out; of a change, nothing after the `=` is a mistake of its own.
    if any_node and value.text in ("", ANY):
        return ()
    return _listed(NODES, number, value, mistakes)


def _yes_no(number: int, value: Word, mistakes: Findings, _any_node: bool) -> bool:  # noqa: FBT001 - one of the readers
    if value.text not in _YES_NO:
        mistakes.add(number, value.column, value.text, "neither yes nor no", "write yes or no")
    return _YES_NO.get(value.text, False)


def _on_failure(
    number: int,
    value: Word,
    mistakes: Findings,
    _any_node: bool,  # noqa: FBT001 - one of the readers
) -> Ladder | None:
    found = read_ladder(value.text)
    if isinstance(found, LadderMistake):
        column = value.column + found.place
        mistakes.add(number, column, found.word, found.problem, found.remedy)
        return None
    return found


def _grade(
    number: int,
    value: Word,
    mistakes: Findings,
    _any_node: bool,  # noqa: FBT001 - one of the readers
) -> Grade | None:
    if value.text not in (AS_SET, *GRADES):
        remedy = f"{nearest(value.text, GRADES)}write one of {', '.join((*GRADES, AS_SET))}"
        mistakes.add(number, value.column, value.text, "not the evidence of a death", remedy)
    return GRADES.get(value.text)


def _groups(
    number: int,
    value: Word,
    mistakes: Findings,
    any_node: bool,  # noqa: FBT001 - one of the readers
) -> tuple[str, ...]:
    if value.text == NONE or (any_node and not value.text):
        return ()
    return _listed(GROUPS, number, value, mistakes)


def _number(
    least: int,
    most: int,
    number: int,
    value: Word,
    mistakes: Findings,
    _any_node: bool,  # noqa: FBT001 - one of the readers
) -> int:
    digits = value.text.removeprefix("-")
    # Longer texts are out of range, and int() refuses very long ones.
    if digits.isascii() and digits.isdigit() and len(digits) <= len(str(most)):
        found = int(value.text)
        if least <= found <= most:
            return found
    remedy = f"write a whole number from {least} to {most}"
    mistakes.add(number, value.column, value.text, "not a number in range", remedy)
    return least


def _instances(
    number: int,
    value: Word,
    mistakes: Findings,
    _any_node: bool,  # noqa: FBT001 - one of the readers
) -> bool:
    if value.text not in _INSTANCES:
        remedy = f"write {ALL} for one instance on each node, or {ONE}"
        mistakes.add(number, value.column, value.text, f"neither {ALL} nor {ONE}", remedy)
    return _INSTANCES.get(value.text, False)


READERS: Mapping[ValueKind, Callable[[int, Word, Findings, bool], Any]] = {
    ValueKind.NODES: _nodes,
    ValueKind.YES_NO: _yes_no,
    ValueKind.LADDER: _on_failure,
    ValueKind.GRADE: _grade,
    ValueKind.GROUPS: _groups,
    ValueKind.PRIORITY: functools.partial(_number, *PRIORITIES),
    ValueKind.WEIGHT: functools.partial(_number, *WEIGHTS),
    ValueKind.INSTANCES: _instances,
}
"""Line number, value, where mistakes go, whether nothing may stand for no node -> the value."""
