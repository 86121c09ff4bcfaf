"""What `on=all` and `after=` cost in a big cluster: the brain of one node, beside one without them.

Each is measured in turn with a cluster of the same nodes whose groups do not relate. An instance of
`on=all` is compared with a single group as well: with twice as many of those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from mosha.core.instance_names import instance
from mosha.core.tables import Wish
from tests.bench.brain import Model
from tests.bench.figures import Figure, Plan, median
from tests.bench.status import GROUPS, NODES, homes_of

EVERYWHERE = "everywhere"
CHAIN = 10
"""So many groups come one after the other; the first of the last chain is on the node that dies."""


class Scene(Struct, frozen=True):
    """A cluster: the lines of its hactl, and where its groups and instances run."""

    wishes: Mapping[str, Wish]
    homes: Mapping[str, int]

    def model(self, *, running: bool) -> Model:
        return Model(running=running, wishes=self.wishes, homes=self.homes)


def _plain(groups: int) -> Scene:
    homes = homes_of(groups=groups)
    return Scene({name: Wish(name, "start") for name in homes}, homes)


def _on_all() -> Scene:
    plain = _plain(GROUPS)
    instances = {instance(EVERYWHERE, node): node for node in range(1, NODES + 1)}
    everywhere = Wish(EVERYWHERE, "start", on_all=True)
    return Scene({**plain.wishes, EVERYWHERE: everywhere}, {**plain.homes, **instances})


def _chains() -> Scene:
    homes = homes_of()
    names = list(homes)
    after = {
        name: tuple(names[at + 1 : at + 2]) if (at + 1) % CHAIN else ()
        for at, name in enumerate(names)
    }
    return Scene({name: Wish(name, "start", after=after[name]) for name in names}, homes)


SCENES: Mapping[str, Callable[[], Scene]] = {
    "plain": lambda: _plain(GROUPS),
    "twice": lambda: _plain(GROUPS + NODES),
    "on_all": _on_all,
    "chains": _chains,
}


def run(plan: Plan) -> list[Figure]:
    rounds = plan.rounds(5, 1)
    costs: dict[str, dict[str, list[float]]] = {name: {} for name in SCENES}
    for number in range(rounds):
        for name, scene in SCENES.items():
            plan.say(f"{name}, round {number + 1} of {rounds}")
            for work, ms in _costs(scene(), plan.rounds(5, 2)).items():
                costs[name].setdefault(work, []).append(ms)
    found = {name: {work: median(ms) for work, ms in of.items()} for name, of in costs.items()}
    return [
        Figure(
            bench="related",
            what=f"CPU {work}, {NODES} nodes: {what}",
            unit="ms",
            value=found[name][work],
            samples=rounds,
            floor=found["plain"][work],
            floor_is=f"{GROUPS} groups that do not relate",
            parts={f"{GROUPS + NODES} single groups": found["twice"][work]} if more else {},
        )
        for name, what, more in (
            ("on_all", f"one group with on=all beside {GROUPS}", True),
            ("chains", f"{GROUPS} groups in chains of {CHAIN} (after=)", False),
        )
        for work in found[name]
    ]


def _costs(scene: Scene, beats: int) -> dict[str, float]:
    """Return what each kind of work costs once, in ms of CPU time."""
    model = scene.model(running=True)
    idle = scene.model(running=False)
    return {
        "a heartbeat": median([_ms(model.heartbeat) for _ in range(beats)]),
        "when a node is found stale": _ms(lambda: model.lose(NODES)),
        "when all are wanted at once": _ms(idle.start_everything),
    }


def _ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000
