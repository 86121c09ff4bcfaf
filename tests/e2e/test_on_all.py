"""A group with `on=all` on real nodes: joined, left, killed, made a single group and back."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from mosha.cli.demo import overlaps
from mosha.core.instance_names import instance, single
from tests.e2e.cluster import Cluster, Node
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DNS = "dns"
TIMEOUT_S = 6.0


@pytest.fixture
def trio(short_dir: Path) -> Iterator[Cluster]:
    """Three nodes that are not started yet; a busy machine costs them no lease so soon."""
    with Cluster(short_dir, timeout_s=TIMEOUT_S, extra="heartbeat = 0.3\n") as made:
        yield made


def on(*nodes: int) -> dict[str, list[int]]:
    return {instance(DNS, node): [node] for node in nodes}


def typed(node: Node, *words: str) -> str:
    """Type a command on a node, and return what it prints."""
    command = [sys.executable, "-m", "mosha.cli.main", *words, "--config", str(node.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return f"{done.stdout}{done.stderr}"


def pids(cluster: Cluster) -> set[int]:
    """Return the processes of all instances."""
    found = (node.pids()[instance(DNS, node.number)] for node in cluster.nodes.values())
    return {pid for each in found for pid in each}


def beside(cluster: Cluster) -> list[str]:
    """Return each moment at which the single group ran beside an instance, by their processes."""
    ran = overlaps.read_witness(cluster.witness.read_text())
    once = [one for one in ran if one.group == DNS]
    instances = [one for one in ran if one.group != DNS and single(one.group) == DNS]
    assert once
    assert instances
    return [
        f"{many.group} on node {many.node} beside {one.group} on node {one.node}"
        for one in once
        for many in instances
        if one.overlaps(replace(many, group=DNS))
    ]


def test_a_group_on_all_nodes_joins_leaves_dies_and_becomes_a_single_one_and_back(
    trio: Cluster,
) -> None:
    one, two, three = (trio.nodes[number] for number in (1, 2, 3))
    trio.write_tables((), cltab=f"{DNS}:named:start:respawn:{trio.service()}\n", hactl="")
    (one.directory / "hactl").write_text(f"{DNS} start on=all\n")
    one.start()
    two.start()
    wait_until(lambda: trio.places(1, 2) == on(1, 2), 60.0)

    three.start()
    wait_until(lambda: trio.places() == on(1, 2, 3), 60.0)
    assert "there is nothing to move" in typed(one, "move", DNS, "2")
    before = pids(trio)
    typed(one, "restart", DNS)
    wait_until(lambda: before.isdisjoint(pids(trio)) and trio.places() == on(1, 2, 3), 60.0)

    assert two.leave(60.0) == 0
    wait_until(lambda: trio.places(1, 3) == on(1, 3), 60.0)
    assert "it runs nowhere; node 2" in typed(one, "why", instance(DNS, 2))
    two.start()
    wait_until(lambda: trio.places() == on(1, 2, 3), 60.0)

    typed(one, "set", DNS, "start", "on=one")
    wait_until(lambda: [*trio.places()] == [DNS] and len(trio.places()[DNS]) == 1, 60.0)
    typed(two, "set", DNS, "start", "on=all")
    wait_until(lambda: trio.places() == on(1, 2, 3), 60.0)

    three.kill()
    typed(one, "set", DNS, "start", "on=one")  # what node 3 ran may run on, as far as is known
    wait_until(lambda: len(trio.places(1, 2).get(DNS, [])) == 1, 60.0)
    assert trio.overlaps() == []
    assert beside(trio) == []
