"""What shots come to, and the operator who vouches for the dead."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.cluster import poison, shots
from mosha.core.cluster.events import DeathConfirmed, PillOrdered, PillWithdrawn, ShotEnded
from mosha.core.cluster.fencing import FenceOrder
from mosha.core.status import Grade
from tests.sim.agenda import chance

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.machine import Machine
    from tests.sim.monitor import Monitor

# A shot machine comes back after this many heartbeats, like one that was reset.
RESET_HEARTBEATS = 10.0
HANGS_HEARTBEATS = 20.0
# How often it is looked whether a poison pill was acknowledged, in heartbeats.
PILL_LOOK = 0.25

TOLD = {
    "works": ("receipt", Grade.OFF_CONFIRMED),
    "weak": ("receipt", Grade.COMMAND_SAID_SO),
    "lies": ("receipt", Grade.OFF_CONFIRMED),
    "print": ("no receipt", Grade.LEASE_ELAPSED),
    "poison": ("no receipt", Grade.LEASE_ELAPSED),
}
"""What a monitor is told of a shot; any other has failed."""


class _Shot(Struct, eq=False):
    """A shot under way, what its monitor will be told, and what it comes to in truth."""

    monitor: Monitor
    ended: ShotEnded
    outcome: str
    given_up: bool = False


class Fences:
    """The fences of one cluster: they work, fail, hang, lie or only print a line."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.rng = chance(cluster.world.seed, "fences")

    def shoot(self, monitor: Monitor, order: FenceOrder) -> None:
        """Carry out an order; the monitor hears of it later."""
        spec = self.cluster.world.fence
        outcome = self.rng.choice(spec.outcomes)
        if self.cluster.calm and spec.outcomes != ("print",):
            outcome = "works"
            # A slow one hits a later life of the node, which is stale then and shot again.
            spec = replace(spec, takes_s=min(spec.takes_s, self.cluster.world.timing.poll_s))
        self.cluster.truth.cover(f"fault fence {outcome}")
        if self.cluster.tells_of(monitor.machine.id):
            self.cluster.story(f"node {monitor.machine.id} shoots node {order.node}: {outcome}")
        takes_s = spec.takes_s * (0.5 + self.rng.random())
        told, grade = TOLD.get(outcome, ("failed", Grade.LEASE_ELAPSED))
        if outcome == "weak" and order.required > grade:
            told = "failed"  # it proves something, and not enough
        if outcome == "hangs":
            takes_s += self.cluster.world.timing.heartbeat_s * HANGS_HEARTBEATS
        shot = _Shot(monitor, ShotEnded(order, told, "sim", "", grade), outcome)
        if outcome == "poison" and not order.requested:
            monitor.soon(0.0, partial(monitor.report, PillOrdered(order.node, order.inc)))
            until = self.cluster.agenda.now + HANGS_HEARTBEATS * self._heartbeat_s
            self.cluster.agenda.at(self.cluster.agenda.now, partial(self._wait, shot, until))
            return
        if outcome in ("works", "weak"):
            at = self.cluster.agenda.now + takes_s * self.rng.random()
            self.cluster.agenda.at(at, partial(self._reset, shot))
        self.cluster.agenda.at(self.cluster.agenda.now + takes_s, partial(self._end, shot))

    @property
    def _heartbeat_s(self) -> float:
        return self.cluster.world.timing.heartbeat_s

    def _wait(self, shot: _Shot, until: float) -> None:
        """Let a monitor wait until its order is acknowledged, void or too old (F2)."""
        monitor, order, now = shot.monitor, shot.ended.order, self.cluster.agenda.now
        if not monitor.alive:
            return
        state = monitor.node.state
        said = poison.acknowledged(state, order.node, order.inc)
        if not said and not shots.is_void(state, order, monitor.now()) and now < until:
            later = now + self._heartbeat_s * PILL_LOOK
            self.cluster.agenda.at(later, partial(self._wait, shot, until))
            return
        if said:
            grade = Grade.COMMAND_SAID_SO
            told = "receipt" if order.required <= grade else "failed"
            shot.ended = ShotEnded(order, told, "poison", "", grade)
            self.cluster.truth.cover("rule pill acknowledged")
        monitor.soon(0.0, partial(monitor.report, PillWithdrawn(order.node)))
        self._end(shot)

    def _reset(self, shot: _Shot) -> None:
        """Reset the victim, unless the monitor ends the shot; that of a dead monitor goes on."""
        monitor, order = shot.monitor, shot.ended.order
        works = monitor.alive and not monitor.paused and not monitor.clock.still
        if works and shots.is_void(monitor.node.state, order, monitor.now()):
            self.cluster.truth.cover("rule shot given up")
            shot.given_up = True
            return
        machine = self.cluster.machines[order.node]
        machine.crash()
        if machine.id not in self.cluster.stay_dead():
            reset_s = self.cluster.world.timing.heartbeat_s * RESET_HEARTBEATS
            self.cluster.agenda.at(self.cluster.agenda.now + reset_s, machine.boot)

    def _end(self, shot: _Shot) -> None:
        ended = shot.ended
        if shot.given_up:
            ended = replace(ended, outcome="failed", grade=Grade.LEASE_ELAPSED)
        elif ended.grade is not Grade.LEASE_ELAPSED:
            order, truth = ended.order, self.cluster.truth
            truth.receipt(order.node, order.inc, ended.grade, honest=shot.outcome != "lies")
        shot.monitor.soon(0.0, partial(shot.monitor.report, ended))

    def confirm_wrongly(self, at: Machine, other: Machine, until: float) -> None:
        """Let an operator vouch for a node that he has not looked at, until that is taken."""
        now = self.cluster.agenda.now
        again = partial(self.confirm_wrongly, at, other, until)
        if now < until:
            self.cluster.agenda.at(now + self.cluster.world.timing.heartbeat_s, again)
        if at.monitor is None or not at.monitor.ready or at.monitor.paused or at.clock.still:
            return
        if self._confirmed(at.monitor, other.id):
            self.cluster.truth.cover("rule operator erred")
            inc = self.cluster.newest_inc(other.id)
            operator = Grade.OPERATOR_SAID_SO
            self.cluster.truth.receipt(other.id, inc, operator, honest=not other.up)

    def confirm(self, at: Machine, dead: Machine) -> bool:
        """Let an honest operator vouch for a node; he looks first whether it is dead."""
        if (
            at.monitor is None
            or not at.monitor.ready
            or at.monitor.paused
            or at.clock.still
            or dead.up
        ):
            return False
        inc = self.cluster.newest_inc(dead.id)
        confirmed = self._confirmed(at.monitor, dead.id)
        if confirmed:
            self.cluster.truth.cover("rule operator confirmed")
            self.cluster.truth.receipt(dead.id, inc, Grade.OPERATOR_SAID_SO, honest=True)
        return confirmed

    @staticmethod
    def _confirmed(monitor: Monitor, node: int) -> bool:
        """Report that an operator vouches for a death, if that is not refused."""
        busy = monitor.agenda.now < monitor.busy_until  # it would be judged again when it is heard
        if busy or shots.confirmable(monitor.node.state, node, monitor.now())[1]:
            return False
        monitor.handle(partial(monitor.report, DeathConfirmed(node)))
        return True
