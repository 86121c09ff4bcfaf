"""The lines of clstat about groups that fail again and again (`on-failure=` of hactl).

- `Mosha::GivenUp GROUP SECONDS ...`: so long ago this node gave the group up, the oldest first.
- `Mosha::Exhausted GROUP REASON`: its failures have used up `on-failure=`: it is stopped.
- `Mosha::Restarted GROUP LEVEL COUNT SECONDS SECONDS,... REASON`: how often it was restarted there
  in place because a monitor failed, how long ago last, and when it had failed before; `-`: never.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.status import Restarts, Status
from mosha.core.supervision.failures import REMEMBERED_MAX
from mosha.formats.clstat_words import group_in, name_in, number_in
from mosha.formats.names import one_line


def failure_lines(s: Status) -> list[str]:
    """Return the lines of a status about failures, each class by group."""
    return [
        *(f"Mosha::GivenUp {g} {' '.join(map(str, x))}" for g, x in sorted(s.given_up.items())),
        *(
            f"Mosha::Exhausted {g} {one_line(reason)}".rstrip()
            for g, reason in sorted(s.exhausted.items())
        ),
        *(_restarts_line(group, it) for group, it in sorted(s.restarts.items())),
    ]


def _read_given_up(rest: str) -> tuple[str, tuple[int, ...]]:
    ages = rest.split(" ")[1 : REMEMBERED_MAX + 1]
    return group_in(rest), tuple(number_in(age) for age in ages)


def _read_exhausted(rest: str) -> tuple[str, str]:
    return group_in(rest), one_line(rest.partition(" ")[2])


def _restarts_line(group: str, it: Restarts) -> str:
    failed = ",".join(map(str, it.failed)) or "-"
    words = f"{group} {it.level} {it.count} {it.age_s} {failed}"
    return f"Mosha::Restarted {words} {one_line(it.reason)}".rstrip()


def _read_restarts(rest: str) -> tuple[str, Restarts]:
    group, level, count, age_s, failed, *reason = rest.split(" ", 5)
    ages = failed.split(",")[:REMEMBERED_MAX] if failed != "-" else []
    return group_in(group), Restarts(
        number_in(count),
        number_in(age_s),
        name_in(level),
        tuple(number_in(age) for age in ages),
        one_line("".join(reason)),
    )


FAILURE_READERS: dict[str, tuple[str, Callable[[str], tuple[str, object]]]] = {
    "Mosha::GivenUp": ("given_up", _read_given_up),
    "Mosha::Exhausted": ("exhausted", _read_exhausted),
    "Mosha::Restarted": ("restarts", _read_restarts),
}
