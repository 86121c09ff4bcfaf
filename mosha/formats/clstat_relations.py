"""The lines of clstat about groups that relate to each other.

- `Mosha::Leaving GROUP REASON`: the group is about to leave its level on this node, as soon as the
  groups with `after=` it have stopped.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.status import Status
from mosha.formats.clstat_words import group_in
from mosha.formats.names import one_line


def relation_lines(s: Status) -> list[str]:
    """Return the lines of a status about relations, by group."""
    return [
        f"Mosha::Leaving {group} {one_line(reason)}".rstrip()
        for group, reason in sorted(s.leaving.items())
    ]


def _read_leaving(rest: str) -> tuple[str, str]:
    return group_in(rest), one_line(rest.partition(" ")[2])


RELATION_READERS: dict[str, tuple[str, Callable[[str], tuple[str, object]]]] = {
    "Mosha::Leaving": ("leaving", _read_leaving),
}
