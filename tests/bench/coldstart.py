"""From nothing to a cluster that runs all its groups: three nodes, ten groups, new directories."""

from __future__ import annotations

import subprocess
import sys

from mosha.host.clock import boottime
from tests.bench import clusters, timeline
from tests.bench.figures import Aim, Figure, Plan, median, spread
from tests.e2e.cluster import Cluster

GROUPS = 10
TIMEOUT_S = 2.0
LIMIT_S = 60.0
AIM = Aim(at_most=2.0)
# What a monitor and a clinit import of other people's before they can do anything; and as
# they do it, structlog without rich.
IMPORTS = (
    "import sys; sys.modules['rich'] = None\n"
    "import anyio, anyio._backends._asyncio, asyncio, click, msgspec, structlog"
)

Parts = dict[str, float]


def run(plan: Plan) -> list[Figure]:
    rounds = plan.rounds(7, 3)
    results: list[Parts] = []
    floors: list[float] = []
    for number in range(rounds):
        plan.say(f"round {number + 1} of {rounds}")
        floors.append(_floor(processes=6))
        with clusters.make(plan, f"cold{number}", timeout_s=TIMEOUT_S) as cluster:
            results.append(_start(cluster))
    totals = [result["total"] for result in results]
    return [
        Figure(
            bench="coldstart",
            what="three nodes, ten groups, until all are at start DONE",
            unit="s",
            value=median(totals),
            samples=rounds,
            floor=median(floors),
            floor_is="the libraries' imports in as many processes (6) at once",
            aim=AIM,
            parts={
                name: median([result[name] for result in results])
                for name in results[0]
                if name != "total"
            }
            | spread(totals),
        )
    ]


def _floor(processes: int) -> float:
    began = boottime()
    running = [subprocess.Popen([sys.executable, "-c", IMPORTS]) for _ in range(processes)]
    for process in running:
        process.wait()
    return boottime() - began


def _start(cluster: Cluster) -> Parts:
    """Start all nodes; return when each step was done on the last node, from the beginning."""
    groups = clusters.names(GROUPS)
    clusters.write_tables(cluster, groups)
    began = cluster.start()
    ended, _ = cluster.wait_running(groups, limit_s=LIMIT_S)
    events = [event for node in cluster.nodes.values() for event in timeline.lines(node)]

    def last(name: str) -> float:
        return max(timeline.times(events, name), default=began) - began

    return {
        "total": ended - began,
        "monitors imported": last("clinit_starting"),
        "clinits up": last("clinit_started"),
        "monitors up": last("monitor_started"),
        "peers fresh": last("peer_changed"),
        "silence over": last("silence_ended"),
        "last claim": last("claim_made"),
        "last grant": last("claim_granted"),
        "last start": max(timeline.times(events, "group_changed", timeline.arrived)) - began,
    }
