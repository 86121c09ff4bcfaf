"""What follows when an agent, a unit or an address goes while its group stays at its level.

It has failed, is restarted by an operator, or has another line in cltab now.

What comes after it in the table may use it: a database on a volume. So that is stopped first, while
nothing is done to the entry: a volume that is unmounted and mounted again under a service shows it
the bare directory. When all that is gone, a process that waits to be told that it may stop its
service is told, the entry has its turn, and what comes after it is started in order when it is
ready.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

from mosha.core.status import EntryVerb
from mosha.core.supervision.process_events import (
    ORDERED,
    RestartOrdered,
    Scope,
    Signal,
    StartOrdered,
    StopOrdered,
)
from mosha.core.supervision.process_record import Process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.supervision.stop_order import moved_across
from mosha.core.tables import Entry
from mosha.core.tell import EntryOrder


def is_news(before: Process, process: Process) -> bool:
    """Say whether an entry is lost now, or waits now for its turn to be started again."""
    waits = before.state is not process.state is ProcessState.WAITING
    return process.entry.wrapped and (waits or (process.lost and not before.lost))


def dependants(
    processes: Sequence[Process], leaves: Callable[[Process], bool] = lambda _: False
) -> frozenset[str]:
    """Return the tags of what comes after the first entry that goes, in the order of the file.

    It is lost or in vain, or it `leaves`. What an operator has stopped stays stopped: it is none of
    the dependants.
    """

    def goes(process: Process) -> bool:
        return process.lost or (
            process.entry.wrapped and process.starts > 0 and (process.in_vain or leaves(process))
        )

    after = itertools.islice(itertools.dropwhile(lambda p: not goes(p), processes), 1, None)
    return frozenset(p.entry.tag for p in after if p.state is not ProcessState.STOPPED)


def behind(
    known: Mapping[str, Process], wanted: Sequence[Entry], leaves: Callable[[Process], bool]
) -> frozenset[str]:
    """Return the tags of what comes after the first entry that goes, or that is new at a level.

    What was moved across one of them is among these, too.

    `wanted` are the entries of that level, in the order of the file.
    """

    def is_new(entry: Entry) -> bool:
        process = known.get(entry.tag)
        return entry.wrapped and (process is None or leaves(process))

    after = itertools.islice(itertools.dropwhile(lambda entry: not is_new(entry), wanted), 1, None)
    moved = moved_across([*known], wanted)
    return dependants(tuple(known.values()), leaves) | moved | {entry.tag for entry in after}


def are_started(processes: Sequence[Process]) -> bool:
    """Say whether any of the dependants has been started at this level."""
    tags = dependants(processes)
    unstarted = (ProcessState.WAITING, ProcessState.OFF)
    return any(p.entry.tag in tags and p.state not in unstarted for p in processes)


def are_alive(processes: Sequence[Process]) -> bool:
    """Say whether a process of any of the dependants may be alive."""
    tags = dependants(processes)
    return any(p.entry.tag in tags and p.may_live for p in processes)


def users_of(process: Process, processes: Iterable[Process]) -> tuple[str, ...]:
    """Return the tags of what may be alive and use an agent, a unit or an address that runs."""
    if process.state is not ProcessState.RUNNING or not process.entry.wrapped:
        return ()
    after = itertools.dropwhile(lambda p: p is not process, processes)
    return tuple(p.entry.tag for p in after if p is not process and p.may_live)


def missing_before(process: Process, processes: Iterable[Process]) -> Process | None:
    """Return the first agent, unit or address before an entry that is not ready; None: all are."""
    before = itertools.takewhile(lambda p: p is not process, processes)
    return next((p for p in before if p.entry.wrapped and not _serves(p)), None)


def _serves(process: Process) -> bool:
    return process.state is ProcessState.OFF or (
        process.state is ProcessState.RUNNING and process.ready
    )


def ordered(
    process: Process, processes: Iterable[Process], order: EntryOrder
) -> StartOrdered | StopOrdered | RestartOrdered:
    """Return what an operator's order is to an entry."""
    if order.verb is EntryVerb.RESTART and users_of(process, processes):
        return RestartOrdered(order.order, in_turn=True)
    return ORDERED[order.verb](order.order)


def cause_of(process: Process) -> str:
    """Return why what comes after an entry is stopped."""
    fate = "is restarted" if process.asks and process.ordered else "failed"
    return f"entry {process.entry.tag} {fate}"


def staying(processes: Sequence[Process]) -> tuple[Process, ...]:
    """Return what need not be listed anew for its state when its group is at its level anew.

    What an operator has stopped is started again with its group, and so is a failed agent; what is
    done because of a lost entry leaves both as they are.
    """
    lost = any(p.lost for p in processes)
    return tuple(p for p in processes if lost or not (p.held or p.in_vain))


def told_to_stop(processes: Sequence[Process]) -> tuple[Signal, ...]:
    """Return the signals to what waits to be told that it may stop its service."""
    return tuple(Signal(p.entry, p.run, "TERM", Scope.LEADER) for p in processes if p.asks)
