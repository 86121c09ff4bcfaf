"""The publisher of one monitor: one write at a time, at each heartbeat and at each change.

A write that hangs keeps the next one waiting: were it abandoned, it could land after a later
one, and a vote of the later one would be lost to the next life of the monitor.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mosha.core.recovery import NOTHING
from mosha.core.status import Status
from mosha.formats.clstat import render_clstat

if TYPE_CHECKING:
    from tests.sim.monitor import Monitor

GATHER_S = 0.01
# So many of the writes that a killed monitor had under way land all the same.
LATE = 0.7


class Writer:
    """Publishes the statuses of one monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self._wanted = False
        self._writing = False
        self._again = False
        self._beat = 0
        self._leaving = False
        self._kept = NOTHING

    def open(self) -> None:
        """Publish for the first time."""
        self.want()

    def want(self) -> None:
        """Publish soon: what changes within some 10 ms goes out as one (O5)."""
        if self._writing:
            self._again = True
        elif not self._wanted:
            self._wanted = True
            gather_s = min(GATHER_S, self.monitor.timing.heartbeat_s / 4)
            self.monitor.soon(gather_s, self._publish)

    def last(self) -> None:
        """Publish that the node has left, then end."""
        self._leaving = True
        if not self._writing:
            self._publish()

    def _heartbeat(self, beat: int) -> None:
        if beat == self._beat:
            self._publish()

    def _publish(self) -> None:
        self._wanted = False
        if self._writing:
            self._again = True
            return
        monitor = self.monitor
        began = monitor.now
        if monitor.node.mute(began):
            self._keep_mute()
            return
        self._beat += 1
        monitor.soon(monitor.timing.heartbeat_s, partial(self._heartbeat, self._beat))
        status = monitor.node.next_status(began, left=self._leaving)
        monitor.cluster.evidence.says(monitor, status)
        memory = monitor.node.memory(status)
        if memory != self._kept:  # V4b
            monitor.machine.disk.memory = self._kept = memory
        self._writing = True
        self._begin(status, render_clstat(status), began)

    def _keep_mute(self) -> None:
        """Publish nothing, not even that the node has left (N1)."""
        monitor = self.monitor
        monitor.machine.cover("rule nothing published yet")
        if self._leaving:
            monitor.alive = False
            monitor.machine.has_left()
        else:
            self._wanted = True
            monitor.soon(monitor.timing.poll_s, self._publish)

    def _begin(self, status: Status, text: str, began: float) -> None:
        monitor, rng = self.monitor, self.monitor.rng
        machine, weather = monitor.machine, monitor.cluster.weather
        takes_s = monitor.world.ipc_s * rng.random()
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
            machine.after(lands_s, partial(self._land, status, text, life))
        monitor.soon(takes_s, partial(self._end, status, began, ends_well=ends_well))

    def _land(self, status: Status, text: str, life: int) -> None:
        monitor = self.monitor
        late = not monitor.alive
        if late:
            lost = monitor.cluster.files.life[monitor.machine.id] != life
            if lost or not (monitor.world.late_writes and monitor.rng.random() < LATE):
                return
            monitor.machine.cover("fault write of a killed monitor landed")
        monitor.cluster.land(monitor.machine.id, status, text, late=late)

    def _end(self, status: Status, began: float, *, ends_well: bool) -> None:
        monitor = self.monitor
        self._writing = False
        if ends_well:
            monitor.node.wrote(status, began=began)
            electorate = monitor.node.mind.view.electorate
            monitor.machine.disk.electorate = electorate
            monitor.cluster.counts_on(monitor.machine.id, electorate)
            monitor.want_renewals()
            if self._leaving and status.state == "left":
                monitor.alive = False
                monitor.machine.has_left()
                return
        else:
            monitor.soon(monitor.timing.poll_s, self.want)
        if self._again or self._leaving:
            self._again = False
            self._publish()
