"""The lines of clstat about groups that stop because of others.

- `Mosha::Leaving GROUP REASON`: the group is about to leave its level on this node, as soon as the
  groups with `after=` it have stopped.
- `Mosha::GaveWay GROUP to=GROUP priority=N term=N age_s=SECONDS`: the group stopped last on this
  node for one of a higher priority.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.status import GaveWay, Status
from mosha.formats.clstat_words import counter_in, group_in, number_in, pairs_of, whole_in
from mosha.formats.names import one_line


def relation_lines(s: Status) -> list[str]:
    """Return the lines of a status about relations, by group."""
    return [
        f"Mosha::Leaving {group} {one_line(reason)}".rstrip()
        for group, reason in sorted(s.leaving.items())
    ] + [
        f"Mosha::GaveWay {group} to={it.by} priority={it.priority} term={it.term} age_s={it.age_s}"
        for group, it in sorted(s.gave_way.items())
    ]


def _read_leaving(rest: str) -> tuple[str, str]:
    return group_in(rest), one_line(rest.partition(" ")[2])


def _read_gave_way(rest: str) -> tuple[str, GaveWay]:
    pairs = pairs_of(rest)
    priority = whole_in(pairs["priority"])
    term, age_s = counter_in(pairs["term"]), number_in(pairs["age_s"])
    return group_in(rest), GaveWay(group_in(pairs["to"]), priority, term, age_s)


RELATION_READERS: dict[str, tuple[str, Callable[[str], tuple[str, object]]]] = {
    "Mosha::Leaving": ("leaving", _read_leaving),
    "Mosha::GaveWay": ("gave_way", _read_gave_way),
}
