"""How long a group is gone when its node dies, and when its node leaves."""

from __future__ import annotations

import os
import signal

from mosha.host.clock import boottime
from tests.bench import clusters, timeline
from tests.bench.figures import Aim, Figure, Plan, median, spread
from tests.bench.timeline import Event
from tests.e2e.cluster import Cluster

TIMEOUT_S = 2.0
GROUPS = 9
LIMIT_S = 60.0
DEATH_AIM = Aim(at_most=0.5)
LEAVE_AIM = Aim(at_most=1.0)

Parts = dict[str, float]


def run(plan: Plan) -> list[Figure]:
    groups = clusters.names(GROUPS)
    deaths: list[Parts] = []
    leaves: list[Parts] = []
    with clusters.make(plan, "failover", timeout_s=TIMEOUT_S) as cluster:
        clusters.write_tables(cluster, groups)
        cluster.start()
        cluster.wait_running(groups, limit_s=LIMIT_S)
        rounds = {_die: plan.rounds(10, 3), _leave: plan.rounds(6, 2)}
        for way, results in ((_die, deaths), (_leave, leaves)):
            for number in range(rounds[way]):
                plan.say(f"{way.__name__[1:]} {number + 1} of {rounds[way]}")
                clusters.wait_agreed(cluster)
                victim = _busiest(cluster)
                logs = timeline.sizes(cluster)
                results.append(way(cluster, victim, groups, logs))
                cluster.nodes[victim].start()
    return [
        _figure("death: beyond `timeout`, until all run elsewhere", deaths, DEATH_AIM),
        _figure("leave: SIGTERM until all run elsewhere", leaves, LEAVE_AIM),
    ]


def _busiest(cluster: Cluster) -> int:
    counts = dict.fromkeys(cluster.nodes, 0)
    for nodes in cluster.places().values():
        for node in nodes:
            counts[node] += 1
    return max(counts, key=lambda node: counts[node])


def _others(cluster: Cluster, victim: int, logs: dict[int, int]) -> list[Event]:
    return [
        event
        for number, node in cluster.nodes.items()
        if number != victim
        for event in timeline.lines(node, logs[number])
    ]


def _die(cluster: Cluster, victim: int, groups: list[str], logs: dict[int, int]) -> Parts:
    node = cluster.nodes[victim]
    moving = sum(where == [victim] for where in cluster.places().values())
    pids = [clusters.monitor_pid(node), node.clinit_pid()]
    died = boottime()
    for pid in pids:  # its guard ends the rest at once, `kill` sees to it
        os.kill(pid, signal.SIGKILL)
    node.kill()
    survivors = [number for number in cluster.nodes if number != victim]
    ended, _ = cluster.wait_running(groups, *survivors, limit_s=LIMIT_S)
    events = _others(cluster, victim, logs)
    found = max(
        timeline.times(events, "peer_changed", lambda e: e["peer"] == victim and e["to"] == "stale")
    )
    return {
        "total": ended - died - TIMEOUT_S,
        "detected": found - died - TIMEOUT_S,
        **_phases(events, found, ended),
        "groups": float(moving),
    }


def _leave(cluster: Cluster, victim: int, groups: list[str], logs: dict[int, int]) -> Parts:
    node = cluster.nodes[victim]
    moving = sum(where == [victim] for where in cluster.places().values())
    began = boottime()
    node.signal(signal.SIGTERM)
    survivors = [number for number in cluster.nodes if number != victim]
    ended, _ = cluster.wait_running(groups, *survivors, limit_s=LIMIT_S)
    assert node.monitor is not None
    node.monitor.wait(LIMIT_S)
    gone = boottime()
    released = max(timeline.times(timeline.lines(node, logs[victim]), "claim_released"))
    return {
        "total": ended - began,
        "stopped": released - began,
        **_phases(_others(cluster, victim, logs), released, ended),
        "monitor gone after": gone - began,
        "groups": float(moving),
    }


def _phases(events: list[Event], freed: float, ended: float) -> Parts:
    """Return how long each of the steps took, from the last of one to the last of the next."""
    claimed = max(timeline.times(events, "claim_made"))
    granted = max(timeline.times(events, "claim_granted"))
    arrived = max(timeline.times(events, "group_changed", timeline.arrived))
    return {
        "to the last claim": claimed - freed,
        "claim to grant": granted - claimed,
        "test and start": arrived - granted,
        "published": ended - arrived,
    }


def _figure(what: str, results: list[Parts], aim: Aim) -> Figure:
    totals = [result["total"] for result in results]
    parts = {
        name: median([result[name] for result in results]) for name in results[0] if name != "total"
    }
    return Figure(
        bench="failover",
        what=what,
        unit="s",
        value=median(totals),
        samples=len(totals),
        aim=aim,
        parts=parts | spread(totals),
    )
