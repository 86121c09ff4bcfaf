"""What the agents of a group may have left: whether what a kill does not undo was undone.

A mount, an address, a volume or a container does not end with the processes of the group. The agent
that has made it (`core.lasting`) is *unproven* from its launch until its stop is seen to succeed.
A group that was killed before that has not stopped, although no process of it is alive.

An agent that refused to start has made nothing: its stop is not asked for, since it would refuse
that too.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from mosha.core.status import GroupState
from mosha.core.supervision.failures import Severity
from mosha.core.supervision.group import Group
from mosha.core.supervision.process_events import (
    BecameReady,
    Event,
    Exited,
    SpawnFailed,
    SpawnPrevented,
)
from mosha.core.supervision.process_record import Process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import STOP_LEVEL, Entry, Mode, agent_stop
from mosha.core.tell import Tell


class Trace(enum.Enum):
    """What is known of an agent since it was last seen to be stopped."""

    LAUNCHED = enum.auto()  # its start is under way, and may make something
    STARTED = enum.auto()  # it has, or may have, made something
    REFUSED = enum.auto()  # it cannot run its service here, and has made nothing


class AgentTrace(Struct, frozen=True):
    """An agent, by the entry that it was launched with, and what is known of it."""

    entry: Entry
    trace: Trace


class Remember(Struct, frozen=True):
    """Remember for a later supervisor that these agents of a group were not seen to stop.

    It is remembered before one of them is started.
    """

    group: str
    agents: tuple[Entry, ...]


Traces = Mapping[str, AgentTrace]
"""The agents that were launched and not seen to stop, by the tags of their entries."""


def unproven(traces: Traces) -> tuple[Entry, ...]:
    """Return the agents of which something may be left that outlives all processes."""
    found = (it.entry for it in traces.values() if it.trace is not Trace.REFUSED)
    return tuple(entry for entry in found if entry.lasts)


def left_behind(agents: Iterable[Entry]) -> Traces:
    """Return the traces of agents that an earlier supervisor has left."""
    return {entry.tag: AgentTrace(entry, Trace.STARTED) for entry in agents}


def stops_of_others(traces: Traces, entries: Collection[Entry]) -> tuple[Entry, ...]:
    """Return the tests at level `stop` of agents that are no longer among the entries."""
    known = {entry.tag for entry in entries}
    others = (entry for entry in unproven(traces) if agent_stop(entry).tag not in known)
    return tuple(map(agent_stop, reversed([*others])))


def refused(traces: Traces, tag: str) -> bool:
    """Say whether an agent has refused to start, so that there is nothing to stop."""
    return tag in traces and traces[tag].trace is Trace.REFUSED


def news(group: str, before: Traces, after: Traces) -> tuple[Remember, ...]:
    """Return what is to be remembered of a group now, if that is not what was before."""
    agents = unproven(after)
    return () if agents == unproven(before) else (Remember(group, agents),)


def launched(traces: Traces, entry: Entry) -> Traces:
    """Return the traces after the launch of an entry."""
    if entry.mode is not Mode.OCF or entry.stops:
        return traces
    clean = entry.tag not in traces or refused(traces, entry.tag)
    trace = Trace.LAUNCHED if clean else Trace.STARTED
    return {**traces, entry.tag: AgentTrace(entry, trace)}


def followed(traces: Traces, before: Process, event: Event, after: Process) -> Traces:
    """Return the traces after an event of an entry, which was `before` and is now `after`.

    An agent was seen to stop by the test at level `stop`, or by what runs the agent, which was told
    to stop it.
    """
    stopped = after.entry.stops
    if stopped and after.state is ProcessState.PASSED:
        return _without(traces, stopped)
    known = traces.get(before.entry.tag)
    if known is None:
        return traces
    match event:
        case Exited(_, ended) if ended.well and before.state is ProcessState.STOPPING:
            return _without(traces, before.entry.tag)
        case SpawnFailed() | SpawnPrevented(lost=False) if known.trace is Trace.LAUNCHED:
            return _without(traces, before.entry.tag)
        case Exited() if known.trace is Trace.LAUNCHED and after.severity is not Severity.SOFT:
            return {**traces, before.entry.tag: AgentTrace(known.entry, Trace.REFUSED)}
        case BecameReady() | Exited() | SpawnPrevented() if known.trace is Trace.LAUNCHED:
            return {**traces, before.entry.tag: AgentTrace(known.entry, Trace.STARTED)}
    return traces


def unforgotten(traces: Traces, group: Group, text: Tell, now: float) -> Traces:
    """Return the traces after a tell: none if it says to forget that a stop has failed.

    A monitor does so when an operator has declared it mended and the claim was overtaken: it says
    `stop` with deadlines that have passed (`core/cluster/group_rules.py`).
    """
    failed = (group.level, group.state) == (STOP_LEVEL, GroupState.FAILED)
    over = text.level == STOP_LEVEL and text.kill_at is not None and text.kill_at <= now
    return {} if failed and over else traces


def _without(traces: Traces, tag: str) -> Traces:
    return {name: it for name, it in traces.items() if name != tag}
