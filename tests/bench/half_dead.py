"""How long the groups of a half-dead node are gone: it is found, shot, and they run elsewhere.

Monitor and clinit of a node stand still while its groups run on. The shot is an agent that ends all
processes of the node. Each round has a cluster of its own: of three nodes only one is shot within
ten minutes.
"""

from __future__ import annotations

from mosha.host.clock import boottime
from tests.bench import clusters, timeline
from tests.bench.figures import Aim, Figure, Plan, median, spread
from tests.e2e.cluster import Cluster
from tests.e2e.power import freeze, note_power, switch

TIMEOUT_S = 2.0
GROUPS = 9
LIMIT_S = 60.0
BEYOND_S = 0.5


def run(plan: Plan) -> list[Figure]:
    rounds = plan.rounds(6, 2)
    times = []
    for number in range(rounds):
        plan.say(f"{number + 1} of {rounds}")
        times.append(_round(plan, f"half{number}"))
    totals, shots = ([pair[part] for pair in times] for part in (0, 1))
    floor = TIMEOUT_S + median(shots)
    return [
        Figure(
            bench="halfdead",
            what="half-dead node: shot and moved",
            unit="s",
            value=median(totals),
            samples=rounds,
            floor=floor,
            floor_is="`timeout` and the shot itself",
            aim=Aim(at_most=round(floor + BEYOND_S, 2)),
            parts={"shot": median(shots)} | spread(totals),
        )
    ]


def _round(plan: Plan, name: str) -> tuple[float, float]:
    """Return how long all took, from the freeze until all groups ran elsewhere, and the shot."""
    groups = clusters.names(GROUPS)
    directory = plan.directory(name)
    with Cluster(directory, timeout_s=TIMEOUT_S, extra=switch(directory, "good")) as cluster:
        clusters.write_tables(cluster, groups)
        cluster.start()
        _, places = cluster.wait_running(groups, limit_s=LIMIT_S)
        clusters.wait_agreed(cluster)
        (victim,) = places[groups[0]]
        others = [number for number in cluster.nodes if number != victim]
        note_power(cluster)
        logs = timeline.sizes(cluster)
        began = boottime()
        freeze(cluster.nodes[victim])
        ended, _ = cluster.wait_running(groups, *others, limit_s=LIMIT_S)
        events = [event for n in others for event in timeline.lines(cluster.nodes[n], logs[n])]
        (ordered,) = timeline.times(events, "fence_ordered")
        (shot,) = timeline.times(events, "fence_ended")
        return ended - began, shot - ordered
