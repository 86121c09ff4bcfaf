"""A group together with its entries: connects the machines `group` and `process`.

The group gives orders (stop what leaves, start what comes), the entries report their results, and
after each event `settle` lets the group go as far as its entries allow. Definitions of entries
change only by a tell to the group (C1.16, C5.6).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from mosha.core.escalation import Limits
from mosha.core.status import SETTLED, STOPPED, GroupState
from mosha.core.supervision import agent_traces, entry_refusals, lost_entries, process_events
from mosha.core.supervision import group as groups
from mosha.core.supervision import process as processes
from mosha.core.supervision.entry_refusals import EntryReply
from mosha.core.supervision.group import Group, Sweep
from mosha.core.supervision.group_table import EntriesOrder
from mosha.core.supervision.level_result import judged
from mosha.core.supervision.process_events import Spawn
from mosha.core.supervision.process_record import Process, is_run_as, new_process, with_options_of
from mosha.core.supervision.process_table import FINISHED, LIVE, ProcessState
from mosha.core.supervision.stop_order import stopped_first, stopped_next
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, Entry, Mode, level_matches
from mosha.core.tell import EntryOrder, Tell
from mosha.errors import BugError

STEPS_MAX = 64
"""More steps than any chain of states has: more in one `settle` are a bug."""


class Launch(Struct, frozen=True):
    """Start a process with this environment; the answers are those to `process_events.Spawn`.

    Not at `kill_at` (boottime) any more: a start that was held up would come after the kill.
    """

    entry: Entry
    run: int
    level: str
    term: int
    node: str
    kill_at: float = math.inf


class KillEverything(Struct, frozen=True):
    """Send SIGKILL to all processes of the group."""

    group: str


class SignalLeft(Struct, frozen=True):
    """Send a signal to all processes of the group except the spared entries (by tag)."""

    group: str
    signal: str
    spared: frozenset[str]


class WatchLeft(Struct, frozen=True):
    """Answer with GroupEmptied as soon as only the spared entries are left."""

    group: str
    visit: int
    spared: frozenset[str]


class Touched(Struct, frozen=True):
    """Something changed that is worth a report, but not the group's level or state."""

    group: str


Effect = (
    Launch
    | process_events.Signal
    | process_events.Watch
    | process_events.Report
    | KillEverything
    | SignalLeft
    | WatchLeft
    | Touched
    | groups.Shown
    | groups.LeaseEnded
    | agent_traces.Remember
)


class Unit(Struct, frozen=True):
    """A group, its definitions as of the last tell, and its entries of the current level.

    `runs` is the greatest run number given so far; `again` is a tell that came while the
    group was being removed: it starts from scratch once that is over (C5.4).

    `untouched` says that nothing was launched since it was told `plan` while at rest, and
    `barren` that it now goes to `stop` from there, however often it is told that: then there is
    nothing to undo, and the owner of a better claim may run already, so the entries of `stop` are
    not run. `traces` are those of agents that were not seen to stop; it `recovers` if an earlier
    supervisor has left them: it is gone as soon as they have stopped.
    """

    group: Group
    entries: tuple[Entry, ...] = ()
    processes: Mapping[str, Process] = field(default_factory=dict)
    runs: int = 0
    removed: bool = False
    again: Tell | None = None
    untouched: bool = False
    barren: bool = False
    traces: agent_traces.Traces = field(default_factory=dict)
    recovers: bool = False

    @property
    def due(self) -> float | None:
        """When time alone moves the group or one of its entries on."""
        times = [process.due for process in self.processes.values() if process.due is not None]
        if self.group.due is not None:
            times.append(self.group.due)
        return min(times, default=None)


