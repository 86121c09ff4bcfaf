"""Those who give orders: operators with a shell on a node, and watchers of a service.

An order is checked as `mosha.monitor.ordering` checks it, and reported to the agent.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mosha.core.cluster import orders, rivals, shots
from mosha.core.cluster.events import (
    DisarmAsked,
    FailureReported,
    FenceAsked,
    FenceWithdrawn,
    OrderGiven,
)
from mosha.core.explain.addressees import concerned
from mosha.core.status import Order, Stamp, Verb
from mosha.core.tables import STOP_LEVEL
from mosha.errors import UsageError
from tests.sim.world import Fault

if TYPE_CHECKING:
    from tests.sim.checks.orders import StillRuns
    from tests.sim.cluster import Cluster
    from tests.sim.machine import Machine

# A monitor that nothing hinders has told clinit after so many heartbeats.
OBEYED_HEARTBEATS = 2


class Operators:
    """All who give orders in one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def order(self, at: Machine, fault: Fault) -> None:
        """Give the order that a fault names."""
        node = fault.others[0] if fault.others else 0
        self.give(at, Order(Verb(fault.kind), fault.word, node))

    def give(self, at: Machine, order: Order) -> None:
        """Give an order on a node, unless it is refused there."""
        monitor = at.monitor
        if monitor is None or not self._listens(at):
            return
        state = monitor.node.state
        try:
            nodes = concerned(state, order, monitor.now())
        except UsageError:
            at.cover("rule order refused")
            return
        runs = {
            node: self._what_runs(self.cluster.machines[node], rivals.at(state, order.group, node))
            for node in nodes
        }
        monitor.handle(partial(monitor.report, OrderGiven(order)))
        stamp = Stamp(state.inc, state.order_number)
        self.cluster.obedience.given(at.id, order, stamp, runs)

    def fail(self, at: Machine, fault: Fault) -> None:
        """Let a watcher report that a group failed, if it runs here."""
        monitor = at.monitor
        if monitor is None or not self._listens(at):
            return
        group = rivals.at(monitor.node.state, fault.word, at.id)
        if orders.fail_refusal(monitor.node.state, group):
            return
        still_runs = self._what_runs(at, group)
        monitor.handle(partial(monitor.report, FailureReported(group, "a watcher says so")))
        at.cover("rule failure reported")
        if self.cluster.hindered(at, fault):
            return
        begun = self.cluster.faults.begun

        def judge() -> None:
            same = at.monitor is monitor and self.cluster.faults.begun == begun
            # A stop in good order waits for the groups after this one (S2).
            held = monitor.node.state.record(group).leaving
            if same and not held and not self.cluster.hindered(at):
                self.cluster.obedience.failure_obeyed(at.id, group, still_runs)

        wait_s = OBEYED_HEARTBEATS * at.timing.heartbeat_s
        self.cluster.agenda.at(self.cluster.agenda.now + wait_s, judge)

    def shoot(self, at: Machine, fault: Fault) -> None:
        """Order a node to be shot, and wait as long as `mosha fence` does for it to begin."""
        monitor, (victim,) = at.monitor, fault.others
        if monitor is None or not self._listens(at):
            return
        state = monitor.node.state
        if shots.fenceable(state, victim):
            at.cover("rule order to shoot refused")
            return
        at.cover("rule ordered to shoot")
        self.cluster.shots.asked(at.id, victim, state.view.peer(victim).inc, monitor.now())
        monitor.handle(partial(monitor.report, FenceAsked(victim)))

        def give_up() -> None:
            if victim in state.asked:
                at.cover("rule order to shoot withdrawn")
                monitor.report(FenceWithdrawn(victim))

        monitor.soon(shots.ASKED_S, give_up)

    def disarm(self, at: Machine, fault: Fault) -> None:
        """Disarm all nodes for a time, or arm them."""
        if at.monitor is not None and self._listens(at):
            asked = DisarmAsked(fault.amount, "the world says so")
            at.monitor.handle(partial(at.monitor.report, asked))

    def tidy_up(self) -> None:
        """Do what operators do when all faults are over: cleanup, and standby as the world says."""
        for machine in self.cluster.machines.values():
            monitor = machine.monitor
            if monitor is None or not self._listens(machine):
                continue
            state, rests = monitor.node.state, machine.id in self.cluster.world.resting
            if state.standby is not rests and not monitor.leaving:
                verb = Verb.STANDBY if rests else Verb.UNSTANDBY
                self.give(machine, Order(verb, "", machine.id))
            for report in tuple(state.reports.values()):
                if report.stop_failed and not state.record(report.group).stops_again:
                    self.give(machine, Order(Verb.CLEANUP, report.group, machine.id))

    @staticmethod
    def _listens(machine: Machine) -> bool:
        """Say whether the monitor of a node can be asked now."""
        monitor = machine.monitor
        if monitor is None or not monitor.ready or monitor.paused or machine.clock.still:
            return False
        return monitor.agenda.now >= monitor.busy_until

    @staticmethod
    def _what_runs(machine: Machine, group: str) -> StillRuns:
        """Return what says whether processes of now still run, and nobody is ending them."""
        clinit = machine.clinit
        now = list(clinit.children.get(group, ())) if clinit is not None else []
        exclusive = [child for child in now if child.exclusive]

        def still_runs() -> bool:
            if clinit is None or clinit is not machine.clinit or clinit.paused:
                return False
            unit = clinit.supervisor.units.get(group)
            ending = unit is None or unit.removed or unit.group.wanted == STOP_LEVEL
            left = clinit.children.get(group, ())
            return not ending and any(child in left for child in exclusive)

        return still_runs
