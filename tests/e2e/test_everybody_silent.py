"""All nodes lose sight of each other, or of the file system: nobody is shot, and all goes on."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.cuts import Cuts
from tests.e2e.power import GROUPS, is_down, note_power, says, switch
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 4.0
"""Long enough that no node is silent, and shot, because the machine is busy."""

LIMIT_S = 90.0
FIRST, LAST = (1, 2, 3), (4, 5)
BRAKED = "so many went silent at the same time (4, 5)"


@pytest.fixture
def three(short_dir: Path) -> Iterator[tuple[Cluster, Cuts]]:
    """Three nodes with groups, and a switch for the power of each."""
    yield from running(short_dir, 3)


@pytest.fixture
def five(short_dir: Path) -> Iterator[tuple[Cluster, Cuts]]:
    """Five such nodes."""
    yield from running(short_dir, 5)


def running(directory: Path, size: int) -> Iterator[tuple[Cluster, Cuts]]:
    extra = switch(directory, "good", nodes=size)
    with Cluster(directory, size=size, timeout_s=TIMEOUT_S, extra=extra) as cluster:
        cuts = Cuts(cluster)
        cluster.write_tables(GROUPS)
        cluster.start()
        wait_as_wanted(cluster)
        note_power(cluster)
        yield cluster, cuts


def check_nobody_shot(cluster: Cluster) -> None:
    """Wait until all goes on; no node was shot, and no group ever ran twice."""
    wait_as_wanted(cluster)
    nodes = cluster.nodes.values()
    assert not any(is_down(node) for node in nodes)
    assert [node.events("fence_ordered") for node in nodes] == [[]] * cluster.size
    assert not (cluster.base / "asked").exists(), "the switch was asked for something"
    assert cluster.overlaps() == []


def wait_as_wanted(cluster: Cluster) -> None:
    """Wait until all groups run, and every node hears every other."""
    nodes = cluster.nodes.values()
    cluster.wait_running(GROUPS, limit_s=LIMIT_S)
    wait_until(lambda: all(node.report().quorum.seen == cluster.size for node in nodes), LIMIT_S)


def wait_all_silent(cluster: Cluster) -> None:
    """Wait until each node has found all others stale, says so, and has ended its groups."""

    def alone(number: int) -> bool:
        node = cluster.nodes[number]
        others = {it.state for it in node.report().nodes if it.node != number}
        return others == {"stale"} and says(node, "no quorum") and not any(node.pids().values())

    for number in cluster.nodes:
        wait_until(lambda number=number: alone(number), LIMIT_S)  # type: ignore[misc]


def wait_braked(cluster: Cluster) -> None:
    """Wait until the first node, which would shoot before the others, says why it does not."""
    wait_until(lambda: says(cluster.nodes[1], BRAKED))


def test_while_the_file_system_is_gone_for_three_nodes_nobody_is_shot(
    three: tuple[Cluster, Cuts],
) -> None:
    cluster, cuts = three
    for number in cluster.nodes:
        cuts.take_file_system(number)
    wait_all_silent(cluster)
    for number in cluster.nodes:
        cuts.return_file_system(number)
    check_nobody_shot(cluster)


def test_nor_of_five_when_two_of_them_get_it_back_late(five: tuple[Cluster, Cuts]) -> None:
    cluster, cuts = five
    for number in cluster.nodes:
        cuts.take_file_system(number)
    wait_all_silent(cluster)
    for number in FIRST:
        cuts.return_file_system(number)
    wait_braked(cluster)
    for number in LAST:
        cuts.return_file_system(number)
    check_nobody_shot(cluster)


def test_sdown_for_everybody_five_nodes_behind_a_switch_that_reboots_shoot_nobody(
    five: tuple[Cluster, Cuts],
) -> None:
    cluster, cuts = five
    cuts.cut_all()
    wait_all_silent(cluster)
    cuts.heal_all(*FIRST)
    wait_braked(cluster)
    for pair in product(FIRST, LAST):
        cuts.heal(*pair)
    cuts.heal(*LAST)
    check_nobody_shot(cluster)
