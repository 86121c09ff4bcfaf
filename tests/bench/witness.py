"""What a witness costs beside a member without groups: the memory of all its processes."""

from __future__ import annotations

from tests.bench import clusters
from tests.bench.figures import Figure, Plan
from tests.bench.machine import usage
from tests.e2e.cluster import Node

TIMEOUT_S = 10.0
WITNESS, MEMBER = 3, 2


def run(plan: Plan) -> list[Figure]:
    with clusters.make(plan, "witness", timeout_s=TIMEOUT_S, extra="heartbeat = 1\n") as cluster:
        config = cluster.nodes[WITNESS].config
        config.write_text('role = "witness"\n' + config.read_text())
        clusters.write_tables(cluster, [])
        cluster.start()
        clusters.wait_agreed(cluster)
        witness, member = (_memory(cluster.nodes[number]) for number in (WITNESS, MEMBER))
        return [
            Figure(
                bench="witness",
                what=f"{name} of a witness, all its processes",
                unit="MB",
                value=witness[name],
                floor=member[name],
                floor_is="a member without groups: monitor, clinit and its guards",
                parts={"processes": witness["processes"], "of the member": member["processes"]},
            )
            for name in ("RSS", "PSS")
        ]


def _memory(node: Node) -> dict[str, float]:
    found = [usage(pid) for pid in node.processes()]
    return {
        "RSS": sum(it.rss_mb for it in found),
        "PSS": sum(it.pss_mb for it in found),
        "processes": float(len(found)),
    }
