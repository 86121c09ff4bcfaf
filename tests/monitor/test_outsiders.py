"""Nodes that publish on the cluster file system and are not in `nodes`."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.core.status import NodeState, Status
from mosha.formats.clstat import render_clstat
from mosha.host.clock import boottime
from mosha.host.files import write_atomically
from mosha.monitor.files import outsiders
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.outsiders import Outsider, OutsiderWatch
from tests.waiting import until

PAUSE_S = 0.02


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "var/mosix-ha")


def publish(
    layout: Layout, node: int, seq: int, state: NodeState = NodeState.UP, *, heartbeat_ms: int = 0
) -> None:
    layout.directory(node).mkdir(parents=True, exist_ok=True)
    status = Status(
        node=node, inc=1, run="0a", boot="0b", seq=seq, state=state, heartbeat_ms=heartbeat_ms
    )
    write_atomically(layout.clstat(node), render_clstat(status).encode())


@asynccontextmanager
async def watching(layout: Layout, report: Callable[[str], None]) -> AsyncIterator[None]:
    watch = OutsiderWatch(layout, {1, 2}, report, timeout_s=4 * PAUSE_S)
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Publishing:
    """Publishes on and on when asked whether a condition holds."""

    def __init__(self, layout: Layout, *nodes: int, heartbeat_ms: int = 0) -> None:
        self._publish = functools.partial(publish, layout, heartbeat_ms=heartbeat_ms)
        self._nodes = nodes
        self._seq = 0

    def until(self, condition: Callable[[], bool]) -> Callable[[], bool]:
        def ask() -> bool:
            self._seq += 1
            for node in self._nodes:
                self._publish(node, self._seq)
            return condition()

        return ask


async def test_a_live_node_outside_nodes_is_reported_until_it_leaves(layout: Layout) -> None:
    said: list[str] = []
    with capture_logs() as logged:
        async with watching(layout, said.append):
            await until(Publishing(layout, 2, 7).until(lambda: bool(said)))
            publish(layout, 7, 1, NodeState.LEFT)
            await until(lambda: said[-1] == "")
    assert said[0] == (
        f"node 7 publishes in {layout.mfsbase} and is not in `nodes` here: a group may run here and"
        " there at once; make `nodes` the same on all of them; another cluster needs an mfsbase of"
        " its own"
    )
    assert [line["nodes"] for line in logged if line["event"] == "outsiders_found"][:1] == [[7]]


async def test_one_that_is_dead_or_has_no_status_is_not_reported(layout: Layout) -> None:
    said: list[str] = []
    publish(layout, 6, 1)
    (layout.directory(8)).mkdir(parents=True)
    async with watching(layout, said.append):
        await until(Publishing(layout, 7).until(lambda: bool(said)))
    assert said[0].startswith("node 7 publishes")


async def test_a_look_waits_for_a_heartbeat_of_theirs_and_not_for_longer(layout: Layout) -> None:
    said: list[str] = []
    publish(layout, 7, 0, heartbeat_ms=200)
    async with watching(layout, said.append):
        await until(Publishing(layout, 7, heartbeat_ms=200).until(lambda: bool(said)))


async def test_without_outsiders_it_looks_only_now_and_then(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def look(*_: object) -> dict[int, Outsider]:
        looks.append(boottime())
        return {}

    monkeypatch.setattr(outsiders, "read_outsiders", look)
    async with watching(layout, list[str]().append):
        await until(lambda: len(looks) > 5)
    assert min(later - before for before, later in itertools.pairwise(looks)) > 0.9 * PAUSE_S


async def test_a_look_that_fails_changes_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def look(*_: object) -> dict[int, Outsider]:
        looks.append(1)
        if len(looks) % 2 == 0:
            raise OSError
        status = Status(node=7, inc=1, run="0a", boot="0b", seq=len(looks))
        return {7: Outsider(status, b"%d" % len(looks))}

    monkeypatch.setattr(outsiders, "read_outsiders", look)
    said: list[str] = []
    async with watching(layout, said.append):
        await until(lambda: len(looks) > 5)
    assert len(said) == 1
    assert said[0].startswith("node 7 publishes")
