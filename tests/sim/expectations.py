"""What shall run where in the end, from the truth, and what is not so.

Worked out from the tables in force on a healthy node, and from who is banned or on standby.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mosha.core.cluster import probation
from mosha.core.cluster.candidacy import in_vain
from mosha.core.instance_names import instance
from mosha.core.replication.judging import CLTAB, HACTL, TABLES
from mosha.core.status import GroupLine
from mosha.core.tables import STOP_LEVEL, Wish
from tests.sim import disks
from tests.sim.checks.liveness import Expected, Seen
from tests.sim.spreading import rivals_in

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.machine import Machine


class Expectations:
    """What is expected of one cluster, whenever it is asked."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def expected(self) -> list[Expected]:
        """Return what shall run where, from the tables in force on a healthy node."""
        healthy = self._healthy()
        if 2 * len(healthy) <= self.cluster.world.nodes:
            return []
        hactl = disks.read_hactl(healthy[0].disk.text(HACTL) or b"")
        cltab = disks.read_cltab(healthy[0].disk.text(CLTAB) or b"")
        there = cltab.groups() if cltab else ()
        wishes = {g: w for g, w in hactl.wishes.items() if g in there} if hactl else {}
        found: list[Expected] = []
        for spec in self.cluster.world.groups:
            wish = wishes.get(spec.name)
            if wish is not None and wish.on_all:
                found += self._on_all(spec.name, wish, healthy)
                continue
            found += [Expected(name, STOP_LEVEL, frozenset()) for name in self._known(spec.name)]
            level = wish.level if wish else STOP_LEVEL
            only = wish.only if wish else ()
            allowed = [m for m in healthy if wish and (not only or m.id in only)]
            may = frozenset(m.id for m in allowed if self._takes(m, spec.name))
            if any(self._stopped_for_good(m, spec.name) for m in healthy):
                level = STOP_LEVEL
            if wish is not None and level != STOP_LEVEL:
                may = self._related(wish, may, {it.group: it for it in found})
            ladder = wish.on_failure if wish else None
            crowded = bool(self.cluster.world.capacities)  # there it goes only where there is room
            if ladder is not None and ladder.moves is None and not crowded:
                # it leaves where it always fails
                may = may - frozenset(self.cluster.world.unfit) or may
            best = None
            if wish and wish.failback and not crowded:
                best = next((n for n in wish.prefer if n in may), None)
                if best is not None and self._in_vain(healthy, spec.name, best):
                    best = None
            unfit = {*self.cluster.world.unfit}
            nowhere = bool(may & unfit) if crowded else may <= unfit
            fails = spec.move_after and spec.ready_s and nowhere
            found.append(Expected(spec.name, level, may, best, starts_for_ever=bool(fails)))
        return found

    def _related(
        self, wish: Wish, may: frozenset[int], others: dict[str, Expected]
    ) -> frozenset[int]:
        """Return the nodes where a group may run because of those that it relates to.

        A group relates to those before it in the world.
        """
        for name in (*wish.after, *wish.with_):
            other = others.get(name)
            if other is None or other.level == STOP_LEVEL or not other.may or other.starts_for_ever:
                return frozenset()
        for name in wish.with_:
            may &= frozenset(it.node for it in self._seen(name) if it.active)
        monitors = (machine.monitor for machine in self._healthy())
        graph = next(it.node.state.relations for it in monitors if it is not None)
        for name in graph.apart.get(wish.group, ()):
            may -= frozenset(it.node for it in self._seen(name) if it.active)
            # One that is stopped for good keeps its claim, and so its place (S4).
            may -= frozenset(m.id for m in self._healthy() if self._stopped_for_good(m, name))
        return may

    def _on_all(self, group: str, wish: Wish, healthy: list[Machine]) -> list[Expected]:
        """Return that each node which may run its instance does, and nothing else runs."""
        found = [Expected(group, STOP_LEVEL, frozenset())]
        for machine in self.cluster.machines.values():
            name = instance(group, machine.id)
            may = machine in healthy and wish.allows(machine.id) and self._takes(machine, name)
            ended = machine in healthy and self._stopped_for_good(machine, name)
            level = STOP_LEVEL if ended else wish.level
            found.append(Expected(name, level, frozenset({machine.id} if may else ())))
        return found

    def _known(self, group: str) -> list[str]:
        """Return the instances of a group that any clinit has ever been told of."""
        clinits = (machine.clinit for machine in self.cluster.machines.values())
        names = {name for it in clinits if it is not None for name in it.supervisor.units}
        return sorted(rivals_in(group, names))

    def _in_vain(self, healthy: list[Machine], group: str, node: int) -> bool:
        """Say whether who has the group gave way to a node that tried and failed."""
        if (node, group) not in self.cluster.failed:
            return False
        monitors = [machine.monitor for machine in healthy if machine.monitor is not None]
        return any(
            in_vain(monitor.node.state, group, node, monitor.now()) is not None
            for monitor in monitors
            if monitor.node.state.record(group).claim is not None
        )

    @staticmethod
    def _stopped_for_good(machine: Machine, group: str) -> bool:
        monitor = machine.monitor
        return monitor is not None and monitor.node.state.record(group).exhausted != ""

    @staticmethod
    def _takes(machine: Machine, group: str) -> bool:
        """Say whether a node is neither banned from a group nor on standby nor on probation."""
        monitor = machine.monitor
        if monitor is None:
            return True
        state = monitor.node.state
        free = state.record(group).ban_until <= monitor.now() and not state.standby
        return free and not probation.on_probation(state, machine.id, monitor.now())

    def _healthy(self) -> list[Machine]:
        return [m for m in self.cluster.machines.values() if self.cluster.healthy(m)]

    def wrong(self) -> str:
        """Say what is not as wanted now, "" if nothing; `nothing healthy` is wrong too."""
        if not (expected := self.expected()):
            return "no quorum of healthy nodes"
        healthy = self._healthy()
        for table in TABLES:
            texts = {m.id: m.disk.text(table) for m in healthy}
            if complaint := self.cluster.tables.different(texts):
                return complaint
        for item in expected:
            if (told := self._waits(item)) is not None:
                if told:
                    return told
                continue
            if complaint := self.cluster.liveness.wrong(item, self._seen(item.group)):
                return complaint
        return ""

    def _waits(self, item: Expected) -> str | None:
        """Say what is wrong with a group that may wait for room, None if it does not wait."""
        waits = self.cluster.world.capacities and item.may and item.level != STOP_LEVEL
        if not waits or any(it.active for it in self._seen(item.group)):
            return None
        monitors = [m.monitor for m in self._healthy() if m.id in item.may]
        states = (monitor.node.state for monitor in monitors if monitor is not None)
        return self.cluster.room.waits(item.group, states)

    def _seen(self, group: str) -> list[Seen]:
        found = []
        for machine in self.cluster.machines.values():
            clinit = machine.clinit
            if not machine.up or clinit is None or group not in clinit.supervisor.units:
                continue
            unit = clinit.supervisor.units[group].group
            resting = not GroupLine(unit.level, unit.state).active
            found.append(Seen(machine.id, unit.level, unit.state, active=not resting))
        return found
