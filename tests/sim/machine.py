"""One machine: its clock, its disk, its clinit and its monitor, and what can befall them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mosha.core.cluster.recovery import NOTHING
from mosha.core.cluster.timing import Timing, derive
from mosha.core.instance_names import single
from mosha.core.supervision.group_report import GroupReport
from mosha.core.supervision.supervisor import ShutdownAsked
from mosha.core.tables import STOP_LEVEL, Entry
from tests.sim.agenda import EPSILON_S, Clock, chance
from tests.sim.clinit import Clinit
from tests.sim.disks import Disk
from tests.sim.monitor import Monitor
from tests.sim.world import GroupSpec

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

WALL_AT_START_S = 1_700_000_000.0


class Machine:
    """A node of the cluster through all its lives."""

    def __init__(self, cluster: Cluster, node: int) -> None:
        self.cluster = cluster
        self.id = node
        self.agenda = cluster.agenda
        self.weather = cluster.weather
        self.truth = cluster.truth
        self.cover = cluster.truth.cover
        self.rng = chance(cluster.world.seed, "machine", node)
        self.disk = Disk()
        self.wall_jump_s = 0.0
        self.up = False
        self.joins = False  # it is not part of the cluster yet
        self.life = 0
        self.boots = 0
        self.clinit: Clinit | None = None
        self.monitor: Monitor | None = None
        self.leaving_until: float | None = None
        self.clock = Clock(self.agenda, 1.0, 0.0)
        self.nodes = frozenset(cluster.world.ids)
        self.timing = cluster.world.timing
        self.strays: list[Clinit] = []
        self.ended: list[Clinit] = []  # those that have left processes behind
        self.made: set[str] = set()  # groups whose agents have made something that is there
        self.agents_left: dict[str, tuple[Entry, ...]] = {}  # what clinit remembers in its place
        self._clinits = 0
        self._late: list[Callable[[], None]] = []

    # --- time ------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The boottime of this machine."""
        return self.clock.now()

    @property
    def wall_s(self) -> float:
        """What the wall clock shows."""
        return WALL_AT_START_S + self.agenda.now + self.wall_jump_s

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later in this life of the machine."""
        self.agenda.at(self.agenda.now + seconds, partial(self._in_life, self.life, act))

    def at_local(self, report: float, act: Callable[[], None]) -> None:
        """Do something when the own clock shows a time, in this life of the machine."""
        true = self.clock.true(report) + EPSILON_S
        self.agenda.at(true, partial(self._in_life, self.life, act))

    def _in_life(self, life: int, act: Callable[[], None]) -> None:
        if not self.up or life != self.life:
            return
        if self.clock.still:
            self.defer(partial(self._in_life, life, act))
        else:
            act()

    def defer(self, act: Callable[[], None]) -> None:
        """Do something when this machine, which stands still, goes on."""
        self._late.append(act)

    def stand_still(self) -> None:
        """Stop with all that runs here, and the clock too, as a paused virtual machine does."""
        if self.up and not self.clock.still:
            self.clock.stop()
            self.truth.stood_still(self.id)

    def go_on(self) -> None:
        """Go on from there, with all that has come meanwhile."""
        if not self.clock.still:
            return
        self.clock.go_on()
        self.truth.stood_still(self.id)
        late, self._late = self._late, []
        for act in late:
            self.agenda.at(self.agenda.now, act)
        self.cluster.watch_ghost(self)

    # --- life ------------------------------------------------------------------------

    def boot(self) -> None:
        """Come up: a new boottime, a new clinit, a new monitor."""
        if self.up or self.joins:
            return
        self.up = True
        self.boots += 1
        rate = self.cluster.world.rates[self.id - 1]
        self.clock = Clock(self.agenda, rate, self.rng.uniform(5.0, 50.0))
        self.cluster.story(f"node {self.id} boots")
        self.start_monitor()

    def crash(self) -> None:
        """Lose power: nothing of this machine lives on."""
        if not self.up:
            return
        self.kill_monitor()
        for clinit in self.clinits():
            clinit.end(power=True)
        self.clinit = None
        self.strays.clear()
        self.ended.clear()
        self.agents_left = {}
        self.made.clear()
        self._late.clear()
        self.clock.still = False
        self.up = False
        self.life += 1
        self.cluster.story(f"node {self.id} loses power")
        self.truth.killed(self.id)

    def lose_directory(self) -> None:
        """Lose the node's directory, and what the monitor keeps beside it."""
        self.cluster.files.lose(self.id)
        # A monitor that lives has the table in its memory and writes it again.
        lost, self.disk = self.disk, Disk()
        for name, shelf in lost.tables.items() if self.monitor is not None else ():
            self.disk.tables[name].stored = shelf.stored
        self.truth.forgot(self.id)

    def lose_state(self, *, clinit: bool) -> None:
        """Lose what is kept on the local disk; with the `clinit`, if its socket was there too."""
        self.disk.memory = NOTHING
        for shelf in self.disk.tables.values():
            shelf.lose()
        if clinit and self.clinit is not None:
            self.strays.append(self.clinit)
            self.clinit, self.agents_left = None, {}
            self.cluster.leftovers.excuse(self.id)
        self.truth.forgot(self.id)

    def make(self, group: str) -> None:
        """Let the agent of a group make what outlives all processes."""
        if group not in self.made:
            self.made.add(group)
            self.cluster.leftovers.made(self.id, group)

    def unmake(self, group: str) -> None:
        """Let the agent of a group undo that."""
        self.made.discard(group)
        self.cluster.leftovers.unmade(self.id, group)

    def retime(self, factor: float) -> None:
        """Count with another timeout from the next start of the monitor on."""
        t = self.cluster.world.timing
        self.timing = t if factor == 1.0 else scaled(t, factor)

    def restart_monitor(self) -> None:
        """Kill the monitor and start another one, if the machine is up."""
        self.kill_monitor()
        self.start_monitor()

    def start_monitor(self) -> None:
        """Start the monitor if none runs."""
        if self.up and self.monitor is None:
            self.leaving_until = None
            self.cluster.leftovers.lifted(node=self.id)
            self.monitor = Monitor(self)
            self.monitor.connect()

    def kill_monitor(self) -> None:
        """SIGKILL the monitor."""
        if self.monitor is not None:
            self.monitor.alive = False
            self.monitor = None

    def kill_clinit(self) -> None:
        """SIGKILL clinit; a monitor that is there starts it again."""
        if self.clinit is None or not self.clinit.alive:
            return
        self.end_clinit()
        if self.monitor is not None:
            self.monitor.soon(self.cluster.world.ipc_s, self.monitor.clinit_lost)

    def stop_clinit(self) -> None:
        """SIGTERM to clinit: it halts its groups, and ends when nothing is left of them."""
        if self.clinit is not None and self.clinit.alive:
            self.clinit.feed(ShutdownAsked())

    def clinit_halted(self, clinit: Clinit) -> None:
        """Take in that clinit has nothing left to do."""
        self.cover("rule clinit halted")
        if clinit is self.clinit:
            self.kill_clinit()

    def end_clinit(self) -> None:
        """End clinit, and all that it has."""
        if self.clinit is not None:
            self.clinit.end()
            if self.clinit.lingers:
                self.ended.append(self.clinit)
            self.clinit = None

    def running_clinit(self) -> Clinit:
        """Return the clinit of this machine, started if there is none (what a monitor does)."""
        if self.clinit is None:
            self._clinits += 1
            self.clinit = Clinit(self, self._clinits)
        return self.clinit

    def clinits(self) -> list[Clinit]:
        """Return all that run on this machine, the one of its monitor first."""
        return [*([self.clinit] if self.clinit is not None else []), *self.strays, *self.ended]

    def may_start_clinit(self) -> bool:
        """Say whether all processes of former ones have ended: else another one does not start."""
        if self.ended:
            self.ended = [clinit for clinit in self.ended if clinit.lingers]
        return not self.ended

    def outlived(self, number: int, group: str) -> bool:
        """Say whether one of its clinits has nothing of a group but what has outlived its kill."""
        return any(it.number == number and it.outlived(group) for it in self.clinits())

    def leave(self, until: float) -> None:
        """Leave in an orderly way, and come back."""
        if self.monitor is not None and self.up:
            self.leaving_until = until
            self.monitor.soon(0.0, self.monitor.leave)

    def has_left(self) -> None:
        """Take in that the monitor has ended in an orderly way."""
        self.cover("rule left")
        self.monitor = None
        self.end_clinit()
        until = self.leaving_until
        self.after(max(0.0, (until or 0.0) - self.agenda.now), self.start_monitor)

    # --- between clinit and monitor ----------------------------------------------------

    def report(self, clinit: Clinit, group: str, report: GroupReport | None) -> None:
        """Let the monitor hear a change of clinit; None for a group that is no more."""
        self.cluster.note_local(self.id, report)
        if self.monitor is not None:
            self.monitor.inbox.append((clinit, group, report))
            self.monitor.soon(self.cluster.world.ipc_s, self.monitor.hear_clinit)

    def fails_test(self, group: str, level: str) -> bool:
        """Say whether a test of the group at this level fails here and now."""
        at_stop = level == STOP_LEVEL
        fault = self.weather.of("failstop" if at_stop else "failtest", self.id)
        if fault is None or fault.word != single(group):
            return False
        self.cover("fault test at stop fails" if at_stop else "fault test fails")
        return True

    def crashes(self, spec: GroupSpec) -> bool:
        """Say whether a service of the group ends soon after each start, here and now."""
        fault = self.weather.of("crashloop", self.id)
        unfit = spec.move_after > 0 and self.id in self.cluster.world.unfit
        if not unfit and (fault is None or fault.word != spec.name):
            return False
        self.cover("fault service fails")
        return True

    def hangs(self, spec: GroupSpec) -> bool:
        """Say whether entries of the group that have a time limit never end, here and now."""
        fault = self.weather.of("hangentry", self.id)
        return fault is not None and fault.word == spec.name and spec.limit_s > 0


def scaled(t: Timing, factor: float) -> Timing:
    """Return the same times for another timeout."""
    return derive(
        t.timeout_s * factor,
        heartbeat_s=t.heartbeat_s * factor,
        lease_s=t.lease_s * factor,
        stop_budget_s=t.stop_budget_s * factor,
        ban_s=t.ban_s,
        start_grace_s=t.start_grace_s,
    )
