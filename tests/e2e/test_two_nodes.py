"""Clusters of two, and of two with a witness, whose nodes lose each other."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.cluster import Cluster
from tests.e2e.test_half_dead_nodes import GROUPS, switch
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Node


class Cuts:
    """Lets each node see the others' directories through links of its own, which can be cut."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        for number, node in cluster.nodes.items():
            view = self._view(number)
            view.mkdir()
            for other in cluster.nodes:
                self._link(number, other)
            text = node.config.read_text()
            assert str(cluster.base / "mfs") in text
            node.config.write_text(text.replace(str(cluster.base / "mfs"), str(view)))

    def _view(self, number: int) -> Path:
        return self._cluster.base / f"view{number}"

    def _link(self, number: int, other: int) -> None:
        (self._view(number) / str(other)).symlink_to(self._cluster.base / "mfs" / str(other))

    def cut(self, one: int, other: int) -> None:
        """Let two nodes see each other no more."""
        (self._view(one) / str(other)).unlink()
        (self._view(other) / str(one)).unlink()

    def heal(self, one: int, other: int) -> None:
        """Let them see each other again."""
        self._link(one, other)
        self._link(other, one)


def note_pids(cluster: Cluster, directory: Path) -> None:
    """Let the fence agent know what belongs to each node's power."""
    for number, node in cluster.nodes.items():
        assert node.monitor is not None
        pids = {node.monitor.pid, node.clinit_pid(), *node.processes()}
        (directory / f"p{number}.pids").write_text(" ".join(map(str, pids)))


def says(node: Node, text: str) -> bool:
    """Say whether the status of a node has such a problem."""
    return node.answers() and any(text in problem for problem in node.report().problems)


def is_down(node: Node) -> bool:
    return node.monitor is not None and node.monitor.poll() is not None


def reboot(node: Node) -> None:
    """Start a node whose machine was reset: its memory is of another boot."""
    path = node.rundir / "state" / "node.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "0badb007"}))
    node.start()


def test_of_two_nodes_that_lose_each_other_one_survives_and_the_other_waits(
    short_dir: Path,
) -> None:
    extra = switch(short_dir, "kills") + "[fencing]\ntie_break = 4.0\n"
    with Cluster(short_dir, size=2, extra=extra) as cluster:
        cuts = Cuts(cluster)
        cluster.write_tables(["a"])
        cluster.start()
        _, places = cluster.wait_running(["a"])
        (winner,) = places["a"]
        loser = 3 - winner
        note_pids(cluster, short_dir)
        cuts.cut(1, 2)
        wait_until(lambda: is_down(cluster.nodes[loser]))
        cluster.wait_running(["a"], winner)
        assert not is_down(cluster.nodes[winner])
        assert cluster.nodes[winner].report().quorum.has
        reboot(cluster.nodes[loser])
        wait_until(lambda: says(cluster.nodes[loser], "no quorum"))
        assert cluster.places(loser).get("a", []) == []
        cuts.heal(1, 2)
        wait_until(lambda: cluster.nodes[loser].report().quorum.has)
        cluster.wait_running(["a"], winner)
        assert not is_down(cluster.nodes[winner])
        assert cluster.overlaps() == []


def test_with_a_witness_a_cut_between_the_two_others_costs_nothing(short_dir: Path) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "kills")) as cluster:
        witness = cluster.nodes[3]
        witness.config.write_text('role = "witness"\n' + witness.config.read_text())
        cuts = Cuts(cluster)
        cluster.write_tables(GROUPS)
        cluster.start()
        _, places = cluster.wait_running(GROUPS)
        assert 3 not in {node for nodes in places.values() for node in nodes}
        note_pids(cluster, short_dir)
        pids = {number: node.pids() for number, node in cluster.nodes.items()}
        cuts.cut(1, 2)

        def held() -> bool:
            return all(says(cluster.nodes[number], "still hears it") for number in (1, 2))

        wait_until(held)
        assert {number: node.pids() for number, node in cluster.nodes.items()} == pids
        cuts.heal(1, 2)
        wait_until(lambda: all(node.report().quorum.seen == 3 for node in cluster.nodes.values()))
        assert cluster.overlaps() == []


def test_a_drill_drains_a_node_has_it_shot_and_waits_for_its_return(short_dir: Path) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "kills")) as cluster:
        cluster.write_tables(GROUPS)
        cluster.start()
        _, places = cluster.wait_running(GROUPS)
        (node,) = places["a"]
        asked = next(number for number in cluster.nodes if number != node)
        note_pids(cluster, short_dir)
        words = [
            sys.executable,
            "-m",
            "mosha.cli.main",
            "drill",
            "--yes",
            "--limit",
            "60s",
            "--json",
        ]
        words += ["--config", str(cluster.nodes[asked].config), str(node)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as drill:
            wait_until(lambda: is_down(cluster.nodes[node]) or drill.poll() is not None)
            reboot(cluster.nodes[node])
            out, _ = drill.communicate()
        said = json.loads(out)
        assert [step["step"] for step in said["steps"] if step["ok"]] == [
            "standby",
            "drained",
            "shot",
            "returned",
            "unstandby",
        ]
        assert drill.returncode == 0
        assert cluster.overlaps() == []
