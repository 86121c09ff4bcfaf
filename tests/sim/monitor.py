"""One life of a monitor: a shell around the real `core.node.Node`, in virtual time.

It does what the product's monitor does, task for task: readers that look at peers, one write
at a time, a coroutine per group that waits until its tell is answered, renewals, fencing.
Everything goes through `_handle`, so that a paused or slow process is late for everything.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from mosha.core.fencing import FencingRules
from mosha.core.life import Local
from mosha.core.node import Node
from mosha.core.quorum import Electorate, Policy
from mosha.core.recovery import Birth
from mosha.core.shots import FenceOrder
from mosha.core.status import Status
from mosha.core.turn import Tell
from tests.sim.agenda import EPSILON_S
from tests.sim.checks.shots import Shooter
from tests.sim.reader import Readers
from tests.sim.tables import Tables
from tests.sim.world import World
from tests.sim.writer import Writer

if TYPE_CHECKING:
    from tests.sim.clinit import Clinit
    from tests.sim.machine import Machine

Act = Callable[[], None]

# More turns at one moment than any chain of decisions takes: it would never end.
ROUNDS_MAX = 50
RENEWALS_PER_HEARTBEAT = 4


class ThrashingError(AssertionError):
    """The brain asks for turns without end."""


class GroupTask(Struct):
    """The coroutine of one group: waiting for a time, a wake-up, or an answer of clinit."""

    wake_at: float = math.inf
    busy: bool = False
    woken: bool = False


class Monitor:
    """One life of a monitor on a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cluster = machine.cluster
        self.agenda = machine.agenda
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
        self.inbox: deque[tuple[Clinit, str, Local | None]] = deque()
        self._late: list[Act] = []
        self._tasks: dict[str, GroupTask] = {}
        self._renewing = False
        self._renewed_at = -math.inf
        self._fence_at = math.inf
        self._connecting = False
        self.node = self._born()
        self.readers = Readers(self)
        self.writer = Writer(self)
        self.tables = Tables(self)

    def _born(self) -> Node:
        machine, world = self.machine, self.world
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
        )
        birth = Birth(
            me=machine.id,
            inc=inc,
            run=f"{self.rng.getrandbits(32):08x}",
            boot=f"b{machine.id}x{machine.boots}",
            now=machine.now,
            former=former,
            memory=machine.disk.memory,
        )
        electorate = Electorate(policy, ids)
        if world.adaptive and machine.disk.electorate is not None:
            electorate = machine.disk.electorate
        return Node(birth, self.timing, rules=rules, electorate=electorate, members=ids)

    # --- being a process ---------------------------------------------------------------

    @property
    def now(self) -> float:
        """The boottime here."""
        return self.machine.clock.local(self.agenda.now)

    def soon(self, seconds: float, act: Act) -> None:
        """Do something later, if this monitor lives then."""
        self.agenda.at(self.agenda.now + seconds, partial(self.handle, act))

    def at_local(self, local: float, act: Act) -> None:
        """Do something when the own clock shows a time."""
        true = self.machine.clock.true(local) + EPSILON_S
        self.agenda.at(true, partial(self.handle, act))

    def handle(self, act: Act) -> None:
        """Deal with something now, or when this process gets to it."""
        if not self.alive:
            return
        if self.machine.clock.still:
            self.machine.defer(partial(self.handle, act))
            return
        if self.paused:
            self._late.append(act)
            return
        if self.agenda.now < self.busy_until:
            self.agenda.at(self.busy_until, partial(self.handle, act))
            return
        act()
        self.settle()
        weather = self.weather
        if weather.in_force and (slow := weather.of("slow", self.machine.id)) is not None:
            self.machine.cover("fault slow")
            self.busy_until = self.agenda.now + slow.amount * self.rng.random() ** 2

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

    # --- life --------------------------------------------------------------------------

    def connect(self) -> None:
        """Reach clinit, started if there is none; then begin to take part."""
        self._connecting = True
        self.soon(self.world.ipc_s * 2, self._connected)

    def _connected(self) -> None:
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
        self._connecting = False
        self.node.clinit_answered(clinit.locals(), self.now)
        if self.ready:
            return
        self.ready = True
        if any(shelf.in_force for shelf in self.machine.disk.tables.values()):
            self.tables.tell()
        self.tables.look()
        self.readers.open()
        self.writer.open()
        self.soon(self.timing.heartbeat_s, self._look_at_tables)

    def _look_at_tables(self) -> None:
        self.tables.look()
        self.tables.choose()
        self.soon(self.timing.heartbeat_s, self._look_at_tables)

    def clinit_lost(self) -> None:
        """Hear that clinit is gone; start another one."""
        if not self.ready or self._connecting:
            return
        self.node.clinit_lost()
        self.connect()

    def hear_clinit(self) -> None:
        """Hear the oldest report on the socket, unless it comes from a clinit that is gone."""
        clinit, group, local = self.inbox.popleft()
        if clinit is not self.machine.clinit or not self.ready:
            return
        if local is None:
            self.machine.cover("rule group dropped by clinit")
            self.node.clinit_dropped(group)
        else:
            self.node.clinit_changed(local)

    def leave(self) -> None:
        """SIGTERM."""
        if self.ready:
            self.leaving = True
            self.node.leave()

    # --- the one way out of the brain ----------------------------------------------------

    def settle(self) -> None:
        """Carry out what the last fact asks for."""
        if not self.alive or not self.ready:
            return
        node, mind = self.node, self.node.mind
        if mind.woken:  # asked here, for most facts wake nobody
            self._take_turns()
        if mind.dirty:
            self.writer.want()
        if mind.notes:
            self._tell_notes()
        if self.leaving and node.halted():
            self.leaving = False
            self.writer.last()

    def _take_turns(self) -> None:
        for _ in range(ROUNDS_MAX):
            woken = self.node.take_woken()
            if not woken:
                return
            for group in sorted(woken):
                self._turn(group)
        raise ThrashingError(f"node {self.machine.id} takes turns of {sorted(woken)} for ever")

    def _tell_notes(self) -> None:
        node, fence = self.node, False
        for note in node.take_notes():
            self.cluster.noted(self.machine.id, note)
            fence = fence or note.event in ("peer_changed", "quorum_changed", "fence_ended")
        if fence:
            self._fence()

    def _turn(self, group: str) -> None:
        task = self._tasks.get(group)
        if task is None:
            task = self._tasks[group] = GroupTask()
        if task.busy:
            task.woken = True
            return
        turn = self.node.turn(group, self.now, self.rng.random())
        self.cluster.turned(turn)
        if turn.tell is not None:
            task.busy = True
            # What is on the socket is there, whatever becomes of this monitor.
            self.machine.after(self.world.ipc_s, partial(self._tell, task, turn.tell))
        if turn.wake_at != task.wake_at:
            task.wake_at = turn.wake_at
            if turn.wake_at < math.inf:
                self.at_local(turn.wake_at, partial(self._time_to, task, group, turn.wake_at))

    def _time_to(self, task: GroupTask, group: str, wake_at: float) -> None:
        if task.wake_at == wake_at:
            task.wake_at = math.inf
            self._turn(group)

    def _tell(self, task: GroupTask, tell: Tell) -> None:
        clinit = self.machine.clinit
        if clinit is None or self._connecting:
            self._answered(task, tell, "")
            return
        if not self.alive:
            self.machine.cover("fault tell of a killed monitor")
        clinit.ask(self, tell, partial(self._answered, task, tell))

    def _answered(self, task: GroupTask, tell: Tell, refusal: str) -> None:
        self.soon(self.world.ipc_s, partial(self._told, task, tell, refusal))

    def _told(self, task: GroupTask, tell: Tell, refusal: str) -> None:
        task.busy, group = False, tell.group
        if refusal:
            self.node.tell_refused(group, tell.level, refusal, self.now)
        if task.woken:
            task.woken = False
            self._turn(group)

    # --- leases --------------------------------------------------------------------------

    def want_renewals(self) -> None:
        """Count the votes soon; not more often than the product does."""
        if self._renewing:
            return
        if any(seat.claim is not None for seat in self.node.mind.seats.values()):
            self._renewing = True
            step = self.timing.heartbeat_s / RENEWALS_PER_HEARTBEAT
            self.soon(max(0.0, self._renewed_at + step - self.machine.agenda.now), self._renew)

    def _renew(self) -> None:
        self._renewing = False
        self._renewed_at = self.machine.agenda.now
        renewals = self.node.renewals(self.now)
        clinit = self.machine.clinit
        if renewals and clinit is not None and not self._connecting:
            self.soon(self.world.ipc_s, partial(clinit.renew, renewals))

    # --- fencing -------------------------------------------------------------------------

    def _fence(self) -> None:
        orders, again = self.node.fence_orders(self.now)
        for order in orders:
            by = Shooter(self.began_s, self.timing.timeout_s, self.nodes)
            self.cluster.shots.ordered(self.machine.id, order.node, by)
            self.cluster.fences.shoot(self, order)
        if again < math.inf and again != self._fence_at:
            self._fence_at = again
            self.at_local(again, self._fence)

    def shot(self, order: FenceOrder, outcome: str) -> None:
        """Hear what a shot came to."""
        self.node.shot(order, outcome=outcome, method="sim", detail="", now=self.now)

    def heard(self, status: Status) -> None:
        """Look at what a peer's status says of tables."""
        self.tables.heard(status)
