"""Every schedule of a small scope: 2 or 3 nodes, 1 group, each order of what can happen.

From a warm cluster (all have heard each other, node 1 may own the group or not) every sequence of
steps up to a depth is tried on the real brains: publish, read the newest or the version
before, restart a monitor, lose a machine with its disk, let time pass. Processes are the
worst there can be: they end at `kill_at` and not before. States met before are not tried again.
With `--mixed` node 1 has a table with the group on one node, the others one with `on=all`, and each
may be edited: an instance beside the single group breaks it.
`python -m tests.sim.explore --nodes 3 --depth 7` prints how many there were.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
from collections.abc import Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.node import Node
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.recovery import NOTHING, Startup
from mosha.core.cluster.timing import derive
from mosha.core.status import GroupState, Status
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, Hactl, Wish
from mosha.core.tell import Tell

GROUP = "g"
TIMING = derive(10.0, lease_s=6.0, stop_budget_s=3.9, start_grace_s=0.0)
# Two ticks are within a lease, four are beyond T.
TICK_S = 2.6
ROUNDS_MAX = 20
ONCE = Hactl({GROUP: Wish(GROUP, "start", prefer=(1,))})
EVERYWHERE = Hactl({GROUP: Wish(GROUP, "start", on_all=True)})


class BrokenError(AssertionError):
    """Two nodes run what excludes each other; the message is the schedule that leads there."""


class Step(Struct, frozen=True):
    """One thing that happens: `what` to `node`, reading `other` where it reads."""

    what: str
    node: int = 0
    other: int = 0

    def __str__(self) -> str:
        """Say the step as a word: `read(2<-1)`, `restart(3)`, `tick`."""
        if self.other:
            return f"{self.what}({self.node}<-{self.other})"
        return f"{self.what}({self.node})" if self.node else self.what


class Scene(Struct):
    """A cluster between two steps. Files keep the newest version and the one before."""

    nodes: dict[int, Node]
    now: float = 1000.0
    files: dict[int, list[Status]] = field(default_factory=dict)
    reports: dict[int, dict[str, GroupReport]] = field(default_factory=dict)
    memories: dict[int, Memory] = field(default_factory=dict)
    wishes: dict[int, Hactl] = field(default_factory=dict)
    lives: int = 0
    edits: int = 0

    def running(self) -> list[tuple[int, str]]:
        """Return the nodes where processes are alive, and of which group or instance."""
        return [
            (node, report.group)
            for node, reports in self.reports.items()
            for report in reports.values()
            if report.alive
        ]

    def is_broken(self) -> bool:
        """Say whether what excludes each other runs: the group twice, or beside an instance."""
        running = self.running()
        return len(running) > 1 and any(group == GROUP for _, group in running)


def born(
    node: int, life: int, scene: Scene, former: Status | None, *, memory: Memory = NOTHING
) -> Node:
    """Return the brain of a node at the start of a monitor."""
    ids = frozenset(scene.wishes)
    brain = Node(
        Startup(
            me=node,
            inc=100 + life,
            run=f"r{life}",
            boot="b",
            now=scene.now,
            former=former,
            memory=memory,
        ),
        TIMING,
        rules=FencingRules(),
        electorate=Electorate(Policy.MAJORITY, ids),
        members=ids,
    )
    brain.tables_adopted(scene.wishes[node], frozenset({GROUP}), {}, {})
    return brain


def warm(count: int, *, owned: bool, mixed: bool = False) -> Scene:
    """Return a cluster in which all have heard each other, and node 1 may own the group."""
    ids = range(1, count + 1)
    scene = Scene({}, wishes={it: EVERYWHERE if mixed and it > 1 else ONCE for it in ids})
    for node in ids:
        scene.nodes[node] = born(node, 0, scene, None)
        scene.nodes[node].clinit_answered([], scene.now)
    for _ in range(8 if owned else 2):
        for node in ids:
            take(scene, Step("publish", node))
        for node in ids:
            for other in ids:
                if other != node:
                    take(scene, Step("read", node, other))
    return scene


def steps(scene: Scene, deaths: int, edits: int = 0) -> Iterator[Step]:
    """Yield what can happen next; what would change nothing is left out."""
    for node, brain in scene.nodes.items():
        writes = brain.dirty or brain.state.published is None or scene.now > _written_at(brain)
        if writes and not brain.mute(scene.now):
            yield Step("publish", node)
        for other, versions in scene.files.items():
            if other == node:
                continue
            known = brain.state.view.peer(other)
            if known.status is None or versions[-1].stamp > known.status.stamp:
                yield Step("read", node, other)
                if len(versions) > 1 and known.status is None:
                    yield Step("readold", node, other)
            elif known.stale_since is None and brain.look_at(other) < scene.now:
                yield Step("look", node, other)
        if scene.lives < deaths:
            yield Step("restart", node)
            yield Step("wipe", node)
        if scene.edits < edits:
            yield Step("edit", node)
    yield Step("tick")


def _written_at(brain: Node) -> float:
    published = brain.state.published
    began = brain.state.writes.began(published.seq) if published else None
    return -1.0 if began is None else began


def take(scene: Scene, step: Step) -> None:
    """Let a step happen."""
    brain = scene.nodes.get(step.node)
    match step.what:
        case "tick":
            scene.now += TICK_S
            for node in scene.nodes:
                _deadlines(scene, node)
                _settle(scene, node)
        case "publish" if brain is not None:
            status = brain.next_status(scene.now)
            scene.memories[step.node] = brain.memory(status)
            scene.files[step.node] = [*scene.files.get(step.node, [])[-1:], status]
            brain.wrote(status, began=scene.now)
        case "read" | "readold" | "look" if brain is not None:
            versions = scene.files[step.other]
            status = versions[0] if step.what == "readold" else versions[-1]
            brain.peer_read(step.other, status, began=scene.now, now=scene.now)
        case "restart" | "wipe":
            _begin_again(scene, step)
        case "edit" if brain is not None:
            scene.edits += 1
            before = scene.wishes[step.node]
            scene.wishes[step.node] = ONCE if before is EVERYWHERE else EVERYWHERE
            brain.tables_adopted(scene.wishes[step.node], frozenset({GROUP}), {}, {})
    if step.node:
        _settle(scene, step.node)


def _begin_again(scene: Scene, step: Step) -> None:
    node = step.node
    scene.lives += 1
    former = scene.files[node][-1] if node in scene.files else None
    if step.what == "wipe":
        scene.files.pop(node, None)
        scene.reports.pop(node, None)
        former = None
        scene.memories.pop(node, None)
    memory = scene.memories.get(node, NOTHING)
    brain = born(node, scene.lives, scene, former, memory=memory)
    scene.nodes[node] = brain
    brain.clinit_answered(scene.reports.get(node, {}).values(), scene.now)


def _settle(scene: Scene, node: int) -> None:
    """Take steps and carry out tells until nothing is asked for any more."""
    brain = scene.nodes[node]
    brain.state.wake_all()
    for _ in range(ROUNDS_MAX):
        groups = brain.take_to_step()
        if not groups:
            break
        for group in sorted(groups):
            step = brain.step(group, scene.now, 0.5)
            if step.tell is not None:
                _tell(scene, node, step.tell)
    for renewal in brain.renewals(scene.now):
        reports = scene.reports[node]
        report = reports[renewal.group]
        if report.term == renewal.term and report.alive and report.wanted != STOP_LEVEL:
            kill_at, stop_at = renewal.kill_at, renewal.stop_at
            reports[renewal.group] = replace(report, stop_at=stop_at, kill_at=kill_at)
    brain.take_notes()


def _tell(scene: Scene, node: int, tell: Tell) -> None:
    group, reports = tell.group, scene.reports.setdefault(node, {})
    report = reports.get(group, GroupReport(group, "", GroupState.CONFIGURED, wanted=""))
    if tell.level == STOP_LEVEL:
        if report.alive:  # it will not go before it must
            report = replace(report, wanted=STOP_LEVEL, state=GroupState.STOPPING)
        else:
            report = GroupReport(
                group, STOP_LEVEL, GroupState.DONE, wanted=STOP_LEVEL, term=tell.term
            )
    elif tell.level == PLAN_LEVEL:
        report = GroupReport(group, PLAN_LEVEL, GroupState.DONE, wanted=PLAN_LEVEL, term=tell.term)
    elif tell.stop_at is not None and tell.stop_at > scene.now:
        report = GroupReport(
            group,
            tell.level,
            GroupState.DONE,
            wanted=tell.level,
            term=tell.term,
            alive=1,
            stop_at=tell.stop_at,
            kill_at=tell.kill_at,
        )
    reports[group] = report
    scene.nodes[node].clinit_changed(report)


def _deadlines(scene: Scene, node: int) -> None:
    reports = scene.reports.get(node, {})
    for group, report in reports.items():
        if not report.alive or report.stop_at is None or report.kill_at is None:
            continue
        if scene.now >= report.kill_at:
            gone = GroupReport(
                group, STOP_LEVEL, GroupState.DONE, wanted=STOP_LEVEL, term=report.term
            )
            reports[group] = gone
        elif scene.now >= report.stop_at:
            reports[group] = replace(report, wanted=STOP_LEVEL, state=GroupState.STOPPING)
        if reports[group] is not report:
            scene.nodes[node].clinit_changed(reports[group])


def explore(count: int, depth: int, *, owned: bool, deaths: int = 1, mixed: bool = False) -> int:
    """Try every schedule; return the number of different states.

    Raises:
        BrokenError: two nodes ran the group at the same time, or one beside an instance.
    """
    first, edits = pickle.dumps(warm(count, owned=owned, mixed=mixed)), 1 if mixed else 0
    seen = {hashlib.blake2b(first, digest_size=12).digest()}
    level: list[tuple[bytes, tuple[Step, ...]]] = [(first, ())]
    for _ in range(depth):
        following = []
        for frozen, path in level:
            for step in steps(pickle.loads(frozen), deaths, edits):  # noqa: S301 - our own
                scene = pickle.loads(frozen)  # noqa: S301 - our own
                take(scene, step)
                if scene.is_broken():
                    raise BrokenError(" ".join(map(str, (*path, step))))
                after = pickle.dumps(scene)
                key = hashlib.blake2b(after, digest_size=12).digest()
                if key not in seen:
                    seen.add(key)
                    following.append((after, (*path, step)))
        level = following
    return len(seen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore as the command line says; print the number of states."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.explore", description=__doc__)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--deaths", type=int, default=1, help="restarts and wipes, at most")
    parser.add_argument("--mixed", action="store_true", help="tables with and without on=all")
    options = parser.parse_args(arguments)
    for owned in (False, True):
        try:
            states = explore(
                options.nodes,
                options.depth,
                owned=owned,
                deaths=options.deaths,
                mixed=options.mixed,
            )
        except BrokenError as error:
            sys.stdout.write(f"explored: broken by {error}\n")
            return 1
        begin = "node 1 owns the group" if owned else "nobody owns the group"
        sys.stdout.write(
            f"{options.nodes} nodes, {begin}, depth {options.depth}: {states} states\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
