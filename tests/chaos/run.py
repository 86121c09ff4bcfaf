"""One run: a cluster is made, a storm goes over it, and a verdict is given.

Everything the run started is ended by it, whatever happens; the files are kept if something
was wrong.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mosha.host.clock import boottime
from tests.chaos import equip, kernel, verdict
from tests.chaos.edits import TABLES, Book
from tests.chaos.equip import Choices
from tests.chaos.lives import KernelWitness, without_still
from tests.chaos.machines import Machine
from tests.chaos.schedule import Fault, World, kinds, make_faults, make_world
from tests.chaos.storm import Storm
from tests.chaos.views import Views
from tests.e2e.cluster import Cluster, Node

SETTLE_TIMEOUTS = 12.0
SETTLE_MIN_S = 45.0
LEAVE_LIMIT_S = 30.0
CROWD_MAX = 4.0
"""With so many processes waiting for each processor, nobody can say what is late."""

EXTRA = """ban = 4
start_grace = 1
poll = {poll}
log_level = "info"
"""
FENCE = """stomith = "{script}"
"""


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    world: World
    seconds: float
    problems: list[str] = field(default_factory=list)
    exercised: Counter[str] = field(default_factory=Counter)
    loud: Counter[str] = field(default_factory=Counter)
    facts: dict[str, object] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)
    """What did not come about in time on a machine that others keep too busy for that."""
    kept: Path | None = None
    missing: list[str] = field(default_factory=list)
    without_kernel: str = ""

    @property
    def never(self) -> list[str]:
        """What this run could have exercised and did not."""
        return sorted(kind for kind in kinds(self.world) if not self.exercised[kind])


def run(
    seed: int,
    seconds: float,
    say: Callable[[str], None],
    *,
    choices: Choices = Choices(),  # noqa: B008 - it is frozen
    base: Path | None = None,
) -> Outcome:
    """Do one run of `seconds` of faults. `say` prints a line; `base` is where files go."""
    directory = Path(tempfile.mkdtemp(prefix="mc", dir=base))
    has, lacks = equip.look(choices)
    world = make_world(seed, has)
    faults = make_faults(world, seconds)
    say(str(world))
    outcome = Outcome(world, seconds, missing=lacks, without_kernel=kernel.missing())
    for lack in lacks:
        say(f"  {lack}")
    for fault in faults:
        say(f"  {fault}")
    if outcome.without_kernel:
        say(f"judged by what the services note themselves: {outcome.without_kernel}")
    try:
        with contextlib.ExitStack() as ends:
            _live(faults, directory, outcome, say, ends)
    except BaseException:
        say(f"broken off; files are kept in {directory}")
        raise
    if outcome.problems:
        outcome.kept = directory
    else:
        shutil.rmtree(directory)
    return outcome


def _live(
    faults: list[Fault],
    directory: Path,
    outcome: Outcome,
    say: Callable[[str], None],
    ends: contextlib.ExitStack,
) -> None:
    world = outcome.world
    extra = EXTRA.format(poll=world.timeout_s / 20)
    if world.fences:
        extra = FENCE.format(script=directory / "fence") + extra
    cluster = Cluster(directory, size=world.nodes, timeout_s=world.timeout_s, extra=extra)
    ends.enter_context(cluster)
    witness = None if outcome.without_kernel else KernelWitness(_mark(cluster))
    if witness is not None:
        ends.enter_context(witness)
    machines = {n: _machine(node, cluster.box) for n, node in cluster.nodes.items()}
    if world.fences:
        _write_fence(directory, machines)
    views = _make_views(world, cluster, ends)
    network = equip.connect(world, cluster, ends)
    if views is not None or network is not None:
        _give_views(cluster)
    ends.callback(_kill_all, machines)  # before the views go, and their frozen calls with them
    equip.give(world, cluster, machines, network, ends)
    ends.callback(_kill_all, machines)  # before their logs go
    book = Book(cluster, world.groups)
    began = boottime()

    def tell(text: str) -> None:
        say(f"{boottime() - began:7.2f}  {text}")

    storm = Storm(world, cluster, machines, views, network, book, tell)
    chance = random.Random(world.seed)  # noqa: S311 - faults, not secrets
    for table in TABLES:
        book.edit(1, table, chance, how="renamed", valid=True)
    for machine in machines.values():
        machine.start()
    problems = outcome.problems

    def restless() -> list[str]:
        return _unsettled(storm)

    if not storm.settle(lambda: not restless(), SETTLE_MIN_S * _crowd()):
        _late(outcome).extend(["the cluster did not start", *restless()])
        return
    began = boottime()
    storm.run(faults)
    tell("the faults are over")
    limit_s = max(SETTLE_MIN_S, SETTLE_TIMEOUTS * world.timeout_s) * _crowd()
    if not storm.settle(lambda: not (restless() or book.wrong()), limit_s):
        _late(outcome).extend([*restless(), *book.wrong()])
    tell("not settled" if problems or outcome.unjudged else "settled")
    _judge(storm, outcome, witness)


def _crowd() -> float:
    """Return how many times longer everything takes on a machine that others use as well."""
    return min(CROWD_MAX, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def _late(outcome: Outcome) -> list[str]:
    """Return where it is noted that something has not come about in its time."""
    return outcome.unjudged if _crowd() >= CROWD_MAX else outcome.problems


def _mark(cluster: Cluster) -> str:
    """Return how the marks of all nodes begin."""
    return cluster.nodes[1].mark.rpartition(".")[0]


def _judge(storm: Storm, outcome: Outcome, witness: KernelWitness | None) -> None:
    """Look at everything, let all nodes leave, and look for what stays."""
    cluster, machines, problems = storm.cluster, storm.machines, outcome.problems
    for machine in machines.values():
        problems += machine.own_ends
    for machine in machines.values():
        machine.down += 1
        machine.leaving = True
        machine.node.signal(signal.SIGTERM)
    left = storm.settle(lambda: all(m.ended() for m in machines.values()), LEAVE_LIMIT_S * _crowd())
    if not left:
        _late(outcome).append("not every node left within its time")
    for machine in machines.values():
        machine.end_earlier_clinits()
    storm.settle(lambda: not verdict.left_running(machines), 2.0)
    late = outcome.unjudged or problems  # what follows from being late is no fault of its own
    late += verdict.left_running(machines)
    lost = storm.book.lost()
    late += lost
    problems += verdict.together_on_a_node(cluster)
    noted = verdict.notes(cluster)
    ran = noted
    if witness is not None:
        record = witness.end()
        ran = without_still(record.ran, storm.stood_still)
        if record.lost:
            problems.append(f"the kernel dropped {record.lost} reports: nothing is proved")
        late += [f"orphan: {one}" for one in record.left]
        problems += verdict.unseen(noted, record.ran)
        outcome.facts |= {"processes": len(ran), "processes_without_lease": record.unleased}
    overlaps, disorder = verdict.owners_at_once(ran), verdict.terms_out_of_order(ran)
    problems += [*overlaps, *disorder]
    odd, outcome.loud = verdict.odd_lines(machines, storm.exercised, storm.world)
    problems += odd
    outcome.exercised = storm.exercised
    outcome.facts |= {
        "overlaps": len(overlaps),
        "owners": verdict.owners(ran),
        "tokens_not_increasing": len(disorder),
        "instances": len(noted),
        "moves": verdict.moves(ran),
        "served_share": round(verdict.served_share(ran), 2),
        "edits": len(storm.book.edits),
        "edits_lost": len(lost),
        "late_max_s": round(storm.late_max_s, 3),
    }


def _unsettled(storm: Storm) -> list[str]:
    if storm.standby:
        return [f"nodes {sorted(storm.standby)} are on standby"]
    if storm.busy():
        return ["a command of an operator is under way"]
    groups = [group for group in storm.world.groups if group not in storm.book.without()]
    try:
        return verdict.unsettled(storm.cluster, storm.machines, groups)
    except FileNotFoundError as error:
        return [f"not there: {error.filename}"]


def _machine(node: Node, box: Path | None) -> Machine:
    if box is not None:
        node.box = box / f"n{node.number}"
        node.box.mkdir()
    return Machine(node, node.box)


def _kill_all(machines: dict[int, Machine]) -> None:
    for machine in machines.values():
        machine.reset()


def _make_views(world: World, cluster: Cluster, ends: contextlib.ExitStack) -> Views | None:
    if not world.equipment.fuse:
        return None
    base = cluster.base
    views = Views(base, base / "mfs", world.seed)
    ends.callback(views.close)
    return views.open(range(1, world.nodes + 1))


def _give_views(cluster: Cluster) -> None:
    """Let each node look at the directories through its own mounts."""
    base = cluster.base
    for number, node in cluster.nodes.items():
        text = node.config.read_text()
        node.config.write_text(text.replace(f'"{base}/mfs"', f'"{base}/v{number}"'))


def _write_fence(directory: Path, machines: dict[int, Machine]) -> None:
    """Write a fence that is one: it ends everything of the node."""
    tracker = {number: machine.box for number, machine in machines.items()}
    cases = "".join(f"{number}) echo 1 > {box}/cgroup.kill ;;\n" for number, box in tracker.items())
    script = directory / "fence"
    script.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}*) exit 1 ;;\nesac\n')
    script.chmod(0o755)
