"""One clinit: the real `core.supervision.supervisor`, with children made of nothing but time.

A command is `take SECONDS` (ends well after that), `spawn SECONDS` (the same, and leaves a
daemon behind) or `serve` (never ends by itself). Faults make the first two hang, where a time limit
ends them, and the last one fail again and again. Children obey INT and TERM after the stop
time of their group, unless a fault makes them deaf; SIGKILL ends them, most often at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, field

from mosha.clinit.reports import group_report
from mosha.core.cluster.node import Renewal
from mosha.core.instance_names import single
from mosha.core.replication.judging import CLTAB
from mosha.core.supervision import group as groups
from mosha.core.supervision import process_events
from mosha.core.supervision import supervisor as sup
from mosha.core.supervision import unit as units
from mosha.core.supervision.agent_traces import Remember
from mosha.core.supervision.group_report import GroupReport
from mosha.core.supervision.process_events import Exit, NotReady, Ready, TimedOut
from mosha.core.supervision.supervisor import EntryEvent, Supervisor
from mosha.core.tell import EntryOrder, Tell
from tests.sim import agents, launching, monitoring, readying
from tests.sim import children as kids
from tests.sim.children import Child
from tests.sim.disks import read_cltab

if TYPE_CHECKING:
    from tests.sim.machine import Machine
    from tests.sim.monitor import Monitor


class _Watches(Struct):
    entries: dict[tuple[str, str], process_events.Watch] = field(default_factory=dict)
    left: dict[str, units.WatchLeft] = field(default_factory=dict)


class Clinit:
    """One life of a clinit on a machine."""

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine = machine
        self.number = number
        self.specs = {spec.name: spec for spec in machine.cluster.world.groups}
        self.supervisor = Supervisor()
        self.children: dict[str, list[Child]] = {}
        self.alive = True
        self.paused = False
        self.been_ready: set[str] = set()  # groups whose service has been, since they started
        self.condemned: set[str] = set()  # groups with processes that have outlived a kill
        self._told_at: dict[str, float] = {}  # when a group was last told something; own clock
        self._late: list[Callable[[], None]] = []
        self._monitor: Monitor | None = None
        self._free_at = 0.0
        self._watches = _Watches()
        self._due: float | None = None
        self._table: bytes | None = None
        self._refusal = ""
        self._reread()
        self._agents_left = machine.agents_left
        agents.recover(self, lambda group, left: self.feed(sup.Recovered(group, left)))

    # --- what the monitor asks -------------------------------------------------------

    def subscribe(self, monitor: Monitor, reply: Callable[[], None]) -> None:
        """Take the monitor of now; it is answered after the tells that have come before."""
        self._monitor = monitor
        self._in_order(0.0, reply)

    def ask(self, monitor: Monitor, tell: Tell, reply: Callable[[str], None]) -> None:
        """Take a tell from the socket, in the order in which they came."""
        slow = self.machine.weather.of("slowlook", self.machine.id)
        if slow is not None:
            self.machine.cover("fault slow look at cltab")
        look_s = 0.0 if slow is None else slow.amount * self.machine.rng.random()
        self._in_order(look_s, partial(self._obey, monitor, tell, reply))

    def _in_order(self, takes_s: float, act: Callable[[], None]) -> None:
        now = self.machine.agenda.now
        self._free_at = max(now, self._free_at) + takes_s
        if self._free_at <= now:
            act()
        else:
            self.machine.after(self._free_at - now, act)

    def _obey(self, monitor: Monitor, tell: Tell, reply: Callable[[str], None]) -> None:
        if self._monitor is not None and monitor is not self._monitor:
            self.machine.cover("rule tell of a former monitor refused")
            return
        reply(self.tell(tell) if self.alive else "")

    def tell(self, tell: Tell) -> str:
        """Take a tell, after a look at cltab (C1.16); return why it was refused, "" if not."""
        self._reread()
        self._refusal = ""
        self.feed(tell)
        return self._refusal

    def order_entry(self, order: EntryOrder) -> str:
        """Take an order for an entry; return why it was refused, "" if not."""
        self._refusal = ""
        self.feed(order)
        return self._refusal

    def renew(self, renewals: Sequence[Renewal]) -> None:
        """Take renewed deadlines."""
        leases = {r.group: (r.term, groups.Deadlines(r.stop_at, r.kill_at)) for r in renewals}
        self.feed(sup.Leased(leases))

    def _reread(self) -> None:
        """Read the cltab that the monitor has put in force, if it is another one."""
        text = self.machine.disk.text(CLTAB)
        if text is None or text == self._table or self.paused:
            return
        self._table = text
        cltab = read_cltab(text)
        if cltab is not None:
            self.feed(sup.TableRead(cltab))

    def reports(self) -> list[GroupReport]:
        """Return every group as a monitor gets it."""
        return [self._local(name) for name in self.supervisor.units]

    def _local(self, name: str) -> GroupReport:
        unit = self.supervisor.units[name]
        group, deadlines = unit.group, unit.group.deadlines
        ordered = any(process.ordered or process.obeyed for process in unit.processes.values())
        spec = self.specs[single(name)]
        whole = ordered or spec.move_after > 0 or spec.monitor_s > 0 or name in self.condemned
        whole = whole or spec.agent_s > 0
        report = group_report(unit, group, 0, lambda _tag, _lines: ()) if whole else None
        return GroupReport(
            group=name,
            level=group.level,
            state=group.state,
            wanted=group.wanted,
            term=group.term,
            alive=len(self.children.get(name, ())),
            stop_at=deadlines.stop_at if deadlines else None,
            kill_at=deadlines.kill_at if deadlines else None,
            since=group.since,
            cause=group.cause,
            killed=group.killed,
            entries=report.entries if report is not None else (),
        )

    # --- faults ----------------------------------------------------------------------

    def end(self, *, power: bool = False) -> None:
        """End clinit; its processes are killed with it (cgroup, parent-death signal)."""
        self.alive = False
        for children in self.children.values():
            for child in tuple(children):
                if power:
                    self._remove(child)
                else:
                    self.send_kill(child)

    @property
    def lingers(self) -> bool:
        """Whether clinit has ended, and processes of it have not."""
        return not self.alive and any(self.children.values())

    def survivors(self) -> dict[str, float]:
        """Return the groups of which something has outlived a kill, and for how long its entry."""
        found = {
            group: kids.condemned_since(self.children[group]) for group in sorted(self.condemned)
        }
        now = self.machine.now
        return {group: now - at for group, at in found.items() if at is not None}

    def outlived(self, group: str) -> bool:
        """Say whether nothing is left of a group but what has outlived its kill."""
        unit = self.supervisor.units.get(group)
        deadlines = unit.group.deadlines if unit is not None else None
        kill_at = deadlines.kill_at if deadlines is not None else None
        if kill_at is not None:  # a tell that ends a group at once arrives after that moment
            kill_at = max(kill_at, self._told_at.get(group, kill_at))
        return kids.only_condemned(self.children.get(group, ()), kill_at)

    def pause(self) -> None:
        """Stop the process; a watchdog resets the machine if a kill_at passes meanwhile."""
        self.paused = True
        self._watch_over()

    def resume(self) -> None:
        """Let the process go on with all that has come meanwhile."""
        self.paused = False
        late, self._late = self._late, []
        for act in late:
            act()
        self.feed(groups.GroupTimePassed())

    def _watch_over(self) -> None:
        kill_at = min(
            (
                unit.group.deadlines.kill_at
                for name, unit in self.supervisor.units.items()
                if unit.group.deadlines is not None and self.children.get(name)
            ),
            default=None,
        )
        if kill_at is not None:
            self.machine.at_local(kill_at, self._watchdog)

    def _watchdog(self) -> None:
        if self.alive and self.paused:
            self.machine.cover("rule watchdog")
            self.machine.crash()

    def die(self, group: str) -> None:
        """Let a process of a group, or of its instance, die by itself."""
        for child in kids.of_group(self.children, group)[:1]:
            self.kill(child, 1)

    # --- the supervisor --------------------------------------------------------------

    def feed(self, event: sup.Event) -> None:
        """Give the supervisor an event and do what it asks."""
        if not self.alive:
            return
        if self.paused:
            self._late.append(partial(self.feed, event))
            return
        now = self.machine.now
        if isinstance(event, Tell):
            self._told_at[event.group] = now
            if agents.forgives(self, event):
                self.machine.cluster.leftovers.excuse(self.machine.id, event.group)
        self.supervisor, effects = sup.step(self.supervisor, event, now)
        touched: dict[str, None] = {}
        for effect in effects:
            self._do(effect, touched)
        for name in touched:
            if name in self.supervisor.units:
                self.machine.report(self, name, self._local(name))
        self._set_timer()

    def _set_timer(self) -> None:
        due = self.supervisor.due
        if due is not None and self.alive and (self._due is None or due < self._due):
            self._due = due
            self.machine.at_local(due, partial(self._time_passed, due))

    def _time_passed(self, rings: float) -> None:
        if self._due != rings:
            return
        self._due = None
        due = self.supervisor.due
        if due is None or due > self.machine.now:
            self._set_timer()  # renewed meanwhile, as most are
        else:
            self.feed(groups.GroupTimePassed())

    def _do(self, effect: sup.Effect, touched: dict[str, None]) -> None:
        match effect:
            case units.Launch():
                launching.launch(self, effect)
            case process_events.Signal() | units.KillEverything() | units.SignalLeft():
                self._send(effect)
            case process_events.Watch(entry):
                self._watches.entries[entry.group, entry.tag] = effect
                self.soon(partial(self._answer, entry.group))
            case units.WatchLeft(group):
                self._watches.left[group] = effect
                self.soon(partial(self._answer, group))
            case groups.Shown(_, after):
                touched[after.name] = None
                readying.shown(self, after)
                self.machine.cluster.shown(self.machine.id, after)
            case sup.TellReply(ok=False, text=text):
                self._refusal = text
            case sup.Halted():
                self.soon(partial(self.machine.clinit_halted, self))
            case Remember(group, left):
                self._agents_left[group] = left
            case sup.Gone(group):
                self.machine.report(self, group, None)
            case _:
                self._hear(effect, touched)

    def _hear(self, effect: sup.Effect, touched: dict[str, None]) -> None:
        """Take in what only reports and coverage are about."""
        match effect:
            case TimedOut(entry):
                self.machine.cover(f"rule {entry.mode.value} entry timed out")
            case NotReady() | Ready():
                self.machine.cover(readying.RULES[type(effect)])
            case units.Touched(group):
                touched[group] = None
            case groups.LeaseEnded(group, deadline):
                self.machine.cover(f"rule {deadline} enforced by clinit")
                touched[group] = None

    def _send(
        self, effect: process_events.Signal | units.KillEverything | units.SignalLeft
    ) -> None:
        group = effect.entry.group if isinstance(effect, process_events.Signal) else effect.group
        signal = "KILL" if isinstance(effect, units.KillEverything) else effect.signal
        for child in kids.aimed_at(self.children.get(group, ()), effect):
            self._signal(child, signal)

    # --- children --------------------------------------------------------------------

    def soon(self, act: Callable[[], None]) -> None:
        """Do something next, in this life of the machine."""
        self.machine.after(0.0, act)

    def finish(self, child: Child, verb: str) -> None:
        """End a process that has done its work."""
        if not self.alive or child not in self.children.get(child.group, ()):
            return
        if child.dying or child.killed:
            return
        if verb == "spawn":
            daemon = Child(child.group, child.tag, child.run, child.level, leader=False)
            self.children[child.group].append(daemon)
        failing = child.test and self.machine.fails_test(child.group, child.level)
        failing |= verb == monitoring.LOOK and not monitoring.finds_it_well(self, child.group)
        if child.test and not failing:
            self.machine.cluster.runs.passed(self.machine.id, child.group, child.term)
        self.kill(child, 1 if failing else 0)

    def _signal(self, child: Child, signal: str) -> None:
        if signal == "KILL":
            self.send_kill(child)
        elif child.killed or monitoring.ignores(self.machine, child):
            return
        elif child.agent:
            agents.told_to_stop(self, child)
        elif self.machine.weather.of("hangstop", self.machine.id) is not None:
            self.machine.cover("fault process ignores signals")
        elif not child.dying:
            child.dying = True
            stop_s = self.specs[single(child.group)].stop_s
            self.machine.after(stop_s, partial(self.kill, child, -2))

    def send_kill(self, child: Child) -> None:
        """Send SIGKILL; one process that does not get it, or takes its time, delays no other."""
        if child.killed:
            return
        if child.condemned_at is None:
            child.condemned_at = self.machine.now
        fails = self.alive and kids.refuses(self.machine, child)
        child.killed = not fails
        takes_s = 0.0 if fails else kids.dies_in_s(self.machine)
        if fails or takes_s:
            self.condemned.add(child.group)
        if takes_s:
            self.machine.after(takes_s, partial(self.kill, child, -9))
        elif not fails:
            self.kill(child, -9)

    def kill(self, child: Child, code: int) -> None:
        """End a process that is there, and report what its entry and others wait for."""
        if child not in self.children.get(child.group, ()):
            return
        self._remove(child)
        if not self.alive:
            return
        if child.leader:
            elsewhere = any(c.tag == child.tag for c in self.children[child.group])
            exited = process_events.Exited(child.run, Exit(code), elsewhere=elsewhere)
            self.soon(partial(self.feed, EntryEvent(child.group, child.tag, exited)))
        self.soon(partial(self._answer, child.group))

    def _remove(self, child: Child) -> None:
        left = self.children[child.group]
        left.remove(child)
        if child.exclusive and not any(c.exclusive for c in left):
            self.machine.truth.ended(self.machine.id, child.group, clinit=self.number)
        if child.undoing and not any(c.undoing for c in left):
            self.machine.truth.undone(self.machine.id, child.group, clinit=self.number)

    def _answer(self, group: str) -> None:
        """Answer the watches of a group that are fulfilled now."""
        children = self.children.get(group, [])
        watch_left = self._watches.left.get(group)
        if watch_left is not None and not any(
            not c.leader or c.tag not in watch_left.spared for c in children
        ):
            del self._watches.left[group]
            self.feed(groups.GroupEmptied(group, watch_left.visit))
        for (name, tag), watch in tuple(self._watches.entries.items()):
            if name == group and not any(c.tag == tag for c in children):
                del self._watches.entries[name, tag]
                emptied = process_events.Emptied(watch.run, watch.scope)
                self.feed(EntryEvent(group, tag, emptied))
