"""The threads of one monitor that read and write statuses: they may hang, and are given up then.

As `mosha.host.workers` has it: a call that is given up goes on until what hangs it ends, what
it brings then is dropped, and the next one has to wait for the thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mosha.core.cluster.effects import ReadStatus, WriteStatus
from mosha.core.cluster.events import Event, ReadFailed, StatusRead, StatusWritten, WriteFailed
from mosha.core.cluster.peers import NO_CLSTAT
from mosha.core.cluster.recovery import NOTHING
from mosha.core.status import Stamp, Status
from mosha.formats.clstat import render_clstat
from mosha.host.workers import GRACE_MAX_S
from tests.sim.world import Fault

if TYPE_CHECKING:
    from tests.sim.monitor import Monitor

# So many of the writes that a killed monitor had under way land all the same.
LATE = 0.7
WRITE_LIMIT_PER_TIMEOUT = 0.25


class Thread:
    """One thread that does one call at a time."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self._free_at = 0.0

    def call(
        self,
        begin: Callable[[], tuple[float, Callable[[], None]]],
        limit_s: float,
        late: Callable[[], Event],
    ) -> None:
        """Begin a call as soon as the thread is free: `begin` says how long it takes, and its end.

        If it is not free within the limit, or takes longer, what `late` makes is reported instead.
        """
        now = self.monitor.agenda.now
        if self._free_at > now + limit_s:
            self._give_up(limit_s, late)
        elif self._free_at > now:
            self.monitor.soon(self._free_at - now, partial(self._begin, begin, limit_s, late))
        else:
            self._begin(begin, limit_s, late)

    def _begin(
        self,
        begin: Callable[[], tuple[float, Callable[[], None]]],
        limit_s: float,
        late: Callable[[], Event],
    ) -> None:
        takes_s, end = begin()
        if not takes_s:
            end()
            return
        self._free_at = self.monitor.agenda.now + takes_s
        if takes_s > limit_s:
            self._give_up(limit_s, late)
        else:
            self.monitor.soon(takes_s, end)

    def _give_up(self, limit_s: float, late: Callable[[], Event]) -> None:
        wait_s = limit_s + min(limit_s, GRACE_MAX_S)
        self.monitor.soon(wait_s, lambda: self.monitor.report(late()))


