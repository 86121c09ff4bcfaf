"""Nodes of an earlier version and of this one in one cluster: `python -m tests.compat --help`.

Three real nodes, the first of the earlier version, each with its own clinit. Groups are moved,
stopped and started by orders and edits that are given at any node, monitors are killed, and a
witness says whether two nodes ever ran one group. In the end every group has run on both versions.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mosha.control.protocol import GiveOrder, MonitorReply, SetWish
from mosha.core.replication.judging import TABLES
from mosha.core.status import Verb
from mosha.host.clock import boottime
from tests.e2e.cluster import Cluster, Node
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
GROUPS = ("a", "b", "c", "d")
EARLIER, LATER = (1,), (2, 3)
LIMIT_S = 60.0


@contextlib.contextmanager
def checked_out(ref: str) -> Iterator[Path]:
    """Check out an earlier commit beside this one, for a while."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), ref], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def environment(place: Path) -> dict[str, str]:
    """Return what makes Python import mosha from there, and make sure that it does."""
    env = {"PYTHONPATH": str(place), "PYTHONSAFEPATH": "1"}
    found = subprocess.run(
        [sys.executable, "-c", "import mosha; print(mosha.__file__)"],
        env=os.environ | env,
        capture_output=True,
        check=True,
        text=True,
    )
    if not found.stdout.startswith(str(place)):
        raise SystemExit(f"mosha is imported from {found.stdout.strip()}, not from {place}")
    return env


class Story:
    """What is done to the cluster, and what came of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.steps = 0
        self.ran_on: dict[str, set[int]] = {group: set() for group in GROUPS}

    def settled(self) -> dict[str, list[int]]:
        """Wait until every group runs once; take down and return where."""
        _, places = self.cluster.wait_running(GROUPS, limit_s=LIMIT_S)
        wait_until(self.have_the_same_tables, LIMIT_S)
        for group, where in places.items():
            self.ran_on[group].update(where)
        return places

    def have_the_same_tables(self) -> bool:
        """Say whether all nodes publish the same versions of both tables."""
        statuses = [node.status() for node in self.cluster.nodes.values()]
        found = [s.tables for s in statuses if s is not None and len(s.tables) == len(TABLES)]
        return len(found) == len(statuses) and all(tables == found[0] for tables in found)

    def run(self, seconds: float) -> None:
        """Move groups from version to version for so long, and until each has been on both."""
        until = boottime() + seconds
        at = itertools.cycle(self.cluster.nodes.values())
        for group, node in zip(itertools.cycle(GROUPS), at, strict=False):
            if boottime() > until and not self.missing():
                return
            wait_until(node.answers, LIMIT_S)
            (here,) = self.settled()[group]
            self.step(group, node, here)

    def step(self, group: str, node: Node, here: int) -> None:
        """Do one thing with a group, by a request to this node or by its death."""
        self.steps += 1
        target = here % len(self.cluster.nodes) + 1
        match self.steps % 5:
            case 0:
                self.cluster.nodes[here].kill_monitor()
                self.cluster.nodes[here].start()
            case 1:
                obeyed(node.ask(SetWish(group=group, level="stop")))
                wait_until(lambda: group not in self.cluster.places(), LIMIT_S)
                obeyed(node.ask(SetWish(group=group, level="start")))
            case _:
                # It may still keep off a group that was moved away from it.
                obeyed(node.ask(GiveOrder(verb=Verb.CLEANUP, group=group)))
                obeyed(node.ask(GiveOrder(verb=Verb.MOVE, group=group, node=target)))
                wait_until(lambda: self.cluster.places().get(group) == [target], LIMIT_S)

    def missing(self) -> list[str]:
        """Return the groups that have not run on both versions yet."""
        versions = (set(EARLIER), set(LATER))
        return [g for g, nodes in self.ran_on.items() if not all(nodes & v for v in versions)]


def obeyed(reply: MonitorReply) -> None:
    """Make sure that an order was taken."""
    if not reply.ok:
        raise SystemExit(f"refused: {reply.text}")


def main(words: Sequence[str] | None = None) -> int:
    """Run the story; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat", description=__doc__)
    parser.add_argument("--before", required=True, help="the earlier version, a commit of git")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    options = parser.parse_args(words)
    with (
        checked_out(options.before) as place,
        tempfile.TemporaryDirectory() as directory,
        Cluster(Path(directory)) as cluster,
    ):
        for number in EARLIER:
            cluster.nodes[number].env = environment(place)
        cluster.write_tables(GROUPS)
        cluster.start()
        story = Story(cluster)
        story.run(options.seconds)
        story.settled()
        statuses = [cluster.nodes[number].leave() for number in cluster.nodes]
        overlaps = cluster.overlaps()
    sys.stdout.write(
        f"node 1 of {options.before}, nodes 2 and 3 of this version: {story.steps} steps,"
        f" groups have run on { ({g: sorted(n) for g, n in story.ran_on.items()}) },"
        f" {len(overlaps)} overlaps, exit statuses {statuses}\n"
    )
    return 1 if overlaps or any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
