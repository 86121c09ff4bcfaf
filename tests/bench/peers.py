"""One real node among hundreds: all others are clstats that one process keeps writing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from mosha.host.clock import boottime
from tests.bench import clusters, fake_peers, floor_idle
from tests.bench.figures import Aim, Figure, Plan
from tests.bench.machine import Usage, usage
from tests.e2e.cluster import Cluster, Node
from tests.waiting import wait_until

LIMIT_S = 120.0
BEATS_PER_TIMEOUT = 10
SIZES = ((300, 1.0, Aim(at_most=12.0), 5.0), (1000, 5.0, Aim(at_most=40.0), 60.0))
"""Nodes and as many groups, the heartbeat, and what was asked for: CPU, and seconds to ready."""

ANSWER_AIM, LEAVE_AIM = Aim(at_most=2000.0), Aim(at_most=2000.0)


def run(plan: Plan) -> list[Figure]:
    return [
        figure
        for nodes, heartbeat_s, cpu_aim, ready_s in SIZES[: plan.rounds(2, 1)]
        for figure in _measure(plan, nodes, heartbeat_s, cpu_aim, Aim(at_most=ready_s))
    ]


def _measure(
    plan: Plan, nodes: int, heartbeat_s: float, cpu_aim: Aim, ready_aim: Aim
) -> list[Figure]:
    extra = f"heartbeat = {heartbeat_s:g}\n"
    timeout_s = BEATS_PER_TIMEOUT * heartbeat_s
    name = f"p{nodes}"
    with clusters.make(plan, name, timeout_s=timeout_s, size=1, extra=extra) as cluster:
        node = cluster.nodes[1]
        settings = node.config.read_text(encoding="utf-8")
        every = list(range(1, nodes + 1))
        node.config.write_text(settings.replace("nodes = [1]", f"nodes = {every}"))
        clusters.write_tables(cluster, clusters.names(nodes))
        with _others(cluster, nodes, heartbeat_s):
            plan.say(f"node 1 of {nodes} starts")
            began = cluster.start()
            wait_until(lambda: _runs_and_sees(node, nodes), LIMIT_S)
            ready_s = boottime() - began
            costs, floor = _window(plan, node, nodes, heartbeat_s)
            answer_s = _answer(node)
            began = boottime()
            node.leave(LIMIT_S)
            leave_s = boottime() - began
    where = f"{nodes} nodes x {nodes} groups, H = {heartbeat_s:g} s"
    floor_is = "a process that only reads as many files of the same size, and writes one"
    return [
        Figure(
            bench="peers",
            what=f"CPU of one monitor, {where}",
            unit="%",
            value=costs.cpu_s * 100,
            floor=floor.cpu_s * 100,
            floor_is=floor_is,
            aim=cpu_aim,
            parts={"RSS MB": costs.rss_mb, "threads": costs.threads},
        ),
        *(
            Figure("peers", f"{what}, {where}", unit, value, aim=aim)
            for what, unit, value, aim in (
                ("from its start until it runs its group and sees all", "s", ready_s, ready_aim),
                ("mosha status", "ms", answer_s * 1000, ANSWER_AIM),
                ("SIGTERM until it has left", "ms", leave_s * 1000, LEAVE_AIM),
            )
        ),
    ]


@contextlib.contextmanager
def _others(cluster: Cluster, nodes: int, heartbeat_s: float) -> Iterator[None]:
    words = [str(cluster.base / "mfs"), str(nodes), str(heartbeat_s)]
    command = [sys.executable, "-m", fake_peers.__name__, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            yield
        finally:
            writer.kill()


def _runs_and_sees(node: Node, nodes: int) -> bool:
    """Say by its clstat whether it runs its group and has read all others; asking costs CPU."""
    status = node.status()
    if status is None or len(status.seen) < nodes - 1 or not status.quorum:
        return False
    return any(line.level == "start" and line.state == "DONE" for line in status.groups.values())


def _window(plan: Plan, node: Node, nodes: int, heartbeat_s: float) -> tuple[Usage, Usage]:
    """Return what monitor and floor cost: CPU seconds a second; memory and threads at the end."""
    size = node.directory.joinpath("clstat").stat().st_size
    directory = plan.directory(f"bare{nodes}")
    words = [str(directory), str(heartbeat_s), str(nodes - 1), str(size)]
    with subprocess.Popen([sys.executable, floor_idle.__file__, *words]) as bare:
        try:
            pids = (clusters.monitor_pid(node), bare.pid)
            time.sleep(plan.rounds(2, 1) * heartbeat_s)
            plan.say(f"{nodes} nodes: measuring")
            began, before = boottime(), [usage(pid) for pid in pids]
            time.sleep(plan.rounds(6, 3) * max(heartbeat_s, 3.0))
            lasted_s, after = boottime() - began, [usage(pid) for pid in pids]
        finally:
            bare.kill()
    first, second = (
        Usage((b.cpu_s - a.cpu_s) / lasted_s, b.rss_mb, b.pss_mb, b.threads)
        for a, b in zip(before, after, strict=True)
    )
    return first, second


def _answer(node: Node) -> float:
    """Return how long the command takes, in seconds."""
    words = [sys.executable, "-m", "mosha.cli.main", "status", "--config", str(node.config)]
    began = boottime()
    subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
    return boottime() - began
