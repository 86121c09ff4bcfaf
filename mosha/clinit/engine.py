"""Between the supervisor that decides and the processes it decides on.

`happen` takes an event, asks `core.supervisor`, and does what it answers. Everything here
runs in the event loop's thread and none of it waits.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from functools import partial
from signal import Signals

from anyio.abc import TaskGroup

from mosha import logs
from mosha.clinit.alarm import Alarm
from mosha.clinit.boxes import Boxes, Key
from mosha.clinit.entry import EntryLoop
from mosha.clinit.faults import Faults
from mosha.clinit.forker import Forker
from mosha.clinit.news import News
from mosha.clinit.orphans import StateDir
from mosha.clinit.reports import group_report
from mosha.clinit.watches import Watches
from mosha.clock import boottime
from mosha.control.protocol import GroupReport, Update
from mosha.core.group import Group, GroupEmptied, LeaseEnded, Shown, TimePassed
from mosha.core.ladder import Limits
from mosha.core.process import Emptied, Scope, Signal, Throttled, Watch
from mosha.core.status import GroupLine
from mosha.core.supervisor import (
    Answer,
    Effect,
    EntryEvent,
    Event,
    Gone,
    Halted,
    Supervisor,
    step,
)
from mosha.core.unit import KillEverything, Launch, SignalLeft, Touched, Unit, WatchLeft


class Engine:
    """All groups of one clinit at work."""

    def __init__(
        self,
        boxes: Boxes,
        state_dir: StateDir,
        limits: Limits,
        forker: Forker,
        faults: Faults,
    ) -> None:
        self.supervisor = Supervisor(limits=limits)
        self.halted = asyncio.Event()
        self.news = News(self.report)
        self.on_change: Callable[[], None] = lambda: None
        self._tasks: TaskGroup
        self._boxes = boxes
        self._state_dir = state_dir
        self._forker = forker
        self.faults = faults
        self._entries: dict[Key, EntryLoop] = {}
        self._watches: dict[str, Watches] = {}
        self._events: deque[Event] = deque()
        self._busy = False
        self._answer: Answer | None = None
        self._alarm = Alarm(self._pass_time)

    def start(self, tasks: TaskGroup) -> None:
        """Begin; the coroutines of entries and groups run in `tasks`."""
        self._tasks = tasks

    # --- what happens ----------------------------------------------------------------

    def happen(self, event: Event) -> Answer | None:
        """Take an event and do all that follows; return the answer, if it asked for one.

        An effect may make further events happen; these wait until it is their turn. An effect
        that fails is the end of clinit, whoever called: the supervisor counts it as done.
        """
        self._events.append(event)
        if self._busy:
            return None
        self._busy = True
        self._answer = None
        try:
            while self._events:
                self.supervisor, effects = step(self.supervisor, self._events.popleft(), boottime())
                for effect in sorted(effects, key=_urgency):
                    self._do(effect)
        except BaseException as error:
            self.faults.end(error)
            raise
        finally:
            self._busy = False
        self._alarm.set(self.supervisor.due)
        return self._answer

    def _pass_time(self) -> None:
        self.happen(TimePassed())

    def something_ended(self) -> None:
        """Look again whether what shall be gone is gone: a child of clinit has ended."""
        for watches in self._watches.values():
            watches.look()

    def leaders(self) -> set[int]:
        """Return the pids that are reaped by their entries."""
        return {loop.child.pid for loop in self._entries.values() if loop.child is not None}

    # --- what there is ---------------------------------------------------------------

    def lines(self) -> dict[str, GroupLine]:
        """Return the clstat lines of all told groups."""
        groups = (unit.group for unit in self.supervisor.units.values())
        return {group.name: GroupLine(group.level, group.state) for group in groups}

    def report(self, name: str) -> GroupReport | None:
        """Report a group; None if it is gone."""
        unit = self.supervisor.units.get(name)
        return None if unit is None else self._report(unit, unit.group)

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
            no_cgroups=self._boxes.no_cgroups,
        )

    def _report(self, unit: Unit, group: Group, *, whole: bool = False) -> GroupReport:
        """Report a unit, with its group as it was at the moment to report."""
        alive = self._boxes.alive(group.name)
        return group_report(unit, group, alive, partial(self._said, group.name), whole=whole)

    def _said(self, group: str, tag: str, lines: int) -> tuple[str, ...]:
        loop = self._entries.get(Key(group, tag))
        return loop.said(lines) if loop is not None else ()

    def close(self) -> None:
        """Give back descriptors; all groups have ended."""
        self._alarm.close()
        for loop in self._entries.values():
            loop.close()

    # --- what shall be done ----------------------------------------------------------

    def _do(self, effect: Effect) -> None:
        match effect:
            case Launch():
                self._launch(effect)
            case Signal():
                self._signal(effect)
            case Watch(entry, run, scope):
                loop = self._loop(Key(entry.group, entry.tag))
                answer = EntryEvent(entry.group, entry.tag, Emptied(run, scope))
                self._watch(entry.group).ask(answer, lambda: loop.is_empty(scope))
            case SignalLeft(group, name, spared):
                pids = self._boxes.signal_group(group, _number(name), spared)
                if pids:
                    logs.get().info("leftover_ended", group=group, signal=name, pids=pids)
            case WatchLeft(group, visit, spared):
                boxes = self._boxes
                answer_left = GroupEmptied(group, visit)
                self._watch(group).ask(answer_left, lambda: boxes.is_group_empty(group, spared))
            case KillEverything(group):
                self._kill(group)
            case Shown():
                self._show(effect)
            case Touched(group):
                self.news.touch([group])
            case _:
                self._tell(effect)

    def _tell(self, effect: Effect) -> None:
        match effect:
            case Answer():
                self._answer = effect
            case Throttled(entry, until):
                pause_s = round(until - boottime())
                text = f"{entry.tag} respawning too rapidly: sleeping {pause_s} seconds"  # C3.9
                logs.get().warning("entry_throttled", group=entry.group, tag=entry.tag, text=text)
            case LeaseEnded(group, deadline):
                logs.get().warning("lease_ended", group=group, deadline=deadline)
            case Gone(group):
                self._forget(group)
            case Halted():
                self.halted.set()

    def _kill(self, group: str) -> None:
        """Kill all that is in the group's cgroup, and leaders that have left it."""
        self._boxes.kill_group(group)
        for key, loop in self._entries.items():
            if key.group == group:
                loop.kill_leader()

    def _launch(self, launch: Launch) -> None:
        loop = self._loop(Key(launch.entry.group, launch.entry.tag))
        loop.order(launch)
        if not loop.running:
            loop.running = True  # from now on, not only when the task gets its first turn
            self._tasks.start_soon(loop.run)

    def _signal(self, effect: Signal) -> None:
        entry = effect.entry
        number = _number(effect.signal)
        loop = self._loop(Key(entry.group, entry.tag))
        pids = loop.signal(effect.run, number, effect.scope)
        names = {"group": entry.group, "tag": entry.tag, "signal": effect.signal}
        if pids and effect.scope is Scope.SESSION:
            logs.get().info("leftover_ended", **names, pids=pids)
        elif pids:
            logs.get().info("entry_signalled", **names, pids=pids)

    def _show(self, shown: Shown) -> None:
        before, after = shown.before, shown.after
        self.on_change()
        # A group that leaves cltab with nothing alive shows its end and is gone in one step:
        # then there is nothing to report, and `Gone` follows.
        unit = self.supervisor.units.get(after.name)
        if unit is not None and self.news.heard:
            self.news.tell(Update(groups=(self._report(unit, after),)))
        logs.get().info(
            "group_changed",
            **{"group": after.name, "from": f"{before.level} {before.state}".strip()},
            to=f"{after.level} {after.state}",
            cause=after.cause,
        )

    def _forget(self, group: str) -> None:
        for key in [key for key in self._entries if key.group == group]:
            self._entries.pop(key).close()
        self._boxes.forget(group)
        self.on_change()
        self.news.tell(Update(gone=(group,)))

    def _loop(self, key: Key) -> EntryLoop:
        if key not in self._entries:
            self._entries[key] = EntryLoop(
                key, self._boxes, self._state_dir, self._forker, self.happen
            )
        return self._entries[key]

    def _watch(self, group: str) -> Watches:
        if group not in self._watches:
            self._watches[group] = Watches(self.happen)
            self._tasks.start_soon(self._watches[group].run)
        return self._watches[group]


_LATER = (Shown, Touched, Answer, Throttled, LeaseEnded, Gone, Halted)


def _urgency(effect: Effect) -> int:
    """Say in which order the effects of one event are done; equal ones stay as they are.

    What kills comes first, for all groups, then what else is done to processes, then what
    tells of it: a report or a log line must not delay the end of another group.
    """
    if isinstance(effect, KillEverything):
        return 0
    return 2 if isinstance(effect, _LATER) else 1


def _number(name: str) -> Signals:
    return Signals[f"SIG{name}"]
