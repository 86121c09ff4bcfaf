"""A thousand groups told at once, and 750 stopped by one edit: nobody is killed, each runs once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import clusters
from tests.bench.figures import Aim, Figure, Plan
from tests.e2e import crowd

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.cluster import Cluster

TIMEOUT_S = 10.0
LIMIT_S = 600.0
NOTHING_WRONG = Aim(at_most=0)


def run(plan: Plan) -> list[Figure]:
    """Measure both; what went wrong is a figure of its own, with its first cases."""
    figures = []
    for what, count, act in (
        ("told at once, each a `once` entry", plan.rounds(1000, 200), crowd.all_at_once),
        ("stopped by one edit", plan.rounds(750, 150), crowd.one_edit),
    ):
        plan.say(f"{count} groups {what}")
        came = _come(plan, count, act)
        figures += [
            Figure(bench="crowd", what=f"{count} groups {what}", unit="s", value=came.took_s),
            Figure(
                bench="crowd",
                what="lapsed, killed or run again meanwhile",
                unit="",
                value=len(came.wrong),
                aim=NOTHING_WRONG,
                parts={f"case {n}": text for n, text in enumerate(came.wrong[:3], 1)},
            ),
        ]
    return figures


def _come(plan: Plan, count: int, act: Callable[[Cluster, int, float], crowd.Came]) -> crowd.Came:
    with clusters.make(plan, f"crowd{count}", timeout_s=TIMEOUT_S, size=1) as cluster:
        return act(cluster, count, LIMIT_S)
