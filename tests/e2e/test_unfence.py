"""Nodes that were cut off from their storage have themselves let in again, with real daemons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.cluster import Cluster
from tests.e2e.power import GROUPS, freeze, is_down, note_power, reboot, says, switch
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def orders(base: Path, number: int) -> list[str]:
    """Return what the switch was ordered for a node, without the questions."""
    asked = [json.loads(line)["options"] for line in (base / "asked").read_text().splitlines()]
    found = [one["action"] for one in asked if one["plug"] == f"p{number}"]
    return [action for action in found if action in ("on", "off")]


def test_a_node_that_was_shot_is_let_in_before_it_owns_a_group_again(short_dir: Path) -> None:
    extra = switch(short_dir, "good") + "unfence = true\n"
    for number in (1, 2, 3):
        (short_dir / f"p{number}").write_text("off")
    with Cluster(short_dir, extra=extra) as cluster:
        cluster.write_tables(GROUPS)
        cluster.start()
        _, places = cluster.wait_running(GROUPS)
        wait_until(lambda: [orders(short_dir, number) for number in (1, 2, 3)] == [["on"]] * 3)
        (victim,) = places["a"]
        node = cluster.nodes[victim]
        note_power(cluster)
        freeze(node)
        wait_until(lambda: is_down(node))
        cluster.wait_running(GROUPS)
        reboot(node)
        wait_until(lambda: orders(short_dir, victim) == ["on", "off", "on"])
        wait_until(lambda: not says(node, "its storage does not let it in"))
        (cluster.nodes[1].directory / "hactl").write_text(f"a start only={victim}\n")
        cluster.wait_running(["a"], victim)
        assert cluster.overlaps() == []


def test_nodes_that_are_not_let_in_own_nothing_and_say_why(short_dir: Path) -> None:
    extra = switch(short_dir, "with_password") + "unfence = true\n"
    with Cluster(short_dir, extra=extra) as cluster:
        cluster.write_tables(GROUPS)
        cluster.start()
        why = "its storage does not let it in: fence_switch: on: exit 1"
        wait_until(lambda: all(says(node, why) for node in cluster.nodes.values()))
        assert cluster.places() == {}
        assert all(len(node.events("unfence_failed")) == 1 for node in cluster.nodes.values())
