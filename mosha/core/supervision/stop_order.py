"""In which order the entries of a group are stopped.

All at the same time, but for agents, units and addresses: each is stopped when all that was started
after it is gone. What uses a mount or an address ends before that does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mosha.core.supervision.process_record import Process, Then
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import Entry


def moved_across(before: Sequence[str], entries: Sequence[Entry]) -> frozenset[str]:
    """Return the tags of what came before an agent, a unit or an address, and now after it, or v.v.

    `before` are the tags in the order of the file as it was, `entries` those of the file as it is.
    """
    then = {tag: place for place, tag in enumerate(before)}
    both = [entry for entry in entries if entry.tag in then]
    now = {entry.tag: place for place, entry in enumerate(both)}
    used = [entry.tag for entry in both if entry.wrapped]
    return frozenset(
        tag for tag in now if any((then[tag] < then[u]) != (now[tag] < now[u]) for u in used)
    )


def stopped_first(
    processes: Sequence[Process], chosen: Callable[[Process], bool]
) -> tuple[str, ...]:
    """Return the tags of what is stopped at once of all that is chosen, in the given order.

    `processes` are in the order of the file, which is that of starting.
    """
    found: list[str] = []
    for process in reversed(processes):
        if process.may_live and chosen(process):
            if found and process.entry.wrapped:
                continue
            found.append(process.entry.tag)
    return tuple(reversed(found))


def stopped_next(processes: Sequence[Process], chosen: Callable[[Process], bool]) -> str | None:
    """Return the tag of what is stopped now that others may have ended; None: nothing."""
    for process in reversed(processes):
        if process.state is ProcessState.STOPPING and process.then is Then.WAIT:
            return None
        if process.may_live and chosen(process):
            return process.entry.tag
    return None
