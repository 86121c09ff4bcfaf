"""One life of a monitor: the product's runtime and agent, in virtual time.

The ports are fake: threads that read and write (`threads`), clinit's socket, tables, shots, the
clock. All that reaches the process goes through `handle`, so that a paused or slow one is late for
everything.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mosha.core.cluster import effects
from mosha.core.cluster.agent import Agent
from mosha.core.cluster.events import (
    ClinitEnded,
    ClinitLost,
    EntryOrderAnswered,
    Event,
    FileChanged,
    GroupsReported,
    LeasesRenewed,
    LeaveAsked,
    TellAnswered,
)
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.group_step import GroupStep
from mosha.core.cluster.node import Node
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.recovery import Startup
from mosha.core.cluster.state import LogRecord
from mosha.core.replication.node_tables import NodeTables
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import EntryOrder, Tell
from mosha.monitor.runtime import Runtime
from tests.sim import ladders
from tests.sim.agenda import EPSILON_S
from tests.sim.checks.shots import Shooter
from tests.sim.disks import TableDoors
from tests.sim.rooms import capacity_of
from tests.sim.threads import Reader, Writer
from tests.sim.world import World

if TYPE_CHECKING:
    from tests.sim.clinit import Clinit
    from tests.sim.machine import Machine

Act = Callable[[], None]

# More passes at one moment than any chain of decisions takes: it would never end.
PASSES_MAX = 50


class ThrashingError(AssertionError):
    """The agent has something to do without end."""


class CountedNode(Node):
    """A node whose steps the simulator counts, row by row."""

    counted: Callable[..., None]

    def step(self, group: str, now: float, chance: float) -> GroupStep:
        """Take a step of one group."""
        step = super().step(group, now, chance)
        self.counted(self.state.me, group, step, granted=self.state.record(group).granted)
        return step


class Monitor:
    """One life of a monitor on a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cluster = machine.cluster
        self.agenda = machine.agenda
        self.clock = machine.clock
        self.now: Callable[[], float] = machine.clock.now  # the boottime here
        self.weather = machine.weather
        self.world: World = machine.cluster.world
        self.rng = machine.rng
        self.timing, self.nodes = machine.timing, machine.nodes
        self.alive = True
        self.paused = False
        self.ready = False
        self.leaving = False
        self.began_s = machine.agenda.now
        self.busy_until = 0.0
        self.inbox: deque[tuple[Clinit, str, GroupReport | None]] = deque()
        self._late: list[Act] = []
        self._connecting = False
        self._loaded = False
        self._ringing_at = math.inf
        self.node = self._born()
        self.doors = TableDoors(self)
        tables = NodeTables(machine.id, self.doors.places, self.timing.heartbeat_s)
        self.runtime = Runtime(Agent(self.node, tables), self._ports(), self)
        self.report: Callable[[Event], None] = self.runtime.report

    def _born(self) -> Node:
        machine, world = self.machine, self.world
        self.cluster.probation.born(machine.id)
        former = self.cluster.files.own(machine.id)
        if former is not None:
            machine.cover("rule born with a former life")
        elif self.cluster.files.kept[machine.id]:
            machine.cover("rule born without the former life")
            machine.truth.forgot(machine.id)
        inc = max(1, int(machine.wall_s))
        ids = self.nodes
        policy = Policy.ADAPTIVE if world.adaptive else Policy.MAJORITY
        fence = world.fence
        rules = FencingRules(
            required=fence.required,
            takeover_s=world.timing.heartbeat_s * 2,
            retry_s=world.timing.heartbeat_s * 4,
            probation=fence.probation,
            ask_for_shots=fence.ask,
        )
        startup = Startup(
            me=machine.id,
            inc=inc,
            run=f"{self.rng.getrandbits(32):08x}",
            boot=f"b{machine.id}x{machine.boots}",
            now=machine.now,
            former=former,
            memory=machine.disk.memory,
            clinit_lives=machine.clinit is not None and machine.clinit.alive,
        )
        electorate = Electorate(policy, ids)
        if world.adaptive and machine.disk.electorate is not None:
            electorate = machine.disk.electorate
        node = CountedNode(startup, self.timing, rules=rules, electorate=electorate, members=ids)
        node.counted = self.cluster.stepped
        node.state.capacity = capacity_of(world, machine.id)
        return node

    def _ports(self) -> dict[type, Callable[..., None]]:
        """Return what carries out each effect; what only looks good or saves power does nothing."""

        def ignore(effect: effects.Effect) -> None:
            del effect

        return {
            effects.ReadStatus: Reader(self).read,
            effects.WriteStatus: Writer(self).write,
            effects.RenewLeases: self._renew,
            **self.doors.table(),
            effects.EndClinit: self._end_clinit,
            effects.EndMonitor: self._left,
            Tell: self._tell,
            EntryOrder: self._order_entry,
            FenceOrder: self._shoot,
            LogRecord: partial(self.cluster.noted, self.machine.id),
            effects.LookAround: ignore,
            effects.WatchNodes: ignore,
            effects.HurryWatch: ignore,
            effects.FeedWatchdog: ignore,
            effects.Announce: ignore,
        }

    # --- the clock of the runtime ----------------------------------------------------------

    def chance(self) -> float:
        """Return a number in [0, 1)."""
        return self.rng.random()

    def wake_at(self, when: float) -> None:
        """Ring at a time; what is due already is done after each act (`handle`)."""
        if when < self._ringing_at and when > self.now():
            self._ringing_at = when
            true = self.clock.true(when) + EPSILON_S
            self.agenda.at(true, partial(self._ring, when))

    def _ring(self, when: float) -> None:
        if self._ringing_at == when:
            self._ringing_at = math.inf
            self.handle(self.runtime.wake)

    # --- being a process ---------------------------------------------------------------

    def soon(self, seconds: float, act: Act) -> None:
        """Do something later, if this monitor lives then."""
        self.agenda.at(self.agenda.now + seconds, partial(self.handle, act))

    def handle(self, act: Act) -> None:
        """Deal with something now, or when this process gets to it."""
        if not self.alive:
            return
        if self.clock.still:
            self.machine.defer(partial(self.handle, act))
            return
        if self.paused:
            self._late.append(act)
            return
        if self.agenda.now < self.busy_until:
            self.agenda.at(self.busy_until, partial(self.handle, act))
            return
        act()
        runtime, now = self.runtime, self.now()
        if runtime.due <= now:
            self._do_what_is_due(now)
        runtime.agent.check(now)
        weather = self.weather
        if weather.in_force and (slow := weather.of("slow", self.machine.id)) is not None:
            self.machine.cover("fault slow")
            self.busy_until = self.agenda.now + slow.amount * self.rng.random() ** 2

    def _do_what_is_due(self, now: float) -> None:
        runtime = self.runtime
        for _ in range(PASSES_MAX):
            if runtime.due > now or not self.alive:
                return
            runtime.wake()
        raise ThrashingError(f"node {self.machine.id} has something to do for ever")

    def pause(self) -> None:
        """SIGSTOP."""
        self.paused = True

    def resume(self) -> None:
        """SIGCONT: everything that came meanwhile is dealt with now, in some order."""
        if not self.paused:
            return
        self.paused = False
        late, self._late = self._late, []
        if self.rng.random() < 0.5:
            self.rng.shuffle(late)  # an event loop does not promise which timer fires first
        for act in late:
            self.handle(act)

    # --- clinit --------------------------------------------------------------------------

    def connect(self) -> None:
        """Reach clinit, started if there is none; then begin to take part."""
        self._connecting = True
        self.soon(self.world.ipc_s * 2, self._connected)

    def _connected(self) -> None:
        if not self.machine.may_start_clinit():
            self.machine.cover("fault clinit waits for what is left of a former one")
            self.soon(self.timing.heartbeat_s, self._connected)
            return
        clinit = self.machine.running_clinit()
        if clinit.paused:
            self.soon(self.timing.heartbeat_s, self._connected)
            return
        clinit.subscribe(self, partial(self._subscribed, clinit))

    def _subscribed(self, clinit: Clinit) -> None:
        if self.paused or not self.alive:
            self.handle(partial(self._subscribed, clinit))
            return
        if clinit is not self.machine.clinit:
            self.connect()  # it went before it had answered
            return
        if not self._has_tables():
            self.soon(self.world.ipc_s, partial(self._subscribed, clinit))
            return
        self._connecting = False
        self.ready = True
        self.handle(partial(self.report, GroupsReported(tuple(clinit.reports()), full=True)))

    def _has_tables(self) -> bool:
        """Say whether what was in force before is, or a newer edit; read it if nobody has."""
        if not self._loaded:
            self._loaded = True
            self.doors.load()
        return self.runtime.agent.tables.complete

    def clinit_lost(self) -> None:
        """Hear that clinit is gone; start another one."""
        if self.ready and not self._connecting:
            self.report(ClinitLost())
            self.connect()

    def hear_clinit(self) -> None:
        """Hear the oldest report on the socket, unless it comes from a clinit that is gone."""
        clinit, group, report = self.inbox.popleft()
        if clinit is not self.machine.clinit or not self.ready:
            return
        if report is None:
            self.machine.cover("rule group dropped by clinit")
            self.report(GroupsReported(gone=(group,)))
        else:
            ladders.foresee(self, report)
            self.report(GroupsReported((report,)))

    def _tell(self, order: Tell) -> None:
        # What is on the socket is there, whatever becomes of this monitor.
        self.machine.after(self.world.ipc_s, partial(self._arrive, order))

    def _arrive(self, order: Tell) -> None:
        clinit = self.machine.clinit
        if clinit is None or self._connecting:
            self._answered(order, "")
            return
        if not self.alive:
            self.machine.cover("fault tell of a killed monitor")
        clinit.ask(self, order, partial(self._answered, order))

    def _answered(self, order: Tell, refusal: str) -> None:
        answer = TellAnswered(order.group, order.level, refusal)
        self.soon(self.world.ipc_s, partial(self.report, answer))

    def _order_entry(self, order: EntryOrder) -> None:
        self.machine.after(self.world.ipc_s, partial(self._entry_order_arrives, order))

    def _entry_order_arrives(self, order: EntryOrder) -> None:
        clinit = self.machine.clinit
        refusal = None
        if clinit is not None and clinit.alive and not (self._connecting or clinit.paused):
            refusal = clinit.order_entry(order)
        ok = None if refusal is None else not refusal
        answer = EntryOrderAnswered(order, ok, refusal or "")
        self.soon(self.world.ipc_s, partial(self.report, answer))

    def _renew(self, order: effects.RenewLeases) -> None:
        clinit = self.machine.clinit
        if not order.renewals or clinit is None or self._connecting:
            self.report(LeasesRenewed())
            return
        self.soon(self.world.ipc_s, partial(clinit.renew, order.renewals))
        self.soon(2 * self.world.ipc_s, partial(self.report, LeasesRenewed()))

    # --- leaving ---------------------------------------------------------------------------

    def leave(self) -> None:
        """SIGTERM."""
        self.leaving = True
        self.report(LeaveAsked())

    def _end_clinit(self, order: effects.EndClinit) -> None:
        del order
        self.machine.end_clinit()
        self.soon(self.world.ipc_s, partial(self.report, ClinitEnded()))

    def _left(self, order: effects.EndMonitor) -> None:
        del order
        self.alive = False
        self.machine.has_left()

    # --- the others ------------------------------------------------------------------------

    def notice(self, node: int) -> None:
        """Hear that a new version of a node's file became visible."""
        if self.ready:
            self.report(FileChanged(node))

    def _shoot(self, order: FenceOrder) -> None:
        by = Shooter(self.began_s, self.timing.timeout_s, self.nodes, self.now())
        self.cluster.shots.ordered(self.machine.id, order, by)
        self.cluster.fences.shoot(self, order)
