"""A broken invariant ends in the safe direction: the monitor goes, and its leases run out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.cluster.state import GroupRecord
from mosha.core.status import GroupState
from mosha.errors import BugError
from tests.sim import story
from tests.sim.cluster import Cluster

BROKEN_AT_S = 20.0
G, OWNER = "g1", 1


def a_cluster() -> Cluster:
    """Three nodes without faults; node 1 owns the group."""
    world = story.read(story.SCENARIOS / "node-dies.txt").world
    cluster = Cluster(replace(world, faults=(), dead=()))
    cluster.boot()
    cluster.agenda.run(BROKEN_AT_S)
    assert record_of(cluster).granted
    return cluster


def record_of(cluster: Cluster) -> GroupRecord:
    monitor = cluster.machines[OWNER].monitor
    assert monitor is not None
    return monitor.node.state.record(G)


def runs_at(cluster: Cluster) -> list[int]:
    """Where the group has arrived."""
    found = []
    for machine in cluster.machines.values():
        unit = machine.clinit.supervisor.units.get(G) if machine.clinit is not None else None
        if unit is not None and (unit.group.level, unit.group.state) == ("start", GroupState.DONE):
            found.append(machine.id)
    return found


def test_no_lease_reaches_clinit_that_no_vote_has_given_and_the_group_moves_when_it_ends() -> None:
    cluster = a_cluster()
    clinit = cluster.machines[OWNER].clinit
    assert clinit is not None
    record_of(cluster).lease_until += 1000
    with pytest.raises(BugError, match=r"group g1: its lease ends (?s:.*)before that:"):
        cluster.agenda.run(BROKEN_AT_S + 2 * cluster.world.timing.heartbeat_s)
    cluster.machines[OWNER].kill_monitor()  # nobody catches it: the process ends
    deadlines = clinit.supervisor.units[G].group.deadlines
    assert deadlines is not None
    timing = cluster.world.timing
    assert deadlines.kill_at <= cluster.machines[OWNER].now + timing.lease_s + timing.stop_budget_s
    cluster.agenda.run(cluster.agenda.now + 3 * timing.timeout_s)
    (home,) = runs_at(cluster)
    assert home != OWNER


def test_a_monitor_that_is_started_again_goes_on_with_what_runs() -> None:
    cluster = a_cluster()
    record_of(cluster).lease_until += 1000
    with pytest.raises(BugError):
        cluster.agenda.run(BROKEN_AT_S + 2 * cluster.world.timing.heartbeat_s)
    cluster.machines[OWNER].restart_monitor()
    cluster.agenda.run(cluster.agenda.now + 3 * cluster.world.timing.timeout_s)
    assert runs_at(cluster) == [OWNER]
    assert record_of(cluster).granted
