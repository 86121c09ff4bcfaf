"""What speaks against an order for one entry of a group, in words.

Who gives an order checks what the tables say (`by_mode`, `unknown_entry`), and the supervisor that
obeys it everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mosha.core.status import EntryVerb, GroupState
from mosha.core.supervision.group import Group
from mosha.core.supervision.lost_entries import missing_before, users_of
from mosha.core.supervision.process_record import Process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, Entry, Mode
from mosha.core.tell import EntryOrder

NAMED_MAX = 12
"""So many entries of a group are listed for one that it does not have."""


class EntryReply(NamedTuple):
    """The reply to an order for an entry: why it is refused, or that nothing was to be done."""

    ok: bool
    text: str = ""


_UNDER_WAY = frozenset({GroupState.STOPPING, GroupState.DUMPING})


def unknown_entry(group: str, tag: str, known: Iterable[str]) -> str:
    """Return the refusal of an entry that a group does not have, with those that it has."""
    tags = list(known)
    shown = [*tags[:NAMED_MAX], *(["..."] if len(tags) > NAMED_MAX else [])]
    return f"{group} has no entry {tag!r}; its entries are {', '.join(shown) or 'none'}"


def other_level(entry: Entry, level: str) -> str:
    """Return the refusal of an entry that does not belong to the level of its group."""
    return f"entry {entry.tag} is for level {entry.level}, and {entry.group} is at {level}"


def by_mode(entry: Entry, verb: EntryVerb) -> str:
    """Return why an entry of this mode is not ordered so, "" if it is.

    A test says whether the group may run here, and what follows a `wait` entry needs what it has
    done: neither is left out.
    """
    name, group = f"entry {entry.tag}", entry.group
    if entry.mode is Mode.OFF:
        return f"{name} is off in cltab: change its mode there, then: mosha restart {group}"
    if entry.mode is Mode.TEST:
        return f"{name} is a test, which runs before {group} starts: mosha restart {group}"
    if entry.mode is Mode.WAIT and verb is EntryVerb.STOP:
        return f"{name} is a wait entry, which ends by itself: mosha stop {group}"
    return ""


def refusal(
    group: Group, entries: Iterable[Entry], processes: Iterable[Process], order: EntryOrder
) -> str:
    """Return why an order for an entry is refused now, "" if it is not.

    `entries` are those of the group at all levels, `processes` those of the level it has.
    """
    if against := _by_group(group, order):
        return against
    process = next((p for p in processes if p.entry.tag == order.tag), None)
    if process is not None and process.in_vain:
        return f"entry {order.tag} cannot run here, and its group has failed: {process.said}"
    if process is not None:
        return by_mode(process.entry, order.verb) or _by_others(process, processes, order.verb)
    known = {entry.tag: entry for entry in entries}
    if order.tag in known:
        return other_level(known[order.tag], group.level)
    return unknown_entry(group.name, order.tag, known)


def _by_others(process: Process, processes: Iterable[Process], verb: EntryVerb) -> str:
    """Return what speaks against an order because of other entries of the group, "" if nothing.

    What comes after an agent, a unit or an address may use it: it is not stopped under that, and
    that is not started without it.
    """
    tag, group = process.entry.tag, process.entry.group
    missing, users = missing_before(process, processes), users_of(process, processes)
    if verb is EntryVerb.STOP:
        stop = f"stop that first, or the whole group: mosha stop {group}"
        return f"{', '.join(users)} may use {tag}, being after it: {stop}" if users else ""
    if missing is None:
        return ""
    first = missing.entry.tag
    before = f"{tag} may use {first}, which comes before it and is not ready"
    if missing.held:
        return f"{before}: mosha start {group} {first}"
    return f"{before}: " + (f"mosha restart {group}" if missing.in_vain else "wait until it is")


def nothing_to_do(process: Process, verb: EntryVerb) -> str:
    """Return that an order finds an entry as it wants it, "" if it does not."""
    tag, group = process.entry.tag, process.entry.group
    stopped = process.state is ProcessState.STOPPED and not process.unattended
    if verb is EntryVerb.STOP and stopped:
        return f"entry {tag} of {group} was stopped already"
    waits = process.held or process.state in (ProcessState.PAUSING, ProcessState.RETRYING)
    if verb is EntryVerb.START and not waits:
        return f"entry {tag} of {group} was not stopped, it is {process.state}: nothing to be done"
    return ""


def _by_group(group: Group, order: EntryOrder) -> str:
    """Return why a group does not take an order for an entry now, "" if it does."""
    name = group.name
    if order.term != group.term:
        return f"{name} is under term {group.term}, and the order for term {order.term}"
    halted = group.state in (GroupState.HALTING, GroupState.CONFIGURED)
    if group.wanted == STOP_LEVEL or halted or group.lapsed or group.killed:
        return f"{name} is stopping or has stopped"
    if group.wanted == PLAN_LEVEL:
        return f"{name} has not started yet"
    if group.state in _UNDER_WAY or group.level != group.wanted:
        return f"{name} is on its way to {group.wanted}: wait until it is there"
    return ""
