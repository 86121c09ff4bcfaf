"""What is wrong with the relations between groups in a hactl: `after=`, `with=`, `apart=`.

A mistake is what can never hold: groups that wait for each other, or that have to be both on one
node and apart. A warning is what will not hold as hactl is now.
"""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from mosha.core.tables import STOP_LEVEL, Wish
from mosha.formats.hactl_values import Word
from mosha.formats.mistakes import MISTAKES_MAX, Findings
from mosha.formats.names import listed, nearest

AFTER, WITH, APART = "after", "with", "apart"
RELATIONS: Mapping[str, Callable[[Wish], tuple[str, ...]]] = {
    AFTER: lambda wish: wish.after,
    WITH: lambda wish: wish.with_,
    APART: lambda wish: wish.apart,
}
WAITS = (AFTER, WITH)

NOT_ON_ALL = {
    "prefer": "a group on each node prefers none",
    "failback": "a group on each node has nowhere to go back from",
    APART: "a group on each node leaves no node to others",
}
"""The options that `on=all` excludes, and why."""


class Line(NamedTuple):
    """A line of hactl as it was read, and the words after the `=` of its options."""

    wish: Wish
    options: Mapping[str, Word]


Lines = Mapping[str, Line]


def check_line(line: Line, mistakes: Findings) -> None:
    """Add the mistakes that one line alone shows."""
    group = line.wish.group
    for relation, related in RELATIONS.items():
        if group in related(line.wish):
            remedy = f"name other groups in {relation}="
            _add(mistakes, line, (relation, group), "the group names itself", remedy)
    for option, why in NOT_ON_ALL.items():
        word = line.options.get(option)
        given = line.wish.failback if option == "failback" else word is not None
        if line.wish.on_all and word is not None and given:
            problem = f"{option}= beside on=all: {why}"
            remedy = f"drop {option}= or on=all"
            mistakes.add(line.wish.line, word.column, word.text, problem, remedy)


def check_table(
    lines: Lines, mistakes: Findings, warnings: Findings, others: Collection[str]
) -> None:
    """Add what the lines of a table, by group, show together.

    `others` are groups of lines that cannot be used: of these it is known only that they are there.
    """
    in_order = dict(sorted(lines.items(), key=lambda item: item[1].wish.line))
    _check_known(in_order, warnings, others)
    _check_on_all(in_order, mistakes)
    if _check_cycles(in_order, mistakes):
        return
    _check_apart(in_order, mistakes)
    _check_only(in_order, mistakes, warnings)


def _related(lines: Lines, relation: str) -> Iterator[tuple[Line, str]]:
    """Yield each line with each group that it names, if hactl has that one, too."""
    for line in lines.values():
        for group in RELATIONS[relation](line.wish):
            if group in lines:
                yield line, group


# --- one by one ----------------------------------------------------------------------------------


def _check_known(lines: Lines, warnings: Findings, others: Collection[str]) -> None:
    for line in lines.values():
        for relation, related in RELATIONS.items():
            for group in (each for each in related(line.wish) if each not in others):
                _check_named(lines, line, relation, group, warnings)


def _check_named(lines: Lines, line: Line, relation: str, group: str, warnings: Findings) -> None:
    waits = relation in WAITS and line.wish.level != STOP_LEVEL
    never = f", and {line.wish.group} never starts" if waits else ""
    if group not in lines:
        guess = nearest(group, lines) if warnings.total < MISTAKES_MAX else ""
        remedy = f"{guess}add a line for it, or drop it from {relation}="
        _add(warnings, line, (relation, group), f"hactl does not name the group{never}", remedy)
    elif waits and lines[group].wish.level == STOP_LEVEL:
        problem = f"the group is at stop (line {lines[group].wish.line}){never}"
        remedy = f"mosha set {group} start, or drop it from {relation}="
        _add(warnings, line, (relation, group), problem, remedy)


def _check_on_all(lines: Lines, mistakes: Findings) -> None:
    for line, group in _related(lines, WITH):
        if line.wish.on_all and not lines[group].wish.on_all:
            where = f"(line {lines[group].wish.line})"
            problem = f"on=all, with a group that runs on one node {where}"
            remedy = f"drop on=all, or write on=all for {group}, too"
            _add(mistakes, line, (WITH, group), problem, remedy)
    for line, group in _related(lines, APART):
        if lines[group].wish.on_all and not line.wish.on_all:
            problem = f"apart from a group that runs on each node (line {lines[group].wish.line})"
            remedy = "drop it, and name different nodes in only= of both"
            _add(mistakes, line, (APART, group), problem, remedy)


# --- groups that wait for each other -------------------------------------------------------------


