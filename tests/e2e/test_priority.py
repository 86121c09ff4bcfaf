"""A group that gives way to one of a higher priority, and what every node says of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mosha.control.protocol import AskEvents
from mosha.formats.events import parse_happenings
from tests.e2e.cluster import Cluster
from tests.e2e.test_verbs import home, say
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 6.0
SAID = re.compile(r"gave way to db \(priority 10\) on node 1 (\d+) s ago")


@pytest.fixture
def full(short_dir: Path) -> Iterator[Cluster]:
    """Three nodes that take one group each; they are not started yet."""
    extra = "heartbeat = 0.3\ncapacity = 1\n"
    with Cluster(short_dir, timeout_s=TIMEOUT_S, extra=extra) as made:
        yield made


def told(cluster: Cluster, node: int, *words: str) -> str:
    """Return what a node prints, on one line."""
    return " ".join(say(cluster, node, *words)[1].split())


def ages(cluster: Cluster) -> dict[int, int]:
    """Return how long ago each node says that the group gave way, by `mosha why`."""
    found = {node: SAID.search(told(cluster, node, "why", "batch")) for node in cluster.nodes}
    return {node: int(it[1]) for node, it in found.items() if it is not None}


def events(cluster: Cluster, node: int) -> list[str]:
    found = parse_happenings(bytes(cluster.nodes[node].ask(AskEvents()).report))
    return [it.after for it in found if (it.kind, it.group) == ("gave-way", "batch")]


def test_every_node_says_to_what_a_group_gave_way_also_after_a_restart_of_the_monitor(
    full: Cluster,
) -> None:
    services = (f"{name}:{name}d:start:respawn:{full.service()}\n" for name in ("batch", "db"))
    full.write_tables((), cltab="".join(services), hactl="batch start only=1\n")
    full.start()
    full.wait_running(("batch",))
    status, said = say(full, 2, "set", "db", "start", "only=1", "priority=10", "--wait")
    assert status == 0, said
    assert home(full, "db") == 1
    wait_until(lambda: ages(full).keys() == {1, 2, 3})
    for node in full.nodes:
        assert SAID.search(told(full, node, "status")), node
        assert SAID.search(told(full, node, "why-not", "batch", "1")), node
        assert not SAID.search(told(full, node, "why-not", "batch", "2")), node
        assert events(full, node) == ["gave way to db (priority 10)"], node
        assert "batch on node 1: gave way to db (priority 10)" in told(full, node, "events")
    assert say(full, 2, "set", "db", "start", "priority=20")[0] == 0
    before = ages(full)
    full.nodes[1].kill_monitor()
    full.nodes[1].start()
    every = {1, 2, 3}
    wait_until(lambda: {it for it, age in ages(full).items() if age > before[it]} == every)
    # The monitor that was killed may not have kept the event.
    assert [len(events(full, node)) for node in (2, 3)] == [1, 1]
    assert len(events(full, 1)) <= 1
    assert say(full, 3, "set", "db", "stop", "--wait")[0] == 0
    full.wait_running(("batch",))
    wait_until(lambda: ages(full) == {})
