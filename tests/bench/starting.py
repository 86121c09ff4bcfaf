"""How long 200 services take to start, and what a clinit that keeps them costs."""

from __future__ import annotations

from tests.bench import supervisors
from tests.bench.figures import Aim, Figure, Plan, median, spread
from tests.bench.machine import Usage, usage
from tests.bench.stamps import Stamper

ENTRIES = 200
AIM = Aim(ratio=1.5)


def run(plan: Plan) -> list[Figure]:
    directory = plan.directory("start")
    stamper = Stamper(directory)
    rounds = plan.rounds(7, 3)
    times: dict[int, list[float]] = {1: [], 20: []}
    floors: list[float] = []
    costs: list[Usage] = []
    floor_costs: list[Usage] = []
    for number in range(rounds):
        plan.say(f"round {number + 1} of {rounds}")
        with supervisors.floor(ENTRIES, stamper.command) as floor:
            began = floor.go()
            floors.append(_last(stamper) - began)
            floor_costs.append(usage(floor.process.pid))
        for groups, results in times.items():
            cltab = [f"g{n % groups}:t{n}:up:respawn:{stamper.command}" for n in range(ENTRIES)]
            with supervisors.clinit(directory / f"{groups}.{number}", cltab) as clinit:
                began = clinit.tell({f"g{n}": "up" for n in range(groups)})
                results.append(_last(stamper) - began)
                costs.append(usage(clinit.pid))
    figures = [
        Figure(
            bench="start",
            what=f"{ENTRIES} entries in {groups} group{'s' if groups > 1 else ''}, all started",
            unit="ms",
            value=median(results) * 1000,
            samples=rounds,
            floor=median(floors) * 1000,
            floor_is="a bare asyncio pidfd spawner, pipes",
            aim=AIM,
            parts=spread(results, 1000),
        )
        for groups, results in times.items()
    ]
    return [*figures, *_memory(costs, floor_costs)]


def _last(stamper: Stamper) -> float:
    return max(stamper.next().at for _ in range(ENTRIES))


def _memory(costs: list[Usage], floor_costs: list[Usage]) -> list[Figure]:
    floor_is = "the bare spawner with as many children"

    def figure(what: str, unit: str, read: str, aim: Aim | None = None) -> Figure:
        return Figure(
            bench="start",
            what=f"{what} of clinit with {ENTRIES} children",
            unit=unit,
            value=median([getattr(cost, read) for cost in costs]),
            samples=len(costs),
            floor=median([getattr(cost, read) for cost in floor_costs]),
            floor_is=floor_is,
            aim=aim,
        )

    return [
        figure("threads", "", "threads", Aim(at_most=3)),
        figure("RSS", "MB", "rss_mb"),
        figure("PSS", "MB", "pss_mb"),
    ]