def _check_cycles(lines: Lines, mistakes: Findings) -> bool:
    """Add each cycle of groups that wait for each other; say whether there is one."""
    waits = {
        line.wish.group: {
            group: relation
            for relation in WAITS
            for group in RELATIONS[relation](line.wish)
            if group in lines
        }
        for line in lines.values()
    }
    for found in range(MISTAKES_MAX + 1):
        cycle = _cycle(waits)
        if not cycle:
            return found > 0
        first = min(range(len(cycle)), key=lambda at: lines[cycle[at]].wish.line)
        cycle = cycle[first:] + cycle[:first]
        steps = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        chain = [f"{a} {waits[a][b]}={b} (line {lines[a].wish.line})" for a, b in steps]
        group, waited_for = steps[0]
        relation = waits[group].pop(waited_for)
        remedy = "drop one of them"
        if all(f" {WITH}=" in step for step in chain):
            remedy = f"{WITH}= on one of the lines is enough: {remedy}"
        problem = f"groups that wait for each other, {listed(chain)}"
        _add(mistakes, lines[group], (relation, waited_for), problem, remedy)
    return True


def _cycle(waits: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return groups each of which waits for the next, and the last for the first; [] if none do."""
    try:
        graphlib.TopologicalSorter(waits).prepare()
    except graphlib.CycleError as error:
        # It returns each one before the one that waits for it, and the first again at the end.
        found: list[str] = error.args[1]
        return found[:0:-1]
    return []


# --- groups on one node, and apart ---------------------------------------------------------------


def _check_apart(lines: Lines, mistakes: Findings) -> None:
    """Add the groups that are apart from one that `with=` puts on the same node."""
    beside: dict[str, dict[str, Line]] = {group: {} for group in lines}
    for line, group in _related(lines, WITH):
        if not lines[group].wish.on_all:  # else each may be on another node of it
            beside[line.wish.group][group] = beside[group][line.wish.group] = line
    places = _places(beside)
    for line, group in _related(lines, APART):
        if places[line.wish.group] == places[group] and mistakes.total < MISTAKES_MAX:
            path = _path(beside, line.wish.group, group)
            steps = [f"{a.wish.group} with={b} (line {a.wish.line})" for a, b in path]
            problem = f"to be apart, and on one node by {listed(steps)}"
            _add(mistakes, line, (APART, group), problem, f"drop it, or {WITH}= there")


def _places(beside: Mapping[str, Mapping[str, Line]]) -> Mapping[str, str]:
    """Return for each group the first one that has to be on the same node."""
    found: dict[str, str] = {}
    for first in beside:
        queue = [first] if first not in found else []
        for group in queue:
            if group not in found:
                found[group] = first
                queue.extend(beside[group])
    return found


def _path(beside: Mapping[str, Mapping[str, Line]], start: str, end: str) -> list[tuple[Line, str]]:
    """Return the relations `with` on the shortest way between two groups on one node."""
    came: dict[str, str] = {start: start}
    queue = [start]
    for group in queue:
        for other in beside[group]:
            if other not in came:
                came[other] = group
                queue.append(other)
    steps = []
    while end != start:
        line = beside[came[end]][end]
        steps.append((line, end if line.wish.group != end else came[end]))
        end = came[end]
    return steps[::-1]


def _check_only(lines: Lines, mistakes: Findings, warnings: Findings) -> None:
    """Add groups that no node is left for: by `only=` of those they are with, or are apart from."""
    left: dict[str, frozenset[int]] = {}
    waits = {line.wish.group: [g for g in line.wish.with_ if g in lines] for line in lines.values()}
    for group in graphlib.TopologicalSorter(waits).static_order():
        nodes = frozenset(lines[group].wish.only)
        for other in waits[group]:
            common = nodes & left[other] if nodes and left[other] else nodes | left[other]
            if not common and nodes:
                where = f"{_text(left[other])} (line {lines[other].wish.line})"
                problem = f"no node for both: {group} runs on {_text(nodes)}, {other} on {where}"
                remedy = "name a node in only= of both"
                _add(mistakes, lines[group], (WITH, other), problem, remedy)
            else:
                nodes = common
        left[group] = nodes
    for line, group in _related(lines, APART):
        nodes = left[line.wish.group]
        if len(nodes) == 1 and left[group] == nodes:
            problem = f"only node {_text(nodes)} may run either: one of them never runs"
            _add(warnings, line, (APART, group), problem, "name more nodes in only=, or drop it")


def _text(nodes: frozenset[int]) -> str:
    return ",".join(map(str, sorted(nodes)))


def _add(findings: Findings, line: Line, named: tuple[str, str], problem: str, remedy: str) -> None:
    """Add what is wrong with a group that an option names: `named` are the option and the group."""
    option, group = named
    word = line.options[option]
    parts = word.text.split(",")
    column = word.column + sum(len(part) + 1 for part in parts[: parts.index(group)])
    findings.add(line.wish.line, column, group, problem, remedy)