def tell(
    unit: Unit, text: Tell, entries: tuple[Entry, ...], now: float, limits: Limits
) -> tuple[Unit, tuple[Effect, ...]]:
    """Move the unit to a level with these definitions; passed deadlines are handled first."""
    group = unit.group
    stopped = group.level == group.wanted == STOP_LEVEL and group.state in STOPPED
    if stopped and groups.is_old_stop(group, text):
        return unit, (Touched(group.name),)
    at_rest = group.state is GroupState.CONFIGURED or stopped
    untouched = (at_rest and text.level == PLAN_LEVEL) or unit.untouched
    # By hand (without a term), `plan` and then `stop` run the entries of `stop` again. A `stop` of
    # an earlier claim is late: the monitor had read an old report of a clinit that was paused.
    barren = (
        unit.untouched
        and text.level == STOP_LEVEL
        and (unit.barren or group.level == PLAN_LEVEL)
        and 0 < text.term <= group.term
    )
    entries += agent_traces.stops_of_others(unit.traces, entries)
    processes = with_options_of(entries, unit.processes)
    unit = replace(unit, entries=entries, processes=processes, untouched=untouched, barren=barren)
    work = _Work(unit, now, limits)
    work.trace(agent_traces.unforgotten(unit.traces, group, text, now))
    work.group(text)
    work.time_passed()
    return work.settle()


def order_entry(
    unit: Unit, order: EntryOrder, now: float, limits: Limits
) -> tuple[Unit, tuple[Effect, ...], EntryReply]:
    """Order an entry to start, stop or restart; passed deadlines are handled first.

    Refused are orders under another term, for a group that is not at the level wanted, and for an
    entry that is not of this level or whose mode forbids it.
    """
    work = _Work(unit, now, limits)
    work.time_passed()
    group, process = work.unit.group, work.unit.processes.get(order.tag)
    all_of_it = tuple(work.unit.processes.values())
    refusal = entry_refusals.refusal(group, unit.entries, all_of_it, order)
    if process is None or refusal:
        return *work.settle(), EntryReply(False, refusal)
    work.process(order.tag, lost_entries.ordered(process, all_of_it, order))
    work.start_out_of_turn(order.tag)
    return *work.settle(), EntryReply(True, entry_refusals.nothing_to_do(process, order.verb))


def feed_group(
    unit: Unit, event: groups.Event, now: float, limits: Limits
) -> tuple[Unit, tuple[Effect, ...]]:
    """Pass an event to the group."""
    work = _Work(unit, now, limits)
    work.group(event)
    return work.settle()


def feed_process(
    unit: Unit, tag: str, event: process_events.Event, now: float, limits: Limits
) -> tuple[Unit, tuple[Effect, ...]]:
    """Pass an event to an entry; if the tag no longer exists, the event is late and dropped."""
    work = _Work(unit, now, limits)
    if tag in unit.processes:
        work.process(tag, event)
    return work.settle()


def pass_time(unit: Unit, now: float, limits: Limits) -> tuple[Unit, tuple[Effect, ...]]:
    """Do everything that is due at `now`."""
    work = _Work(unit, now, limits)
    work.time_passed()
    return work.settle()


