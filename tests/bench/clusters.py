"""Clusters to measure: groups with a test and a service that costs nothing itself."""

from __future__ import annotations

from tests.bench.figures import Plan
from tests.e2e.cluster import Cluster, Node
from tests.waiting import wait_until

SETTLE_LIMIT_S = 120.0
SERVICE = "/bin/sleep 1000000"


def names(count: int) -> list[str]:
    return [f"g{number:02}" for number in range(count)]


def write_tables(cluster: Cluster, groups: list[str]) -> None:
    """Give each group a test entry and a respawned one, on the first node."""
    cltab = "".join(
        f"{g}:{g}-test:test:test:/bin/true\n{g}:{g}-main:start:respawn:{SERVICE}\n" for g in groups
    )
    cluster.write_tables((), cltab=cltab, hactl="".join(f"{group} start\n" for group in groups))


def wait_agreed(cluster: Cluster) -> None:
    """Wait until every node sees every other one as fresh, and all groups as wanted."""

    def agreed() -> bool:
        if not all(node.answers() for node in cluster.nodes.values()):
            return False
        reports = [node.report() for node in cluster.nodes.values()]
        groups_ok = all(group.ok for report in reports for group in report.groups)
        states = {node.state for report in reports for node in report.nodes}
        return groups_ok and states <= {"self", "fresh"}

    wait_until(agreed, SETTLE_LIMIT_S)


def monitor_pid(node: Node) -> int:
    assert node.monitor is not None
    return node.monitor.pid


def make(plan: Plan, name: str, *, timeout_s: float, size: int = 3, extra: str = "") -> Cluster:
    return Cluster(plan.directory(name), size=size, timeout_s=timeout_s, extra=extra)
