"""The lines of clstat about groups that fail again and again (`on-failure=` of hactl).

- `Mosha::GivenUp GROUP SECONDS ...`: so long ago this node gave the group up, the oldest first.
- `Mosha::Exhausted GROUP REASON`: its failures have used up `on-failure=`: it is stopped.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.status import Status
from mosha.core.supervision.failures import REMEMBERED_MAX
from mosha.formats.clstat_words import group_in, number_in
from mosha.formats.names import one_line


def failure_lines(s: Status) -> list[str]:
    """Return the lines of a status about failures, each class by group."""
    return [
        *(f"Mosha::GivenUp {g} {' '.join(map(str, x))}" for g, x in sorted(s.given_up.items())),
        *(
            f"Mosha::Exhausted {g} {one_line(reason)}".rstrip()
            for g, reason in sorted(s.exhausted.items())
        ),
    ]


def _read_given_up(rest: str) -> tuple[str, tuple[int, ...]]:
    ages = rest.split(" ")[1 : REMEMBERED_MAX + 1]
    return group_in(rest), tuple(number_in(age) for age in ages)


def _read_exhausted(rest: str) -> tuple[str, str]:
    return group_in(rest), one_line(rest.partition(" ")[2])


FAILURE_READERS: dict[str, tuple[str, Callable[[str], tuple[str, object]]]] = {
    "Mosha::GivenUp": ("given_up", _read_given_up),
    "Mosha::Exhausted": ("exhausted", _read_exhausted),
}
