"""What three nodes cost that have nothing to do: CPU and memory of monitor and clinit."""

from __future__ import annotations

import subprocess
import sys
import time

from mosha.host.clock import boottime
from tests.bench import clusters, floor_idle
from tests.bench.figures import Aim, Figure, Plan, median
from tests.bench.machine import Usage, usage

GROUPS = 20
HEARTBEAT_S = 1.0
TIMEOUT_S = 10.0
LIMIT_S = 120.0
MEMORY_AIMS_MB = {"monitor": Aim(at_most=45.0), "clinit": Aim(at_most=35.0)}
CPU_AIM = Aim(at_most=1.0)


def run(plan: Plan) -> list[Figure]:
    groups = clusters.names(GROUPS)
    with clusters.make(plan, "idle", timeout_s=TIMEOUT_S, extra="heartbeat = 1\n") as cluster:
        clusters.write_tables(cluster, groups)
        cluster.start()
        cluster.wait_running(groups, limit_s=LIMIT_S)
        clusters.wait_agreed(cluster)
        nodes = cluster.nodes.values()
        bare = plan.directory("bare")
        words = [sys.executable, floor_idle.__file__, str(bare), str(HEARTBEAT_S)]
        floor = subprocess.Popen(words)
        try:
            pids = {
                "monitor": [clusters.monitor_pid(node) for node in nodes],
                "clinit": [node.clinit_pid() for node in nodes],
                "floor": [floor.pid],
            }
            return _figures(plan, pids)
        finally:
            floor.kill()
            floor.wait()


def _figures(plan: Plan, pids: dict[str, list[int]]) -> list[Figure]:
    quiet_s, window_s = plan.rounds(5, 2), plan.rounds(30, 10)
    time.sleep(quiet_s)  # what the questions of `wait_agreed` caused is over then
    plan.say(f"{window_s} s of nothing")
    began, before = boottime(), _read(pids)
    time.sleep(window_s)
    lasted_s, after = boottime() - began, _read(pids)
    percent = {
        role: median(
            [
                (b.cpu_s - a.cpu_s) / lasted_s * 100
                for a, b in zip(before[role], after[role], strict=True)
            ]
        )
        for role in pids
    }
    floor = after["floor"][0]
    floor_is = f"a process that only writes and reads files each {HEARTBEAT_S:g} s"
    figures = [
        Figure(
            bench="idle",
            what=f"CPU of monitor and clinit together, {GROUPS} groups",
            unit="%",
            value=percent["monitor"] + percent["clinit"],
            samples=len(pids["monitor"]),
            floor=percent["floor"],
            floor_is=floor_is,
            aim=CPU_AIM,
            parts={"monitor": percent["monitor"], "clinit": percent["clinit"], "seconds": lasted_s},
        )
    ]
    for role, aim in MEMORY_AIMS_MB.items():
        costs = after[role]
        figures.append(
            Figure(
                bench="idle",
                what=f"RSS of {role}",
                unit="MB",
                value=median([cost.rss_mb for cost in costs]),
                samples=len(costs),
                floor=floor.rss_mb,
                floor_is=floor_is,
                aim=aim,
                parts={
                    "PSS": median([cost.pss_mb for cost in costs]),
                    "PSS of the floor": floor.pss_mb,
                    "threads": median([cost.threads for cost in costs]),
                },
            )
        )
    return figures


def _read(pids: dict[str, list[int]]) -> dict[str, list[Usage]]:
    return {role: [usage(pid) for pid in numbers] for role, numbers in pids.items()}