class _Work:
    """Handles one event: collects the new values and the effects."""

    def __init__(self, unit: Unit, now: float, limits: Limits) -> None:
        self.unit = unit
        self.now = now
        self.limits = limits
        self.effects: list[Effect] = []
        self._definitions: dict[str, Entry] | None = None  # made on first use

    def group(self, event: groups.Event) -> None:
        group, effects = groups.advance(self.unit.group, event, self.now, self.limits)
        self.unit = replace(self.unit, group=group)
        for effect in effects:
            if isinstance(effect, EntriesOrder):
                self._obey(effect)
            else:
                self.effects.append(effect)

    def process(self, tag: str, event: process_events.Event) -> None:
        before = self.unit.processes[tag]
        process, effects = processes.advance(before, event, self.now, self.limits)
        self._put(process)
        self.trace(agent_traces.followed(self.unit.traces, before, event, process))
        self.effects += (self._launch(e) if isinstance(e, Spawn) else e for e in effects)
        if process is not before and not isinstance(event, process_events.Started):
            self.effects.append(Touched(self.unit.group.name))
        if lost_entries.is_news(before, process):
            self._lose(process)

    def _lose(self, process: Process) -> None:
        """Have what needs a lost entry stopped; what nothing needs is started again at once."""
        state, needed = self.unit.group.state, lost_entries.are_alive(self._all())
        at_level = state in (GroupState.STARTING, GroupState.DONE)
        if state is GroupState.STOPPING:
            self._stop(self._leavers())
        elif at_level and lost_entries.are_started(self._all()):
            self.group(groups.EntryLost(lost_entries.cause_of(process)))
        elif state in (GroupState.STARTING, *SETTLED) and not needed:
            self.effects += lost_entries.told_to_stop(self._all())
            self.start_out_of_turn(process.entry.tag)

    def trace(self, traces: agent_traces.Traces) -> None:
        if traces is not self.unit.traces:
            self.effects += agent_traces.news(self.unit.group.name, self.unit.traces, traces)
            self.unit = replace(self.unit, traces=traces)

    def start_out_of_turn(self, tag: str) -> None:
        """Start an entry that waits although all of its level have had their turn."""
        waits = self.unit.processes[tag].state is ProcessState.WAITING
        if waits and self.unit.group.state is not GroupState.STARTING:
            self.process(tag, process_events.Started(self.unit.runs + 1))

    def time_passed(self) -> None:
        for _ in range(STEPS_MAX):
            due = self.unit.group.due
            if due is None or due > self.now:
                break
            self.group(groups.GroupTimePassed())
        for tag, process in self.unit.processes.items():
            if process.due is not None and process.due <= self.now:
                self.process(tag, process_events.AlarmRang())

    def settle(self) -> tuple[Unit, tuple[Effect, ...]]:
        """Let the group go on until it must wait for something."""
        for _ in range(STEPS_MAX):
            event = self._next()
            if event is None:
                return self.unit, tuple(self.effects)
            self.group(event)
        raise BugError(f"{self.unit} does not settle")

    def _next(self) -> groups.Event | None:
        group = self.unit.group
        match group.state:
            case GroupState.STOPPING:
                self._stop_next(self._leavers())
                return None if self._leaving() else groups.LeaversGone()
            case GroupState.DUMPING:
                return groups.EntriesListed()
            case GroupState.STARTING:
                return groups.EntriesStarted() if self._all_started() else None
            case GroupState.CHECKING:
                return self._next_check()
            case GroupState.DONE:
                return self._judge() if any(p.in_vain for p in self._all()) else None
            case GroupState.HALTING if group.sweep is Sweep.NOT_YET:
                self._stop_next(lambda _: True)
                live = any(p.may_live for p in self._all())
                return None if live else groups.LeaversGone()
        return None

    def _next_check(self) -> groups.Event | None:
        group = self.unit.group
        if group.level != STOP_LEVEL or group.sweep is Sweep.FINISHED:
            return self._judge()
        ending = any(p.state in LIVE and not p.entry.respawns for p in self._all())
        return None if ending or group.sweep is Sweep.UNDER_WAY else groups.EntriesEnded()

    def _judge(self) -> groups.LevelJudged:
        spent = self.unit.group.level == STOP_LEVEL and self.unit.group.spent
        return judged(self._all(), agent_traces.unproven(self.unit.traces) if spent else ())

    def _obey(self, order: EntriesOrder) -> None:
        group = self.unit.group
        match order:
            case EntriesOrder.STOP_LEAVERS:
                self._stop(self._leavers())
            case EntriesOrder.STOP_ALL:
                self._stop(lambda _: True)
            case EntriesOrder.KILL_ALL:
                self.effects.append(KillEverything(group.name))
                for process in self._all():
                    if process.state in LIVE:
                        self.process(process.entry.tag, process_events.KillAsked())
            case EntriesOrder.LIST_ENTRIES:
                self._list_entries()
            case EntriesOrder.SWEEP | EntriesOrder.SWEEP_ON:
                spared = frozenset(p.entry.tag for p in self._all() if p.state in LIVE)
                self.effects.append(SignalLeft(group.name, group.sweep_signal, spared))
                if order is EntriesOrder.SWEEP:
                    self.effects.append(WatchLeft(group.name, group.visit, spared))

    def _all(self) -> tuple[Process, ...]:
        return tuple(self.unit.processes.values())

    def _put(self, process: Process) -> None:
        changed = {**self.unit.processes, process.entry.tag: process}
        self.unit = replace(self.unit, processes=changed, runs=max(self.unit.runs, process.run))

    def _stop(self, chosen: Callable[[Process], bool]) -> None:
        for tag in stopped_first(self._all(), chosen):
            self.process(tag, process_events.StopAsked())

    def _stop_next(self, chosen: Callable[[Process], bool]) -> None:
        tag = stopped_next(self._all(), chosen)
        if tag is not None:
            self.process(tag, process_events.StopAsked())

    def _leaving(self) -> bool:
        """Say whether any entry is alive that has to end before the wanted level starts."""
        leaves = self._leavers()
        return any(
            p.state is ProcessState.STOPPING or (p.may_live and leaves(p)) for p in self._all()
        )

    def _leavers(self) -> Callable[[Process], bool]:
        wanted = [entry for entry in self.unit.entries if self._is_wanted(entry)]
        after = lost_entries.behind(self.unit.processes, wanted, self._leaves)
        return lambda process: process.entry.tag in after or self._leaves(process)

    def _leaves(self, process: Process) -> bool:
        """Say whether an entry does not belong to the wanted level as it is now (C4.7, C5)."""
        entry = self._definition(process.entry.tag)
        return entry is None or not is_run_as(process, entry) or not self._is_wanted(entry)

    def _definition(self, tag: str) -> Entry | None:
        if self._definitions is None:
            self._definitions = {entry.tag: entry for entry in self.unit.entries}
        return self._definitions.get(tag)

    def _is_wanted(self, entry: Entry) -> bool:
        """Say whether an entry is of the wanted level; `off` ones are listed to be seen (C3.12)."""
        group = self.unit.group
        if group.wanted == STOP_LEVEL and (group.spent or self.unit.barren):
            return False  # too late for the entries of `stop`, or nothing for them to undo
        refused = entry.stops and agent_traces.refused(self.unit.traces, entry.stops)
        return not refused and level_matches(entry.level, group.wanted)

    def _list_entries(self) -> None:
        leaves, stay = self._leavers(), lost_entries.staying(self._all())
        kept = {p.entry.tag: p for p in stay if not leaves(p)}
        listed = {
            entry.tag: replace(kept[entry.tag], entry=entry)
            if entry.tag in kept
            else new_process(entry)
            for entry in self.unit.entries
            if self._is_wanted(entry)
        }
        self.unit = replace(self.unit, processes=listed)
        self.effects += lost_entries.told_to_stop(self._all())

    def _all_started(self) -> bool:
        """Start what can be started now, in file order; say whether that was all (C3.1, C3.2)."""
        for process in self._all():
            if process.in_vain:
                return True  # what comes after it needs it: the level has failed
            if process.state is ProcessState.WAITING:
                self.process(process.entry.tag, process_events.Started(self.unit.runs + 1))
            ends = process.entry.mode in (Mode.WAIT, Mode.TEST) and process.state not in FINISHED
            if ends or process.awaited:
                return False
        return True

    def _launch(self, spawn: Spawn) -> Launch:
        self.unit = replace(self.unit, untouched=False)
        self.trace(agent_traces.launched(self.unit.traces, spawn.entry))
        group = self.unit.group
        kill_at = group.deadlines.kill_at if group.deadlines is not None else math.inf
        return Launch(spawn.entry, spawn.run, group.level, group.term, group.node, kill_at)
