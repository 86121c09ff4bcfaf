"""Clusters of two, and of two with a witness, whose nodes lose each other."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.cluster import Cluster
from tests.e2e.cuts import Cuts
from tests.e2e.power import GROUPS, is_down, note_power, reboot, says, switch
from tests.waiting import wait_until

HOME_1 = "a start prefer=1\n"

if TYPE_CHECKING:
    from pathlib import Path


def test_of_two_nodes_that_lose_each_other_one_survives_and_the_other_waits(
    short_dir: Path,
) -> None:
    extra = switch(short_dir, "good") + "[fencing]\ntie_break = 4.0\n"
    with Cluster(short_dir, size=2, extra=extra) as cluster:
        cuts = Cuts(cluster)
        cluster.write_tables(["a"])
        cluster.start()
        _, places = cluster.wait_running(["a"])
        (winner,) = places["a"]
        loser = 3 - winner
        note_power(cluster)
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
    with Cluster(short_dir, extra=switch(short_dir, "good")) as cluster:
        witness = cluster.nodes[3]
        witness.config.write_text('role = "witness"\n' + witness.config.read_text())
        cuts = Cuts(cluster)
        cluster.write_tables(GROUPS)
        cluster.start()
        _, places = cluster.wait_running(GROUPS)
        assert 3 not in {node for nodes in places.values() for node in nodes}
        note_power(cluster)
        pids = {number: cluster.nodes[number].pids() for number in (1, 2)}
        cuts.cut(1, 2)

        def held() -> bool:
            return all(says(cluster.nodes[number], "still hears it") for number in (1, 2))

        wait_until(held)
        assert {number: cluster.nodes[number].pids() for number in (1, 2)} == pids
        assert witness.monitor is not None
        assert witness.processes() == [witness.monitor.pid], "it needs no clinit"
        cuts.heal(1, 2)
        wait_until(lambda: all(node.report().quorum.seen == 3 for node in cluster.nodes.values()))
        assert cluster.overlaps() == []


def test_with_a_witness_a_node_that_is_cut_off_is_shot_and_waits_when_it_is_back(
    short_dir: Path,
) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "good")) as cluster:
        witness = cluster.nodes[3]
        witness.config.write_text('role = "witness"\n' + witness.config.read_text())
        cuts = Cuts(cluster)
        cluster.write_tables(["a"])
        cluster.start()
        _, places = cluster.wait_running(["a"])
        (loser,) = places["a"]
        winner = 3 - loser
        note_power(cluster)
        cuts.cut(1, 2)
        cuts.cut(loser, 3)
        wait_until(lambda: is_down(cluster.nodes[loser]))
        cluster.wait_running(["a"], winner)
        reboot(cluster.nodes[loser])
        wait_until(lambda: says(cluster.nodes[loser], "no quorum"))
        assert cluster.places(loser) == {}
        assert cluster.nodes[loser].report().shots == []
        cuts.heal(1, 2)
        cuts.heal(loser, 3)
        wait_until(lambda: all(node.report().quorum.seen == 3 for node in cluster.nodes.values()))
        cluster.wait_running(["a"], winner)
        assert [it.state for it in cluster.nodes[3].report().nodes if it.witness] == ["self"]
        assert not is_down(cluster.nodes[winner])
        assert cluster.overlaps() == []


def test_a_drill_drains_a_node_has_it_shot_and_waits_for_its_return(short_dir: Path) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "good")) as cluster:
        cluster.write_tables(GROUPS)
        cluster.start()
        _, places = cluster.wait_running(GROUPS)
        (node,) = places["a"]
        asked = next(number for number in cluster.nodes if number != node)
        note_power(cluster)
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


def test_of_two_nodes_the_one_with_a_delay_wins_by_both_supplies_of_the_other(
    short_dir: Path,
) -> None:
    first = switch(short_dir, "good", nodes=2)
    targets = 'targets = {1 = "q1", 2 = "q2"}'
    second = first[first.index("[[") : first.index("targets")] + targets + "\nlevel = 1\n"
    for number in (1, 2):
        (short_dir / f"q{number}").write_text("on")
    rest = "[fencing]\ntie_break = 4.0\ndelays = {2 = 1.0}\n"
    with Cluster(short_dir, size=2, extra=f"{first}level = 1\n{second}{rest}") as cluster:
        cuts = Cuts(cluster)
        cluster.write_tables([], cltab=f"a:m:start:respawn:{cluster.service()}\n", hactl=HOME_1)
        cluster.start()
        cluster.wait_running(["a"], 1)
        note_power(cluster)
        cuts.cut(1, 2)
        wait_until(lambda: is_down(cluster.nodes[1]))
        cluster.wait_running(["a"], 2)
        assert [(short_dir / name).read_text() for name in ("p1", "q1")] == ["off", "off"]
        assert not is_down(cluster.nodes[2])
        (shot,) = [it for it in cluster.nodes[2].report().shots if it.node == 1]
        assert (shot.method, shot.grade) == ("fence_switch+fence_switch", "off-confirmed")
        assert cluster.overlaps() == []