class Reader:
    """Reads the statuses of all peers of one monitor, each with a thread of its own."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self._of: dict[int, PeerReader] = {}

    def read(self, order: ReadStatus) -> None:
        """Read the status of a node."""
        reader = self._of.get(order.node)
        if reader is None:
            reader = self._of[order.node] = PeerReader(self.monitor, order.node)
        reader.read(order.limit_s)


class PeerReader:
    """Reads the statuses of one peer."""

    def __init__(self, monitor: Monitor, node: int) -> None:
        self.monitor, self.node = monitor, node
        self.me = monitor.machine.id
        self.files = monitor.cluster.files
        self._thread = Thread(monitor)
        self._late = partial(ReadFailed, node, "no answer", hung=True)
        self._at_once = 0.0, self._end
        self._last: Status | None = None
        self._newest = Stamp(0, 0)

    def read(self, limit_s: float) -> None:
        """Read the status of the node."""
        self._thread.call(self._begin, limit_s, self._late)

    def _begin(self) -> tuple[float, Callable[[], None]]:
        monitor = self.monitor
        hang = self._hang() if monitor.weather.in_force else None
        if hang is None:
            return self._at_once
        monitor.machine.cover("fault hanging read")
        early = self.files.read(self.me, self.node) if monitor.rng.random() < 0.5 else None
        ends_s = max(0.0, hang.at + hang.lasts - monitor.machine.agenda.now)
        later_s = ends_s + monitor.world.lag_s * (0.01 + monitor.rng.random())
        return later_s, partial(self._end, early)

    def _hang(self) -> Fault | None:
        """Return the fault that keeps a read of the node from ending."""
        weather = self.monitor.weather
        cut = weather.cut(self.me, self.node)
        if cut is not None and cut.word.startswith("hang"):
            return cut
        return weather.of("hangread", self.me)

    def _end(self, early: tuple[Status | None, str] | None = None) -> None:
        status, error = early or self.files.read(self.me, self.node)
        if status is None:
            told = NO_CLSTAT if error == "ENOENT" else error or "unreadable"
            self.monitor.report(ReadFailed(self.node, told, torn=error == "torn"))
            return
        if status is not self._last:
            self._last = status
            self._hears(status)
        self.monitor.report(StatusRead(self.node, status))

    def _hears(self, status: Status) -> None:
        stamp = status.stamp
        if stamp > self._newest:
            self._newest = stamp
            self.monitor.cluster.shots.hears(self.me, status, at=self.monitor.now())
            self.monitor.cluster.probation.hears(self.me, status)
            self.monitor.cluster.evidence.hears(self.monitor, status.node, stamp)


class Writer:
    """Publishes the statuses of one monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self._thread = Thread(monitor)
        self._limit_s: float = monitor.machine.timing.timeout_s * WRITE_LIMIT_PER_TIMEOUT
        self._kept = NOTHING

    def write(self, order: WriteStatus) -> None:
        """Remember what a status shows on the local disk, then write it (V4b)."""
        monitor = self.monitor
        monitor.cluster.evidence.says(monitor, order.status)
        clinit = monitor.machine.clinit
        if clinit is not None and clinit.condemned and monitor.ready:
            monitor.cluster.survivors.says(order.status, clinit.survivors())
        if order.memory != self._kept:
            monitor.machine.disk.memory = self._kept = order.memory
        self._thread.call(partial(self._begin, order.status), self._limit_s, WriteFailed)

    def _begin(self, status: Status) -> tuple[float, Callable[[], None]]:
        monitor, rng = self.monitor, self.monitor.rng
        machine, weather = monitor.machine, monitor.cluster.weather
        takes_s = monitor.world.ipc_s * (0.01 + rng.random())
        if monitor.world.late_writes:
            takes_s += monitor.timing.heartbeat_s * 0.5 * rng.random() ** 2
        trouble = weather.of("full", machine.id)
        cut = weather.isolated(machine.id, monitor.world.ids) if monitor.world.shared else None
        hang = weather.of("hangwrite", machine.id)
        if cut is not None:
            machine.cover("fault own writes cut off")
            trouble, hang = (trouble, cut) if cut.word.startswith("hang") else (cut, hang)
        lands, ends_well = True, True
        if machine.id in monitor.cluster.files.gone:
            machine.cover("fault directory away")
            lands = ends_well = False
        elif trouble is not None:
            machine.cover(f"fault write {trouble.word or trouble.kind}")
            lands, ends_well = trouble.word == "EIO" and rng.random() < 0.5, False
        elif hang is not None:
            machine.cover("fault hanging write")
            takes_s += max(0.0, hang.at + hang.lasts - machine.agenda.now)
        if lands:
            lands_s = takes_s * rng.choice((0.0, 0.5, 1.0))
            # What the kernel has is written even if the process is paused, and where writes may be
            # late perhaps even if it is killed.
            life = monitor.cluster.files.life[machine.id]
            machine.after(lands_s, partial(self._land, status, render_clstat(status), life))
        return takes_s, partial(self._end, status, ends_well=ends_well)

    def _land(self, status: Status, text: str, life: int) -> None:
        monitor = self.monitor
        late = not monitor.alive
        if late:
            lost = monitor.cluster.files.life[monitor.machine.id] != life
            if lost or not (monitor.world.late_writes and monitor.rng.random() < LATE):
                return
            monitor.machine.cover("fault write of a killed monitor landed")
        monitor.cluster.land(monitor.machine.id, status, text, late=late)

    def _end(self, status: Status, *, ends_well: bool) -> None:
        monitor = self.monitor
        if not ends_well:
            monitor.report(WriteFailed())
            return
        monitor.report(StatusWritten(status))
        electorate = monitor.node.state.view.electorate
        monitor.machine.disk.electorate = electorate
        monitor.cluster.counts_on(monitor.machine.id, electorate)
