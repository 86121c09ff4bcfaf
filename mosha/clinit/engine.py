"""Connects the supervisor, which decides, with the processes it decides on.

`happen` passes an event to `core.supervision.supervisor` and carries out the effects that it
returns. Everything here runs in the event loop's thread and never waits.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from signal import Signals

from anyio.abc import TaskGroup

from mosha.clinit.alarm import Alarm
from mosha.clinit.effect_log import log_effect
from mosha.clinit.entry import EntryLoop
from mosha.clinit.faults import Faults
from mosha.clinit.forker import Forker
from mosha.clinit.held_addresses import HeldAddresses
from mosha.clinit.process_tracker import EntryKey, ProcessTracker
from mosha.clinit.reports import group_report
from mosha.clinit.state_dir import StateDir
from mosha.clinit.subscribers import Subscribers
from mosha.clinit.time_slices import TimeSlices
from mosha.clinit.watches import Watches
from mosha.control.protocol import Update
from mosha.core.cluster.timing import kill_s
from mosha.core.escalation import KILL
from mosha.core.status import SETTLED, GroupLine, GroupState
from mosha.core.supervision import process_events
from mosha.core.supervision.agent_traces import Remember
from mosha.core.supervision.group import Group, GroupEmptied, GroupTimePassed, LeaseEnded, Shown
from mosha.core.supervision.group_report import GroupReport
from mosha.core.supervision.overdue import overdue
from mosha.core.supervision.supervisor import (
    Effect,
    EntryEvent,
    Event,
    Gone,
    Halted,
    Supervisor,
    TellReply,
    step,
)
from mosha.core.supervision.unit import KillEverything, Launch, SignalLeft, Touched, Unit, WatchLeft
from mosha.core.tables import STOP_LEVEL
from mosha.core.watchdog import ArmedWatchdog
from mosha.host import logs
from mosha.host.clock import boottime


class Engine:
    """Runs all groups of one clinit."""

    def __init__(
        self,
        tracker: ProcessTracker,
        state_dir: StateDir,
        supervisor: Supervisor,
        forker: Forker,
        faults: Faults,
    ) -> None:
        self.supervisor = supervisor
        self.halted = asyncio.Event()
        self.news = Subscribers(self.report)
        self.on_change: Callable[[], None] = lambda: None
        self.bury: Callable[[], None] = lambda: None  # see `reaper.py`
        self.on_danger: Callable[[], None] = lambda: None  # see `self_fence.py`
        self.watchdog: ArmedWatchdog | None = None
        self._tasks: TaskGroup
        self._tracker = tracker
        self._state_dir = state_dir
        self._forker = forker
        self.faults = faults
        self._entries: dict[str, dict[str, EntryLoop]] = {}  # group -> tag
        self._watches: dict[str, Watches] = {}
        self._asking: set[Watches] = set()  # those of them that have open questions
        self._events: deque[Event] = deque()
        self._addresses = HeldAddresses(state_dir.path, self.something_ended)
        self._slices = TimeSlices()
        self._orders: deque[Iterator[None]] = deque()  # what is left to do for each event
        self._urgent = self._put_off = False
        self._late = False  # reports were put off, or come after such
        self._busy = False
        self._answer: TellReply | None = None
        self._alarm = Alarm(self._pass_time)

    def start(self, tasks: TaskGroup) -> None:
        """Start; the coroutines of entries and groups run in `tasks`."""
        self._tasks = tasks
        self._addresses.start(tasks)

    # --- events ----------------------------------------------------------------------

    def happen(self, event: Event) -> TellReply | None:
        """Handle an event and start its effects; return the reply, if it has one.

        Decisions and kills happen at once. The rest is done in the order of the decisions, in
        time slices: a thousand signals must not starve other work. A failed effect ends clinit,
        whoever called: the supervisor counts it as done.
        """
        self._events.append(event)
        if self._busy:
            return None
        self._answer = None
        self._go_on()
        return self._answer

    def _go_on(self) -> None:
        self._busy = True
        self._late = bool(self._orders)
        try:
            self._decide()
            self._carry_out()
            self._alarm.set(self.supervisor.due)
        except BaseException as error:
            self.faults.end(error)
            raise
        finally:
            self._busy = False

    def _decide(self) -> None:
        while self._events:
            self.supervisor, effects = step(self.supervisor, self._events.popleft(), boottime())
            self._addresses.leases.renew(self.supervisor.units)
            killed = {effect.group for effect in effects if isinstance(effect, KillEverything)}
            self._kill(killed)
            if killed:
                self.on_danger()
            # Nothing ordered earlier may start after the kill: all that was put off is dropped.
            self._urgent = self._urgent or bool(killed)
            for effect in effects:
                if isinstance(effect, TellReply):
                    self._answer = effect
            self._orders.append(self._obey(effects, killed))

    def _carry_out(self) -> None:
        """Carry out what has been decided, as much as fits into this time slice."""
        while self._orders:
            if next(self._orders[0], self) is self:
                self._orders.popleft()
            if self._events:  # an effect has made something happen
                self._decide()
            if self._slices.over and not self._urgent:
                break
        self._urgent = False
        if self._orders and not self._put_off:
            self._put_off = True
            self._slices.put_off(self._catch_up)

    def _catch_up(self) -> None:
        self._put_off = False
        self._go_on()

    def _pass_time(self) -> None:
        self.happen(GroupTimePassed())

    def something_ended(self) -> None:
        """Check again what is awaited to be gone: a child of clinit has ended."""
        for watches in tuple(self._asking):
            watches.look()

    @property
    def leaders(self) -> AbstractSet[int]:
        """The pids that are reaped by their entries."""
        return self._forker.leaders

    # --- reports ---------------------------------------------------------------------

    def lines(self) -> dict[str, GroupLine]:
        """Return the clstat lines of all groups that were ever told a level."""
        groups = (unit.group for unit in self.supervisor.units.values())
        return {group.name: GroupLine(group.level, group.state) for group in groups}

    def report(self, name: str) -> GroupReport | None:
        """Report a group; None if it is gone."""
        unit = self.supervisor.units.get(name)
        return None if unit is None else self._report(unit, unit.group)

    @property
    def at_rest(self) -> bool:
        """Whether no group is active and no process of one is alive."""
        return not any(line.active for line in self.lines().values())

    def full_update(self, cltab_errors: tuple[str, ...]) -> Update:
        """Report everything."""
        return Update(
            groups=tuple(
                self._report(unit, unit.group, whole=True)
                for unit in self.supervisor.units.values()
            ),
            full=True,
            pid=os.getpid(),
            cltab_errors=cltab_errors,
            halting=self.supervisor.halting,
            no_cgroups=self._tracker.no_cgroups,
            spawn=self._forker.way,
            spawn_refused=self._forker.refused,
            watchdog=self.watchdog,
        )

    def _report(self, unit: Unit, group: Group, *, whole: bool = False) -> GroupReport:
        """Report a unit, with its group as it was at the time of the report."""
        said = partial(self._said, group.name)
        notified = {tag: loop.watch.said for tag, loop in self._of(group.name).items()}
        return group_report(unit, group, self.alive(group.name), said, notified, whole=whole)

    def alive(self, group: str) -> int:
        """Return how many processes of a group may be alive."""
        # A leader may have left its cgroup, and one that is being cloned is not in one yet.
        leaders = sum(loop.occupied for loop in self._of(group).values())
        return max(self._tracker.alive(group), leaders)

    def left(self) -> list[str]:
        """Return the groups of which a process may be alive."""
        return [name for name in self.supervisor.units if self.alive(name)]

    def outliving(self, after_s: float) -> list[str]:
        """Return the groups of which a process is alive that long after `kill_at`."""
        late = overdue(self.supervisor.units, boottime(), after_s)
        return [name for name in late if self.alive(name)]

    def _said(self, group: str, tag: str, lines: int) -> tuple[str, ...]:
        loop = self._of(group).get(tag)
        return loop.said(lines) if loop is not None else ()

    def close(self) -> None:
        """Close descriptors; all groups have ended."""
        self._alarm.close()
        for watches in tuple(self._asking):
            watches.close()
        for loop in self._loops():
            loop.close()
        self._addresses.close()

    # --- effects ---------------------------------------------------------------------

    def _obey(self, effects: tuple[Effect, ...], killed: set[str]) -> Iterator[None]:
        """Carry out the effects of one event that `_kill` has not, one after the other.

        Actions first, in order; then reports and log lines: they must not delay the end of another
        group, and a failing one must not keep an order from being carried out.
        """
        done = []
        for effect in effects:
            done.append((effect, self._do(effect, killed)))
            yield
        for effect, pids in done:
            with self.faults.contain(type(effect).__name__):
                self._tell(effect, pids)
            yield

    def _kill(self, due: set[str]) -> None:
        """Kill everything in the cgroups of these groups, and leaders that have left them."""
        failed: OSError | None = None
        for group in due:
            try:
                self._tracker.kill_group(group)
            except OSError as error:  # raised after the others have been killed
                failed = error
            for loop in self._of(group).values():
                loop.kill_leader()
        if failed is not None:
            raise failed

    def _do(self, effect: Effect, killed: set[str]) -> list[int]:
        """Carry out an order; return the processes that were signalled."""
        match effect:
            case Launch():
                self._launch(effect)
            case process_events.Signal(entry, run, name, scope):
                boxed = name == KILL and entry.group in killed
                loop = self._loop(entry.group, entry.tag)
                return loop.signal(run, _number(name), scope, box_killed=boxed)
            case process_events.Watch(entry, run, scope):
                loop = self._loop(entry.group, entry.tag)
                answer = EntryEvent(entry.group, entry.tag, process_events.Emptied(run, scope))
                self._watch(entry.group).ask(answer, lambda: loop.is_empty(scope))
            case SignalLeft(group, name, spared):
                return self._tracker.signal_group(group, _number(name), spared)
            case WatchLeft(group, visit, spared):
                answer_left = GroupEmptied(group, visit)
                self._watch(group).ask(answer_left, lambda: self._is_left_empty(group, spared))
            case Remember(group, agents):
                self._state_dir.agents.note(group, agents)
            case Gone(group):  # here: a later effect of this round may bring it back
                self._forget(group)
            case Halted():
                self.halted.set()
        return []

    def _tell(self, effect: Effect, pids: list[int]) -> None:
        """Report an effect.

        A late report shows the current state. Subscribers may have it already and must not be
        shown an older one: a group that seems to have stopped again gives up its claim.
        """
        match effect:
            case Shown():
                self._show(effect)
            case Touched(group):
                self.news.touch([group])
            case LeaseEnded():
                self._tell_lease_ended(effect)
            case Gone(group):
                self.on_change()
                if not self._late or group not in self.supervisor.units:
                    self.news.tell(Update(gone=(group,)))
            case _:
                log_effect(effect, pids)

    def _tell_lease_ended(self, ended: LeaseEnded) -> None:
        """Report a passed deadline; a kill later than the timing allows may mean two owners."""
        self.news.touch([ended.group])
        late_s = round(ended.late_s, 3)
        names = {"group": ended.group, "deadline": ended.deadline, "late_s": late_s}
        if ended.deadline == "kill_at" and ended.late_s > kill_s(len(self.supervisor.units)):
            logs.get().critical("lease_ended", **names)
        else:
            logs.get().warning("lease_ended", **names)

    def _launch(self, launch: Launch) -> None:
        if launch.entry.wrapped:  # agents take a zombie for a process of their service
            self.bury()
        loop = self._loop(launch.entry.group, launch.entry.tag)
        loop.order(launch)
        if not loop.running:
            loop.running = True  # from now on, not only once the task is first scheduled
            self._tasks.start_soon(loop.run)

    def _show(self, shown: Shown) -> None:
        before, after = shown.before, shown.after
        self.on_change()
        if (after.level, after.state) == (STOP_LEVEL, GroupState.FAILED):
            self.on_danger()
        # A group that leaves cltab with nothing alive ends and is gone in one step: there is
        # nothing to report, and `Gone` follows.
        unit = self.supervisor.units.get(after.name)
        if unit is not None and self.news.heard:
            group = unit.group if self._late else after
            self.news.tell(Update(groups=(self._report(unit, group),)))
        names = {"group": after.name, "from": f"{before.level} {before.state}".strip()}
        names |= {"to": f"{after.level} {after.state}", "cause": after.cause}
        if after.state in SETTLED:
            logs.get().info("group_changed", **names)
        else:  # in transition: four of five lines, each followed by its result
            logs.get().debug("group_changed", **names)

    def _forget(self, group: str) -> None:
        for loop in self._entries.pop(group, {}).values():
            loop.close()
        if watches := self._watches.pop(group, None):
            watches.close()
        self._addresses.leases.forget(group)
        with self.faults.contain("forget"):  # an empty cgroup that stays does no harm
            self._tracker.forget(group)

    def _loops(self) -> Iterator[EntryLoop]:
        for loops in self._entries.values():
            yield from loops.values()

    def _of(self, group: str) -> Mapping[str, EntryLoop]:
        return self._entries.get(group, {})

    def _loop(self, group: str, tag: str) -> EntryLoop:
        loops = self._entries.setdefault(group, {})
        if tag not in loops:
            loops[tag] = EntryLoop(
                EntryKey(group, tag),
                self._tracker,
                self._state_dir,
                self._forker,
                self._addresses,
                self._slices,
                self.happen,
                self.news.touch,
            )
        return loops[tag]

    def _is_left_empty(self, group: str, spared: frozenset[str]) -> bool:
        """Say whether only the spared entries have processes or addresses left, anywhere."""
        loops = self._of(group)
        if any(loop.occupied for tag, loop in loops.items() if tag not in spared):
            return False
        return self._tracker.is_group_empty(group, spared) and self._addresses.are_gone(group)

    def _watch(self, group: str) -> Watches:
        if group not in self._watches:
            self._watches[group] = Watches(self.happen, self._asking)
        return self._watches[group]


def _number(name: str) -> Signals:
    return Signals[f"SIG{name}"]
