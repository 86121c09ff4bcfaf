"""What it takes to ask: `mosha status`, its answer by the monitor, and the texts of a status."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from mosha.core.status import GroupLine, GroupState, Stamp, Status, Term, Vote
from mosha.formats.clstat import parse_clstat, render_clstat
from mosha.host.clock import boottime
from tests.bench import clusters
from tests.bench.figures import Figure, Plan, median, spread

GROUPS = 100
NODES = 100
LIMIT_S = 120.0
IMPORTS = "import click, msgspec, rich.console, rich.live, rich.table, rich.text"


def run(plan: Plan) -> list[Figure]:
    return [*_command(plan), *_texts()]


def _command(plan: Plan) -> list[Figure]:
    groups = clusters.names(GROUPS)
    times: list[float] = []
    floors: list[float] = []
    answers: list[float] = []
    with clusters.make(plan, "status", timeout_s=10.0, size=1) as cluster:
        clusters.write_tables(cluster, groups)
        cluster.start()
        cluster.wait_running(groups, limit_s=LIMIT_S)
        node = cluster.nodes[1]
        mosha = [sys.executable, "-m", "mosha.cli.main", "status", "--config", str(node.config)]
        for number in range(plan.rounds(15, 5)):
            plan.say(f"status {number + 1}")
            times.append(_timed(mosha))
            floors.append(_timed([sys.executable, "-c", IMPORTS]))
            began = boottime()
            node.report()
            answers.append(boottime() - began)
    return [
        Figure(
            bench="status",
            what=f"the command `mosha status`, {GROUPS} groups",
            unit="ms",
            value=median(times) * 1000,
            samples=len(times),
            floor=median(floors) * 1000,
            floor_is="Python that imports click, msgspec and rich",
            parts=spread(times, 1000),
        ),
        Figure(
            bench="status",
            what=f"the monitor's answer, {GROUPS} groups, asked and parsed",
            unit="ms",
            value=median(answers) * 1000,
            samples=len(answers),
            parts=spread(answers, 1000),
        ),
    ]


def _timed(words: list[str]) -> float:
    began = boottime()
    subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
    return boottime() - began


def homes_of(nodes: int = NODES, groups: int = GROUPS) -> dict[str, int]:
    """Return where each group of a big cluster runs: each node has its share."""
    return {group: number % nodes + 1 for number, group in enumerate(clusters.names(groups))}


def status_of(node: int, seq: int, nodes: int = NODES, groups: int = GROUPS) -> Status:
    """Return what a node of a big cluster publishes; its share of the groups runs on it."""
    return status_with(homes_of(nodes, groups), node, seq, nodes)


def status_with(homes: Mapping[str, int], node: int, seq: int, nodes: int = NODES) -> Status:
    """Return what a node of a big cluster publishes in which the groups have these homes."""
    held = [group for group, home in homes.items() if home == node]
    return Status(
        node=node,
        inc=1_763_800_000,
        run=f"{node:08x}",
        boot="77de02c1",
        seq=seq,
        # One of two has read the newest of another already.
        seen={
            n: Stamp(1_763_800_000, seq - (n + node) % 2) for n in range(1, nodes + 1) if n != node
        },
        votes={g: Vote(1, home, 1_763_800_000, 5) for g, home in homes.items()},
        terms=dict.fromkeys(homes, Term(1, 1)),
        claims=dict.fromkeys(held, 1),
        groups={group: GroupLine("start", GroupState.DONE) for group in held},
    )


def _texts() -> list[Figure]:
    status = status_of(1, 1000)
    text = render_clstat(status).encode()
    # Each time another one, whose unchanged lines are known: as it is once a heartbeat.
    texts = iter([render_clstat(status_of(1, seq)).encode() for seq in range(1001, 1200)])
    facts = {line: line.split() for line in text.decode().splitlines()}
    as_json = json.dumps(facts)
    size = f"{len(text) / 1024:.1f} kB, {NODES} nodes and {GROUPS} groups"
    return [
        Figure(
            bench="status",
            what=f"a clstat {verb}, {size}",
            unit="ms",
            value=cpu_ms(work),
            floor=cpu_ms(floor),
            floor_is=f"the standard library's json, words of the same lines {verb}",
        )
        for verb, work, floor in (
            ("parsed", lambda: parse_clstat(next(texts)), lambda: json.loads(as_json)),
            ("rendered", lambda: render_clstat(status), lambda: json.dumps(facts)),
        )
    ]


def cpu_ms(work: Callable[[], object], turns: int = 30) -> float:
    """Return what a call costs in CPU time: the median, so that a cold cache does not count."""
    found = []
    for _ in range(turns):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1000)
    return median(found)
