from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from mosha.core.cluster.effects import ReadStatus
from mosha.core.cluster.events import Event, ReadFailed, StatusRead
from mosha.core.cluster.peers import NO_CLSTAT
from mosha.core.status import Status
from mosha.formats.clstat import CLSTAT_MAX_BYTES, render_clstat
from mosha.host.files import read_facts, write_atomically
from mosha.host.mounts import MountFacts, Mounts
from mosha.host.workers import Worker
from mosha.monitor.files import reader as reader_module
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.reader import SHARED_LIMIT_SHARE, StatusReader, WatchMode
from tests.monitor.trouble import hanging, no_thread_to_be_had
from tests.waiting import until

LIMIT_S = 30.0
SHORT_S = 0.1
LATER_S = 1.0


@dataclass
class Cluster:
    """A directory of statuses, and what the reader reported of them."""

    base: Path
    seen: list[Event] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.base, "var/mosix-ha")

    def of(self, node: int) -> list[StatusRead | ReadFailed]:
        found = (event for event in self.seen if isinstance(event, StatusRead | ReadFailed))
        return [event for event in found if event.node == node]

    def write(self, node: int, seq: int, *, data: bytes | None = None) -> None:
        path = self.layout.clstat(node)
        path.parent.mkdir(parents=True, exist_ok=True)
        status = Status(node=node, inc=1, run="r", boot="b", seq=seq)
        write_atomically(path, render_clstat(status).encode() if data is None else data)

    def seqs(self, node: int) -> list[int]:
        """Return the numbers of the statuses of a node that were reported."""
        return [event.status.seq for event in self.of(node) if isinstance(event, StatusRead)]

    @asynccontextmanager
    async def reading(self, *nodes: int, watch: WatchMode = "auto") -> AsyncIterator[StatusReader]:
        reader = StatusReader(self.layout, self.seen.append, watch=watch)
        reader.watch(nodes)
        async with anyio.create_task_group() as group:
            group.start_soon(reader.run)
            yield reader
            group.cancel_scope.cancel()

    async def read(
        self, reader: StatusReader, node: int, *, limit_s: float = LIMIT_S
    ) -> StatusRead | ReadFailed:
        """Order one read and return what came of it."""
        before = len(self.of(node))
        reader.read(ReadStatus(node, limit_s))
        await until(lambda: len(self.of(node)) > before)
        (found,) = self.of(node)[before:]
        return found

    async def failure(self, reader: StatusReader, node: int, **how: float) -> ReadFailed:
        """Order a read that fails and return what was reported."""
        found = await self.read(reader, node, **how)
        assert isinstance(found, ReadFailed)
        return found


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


async def test_each_order_is_answered_by_what_is_there(cluster: Cluster) -> None:
    cluster.write(2, 1)
    async with cluster.reading(2, 3) as reader:
        two = await cluster.read(reader, 2)
        assert isinstance(two, StatusRead)
        assert (two.status.node, two.status.seq, two.polled) == (2, 1, False)
        assert await cluster.read(reader, 3) == ReadFailed(3, "no clstat")
        cluster.write(2, 2)
        again = await cluster.read(reader, 2)
        assert isinstance(again, StatusRead)
        assert again.status.seq == 2


async def test_nothing_is_read_that_is_not_ordered(cluster: Cluster) -> None:
    async with cluster.reading(2, 3) as reader:
        await cluster.read(reader, 3)
    assert cluster.of(2) == []


async def test_a_status_for_which_there_is_no_thread_is_an_attempt_with_an_error(
    cluster: Cluster,
) -> None:
    cluster.write(2, 1)
    with no_thread_to_be_had():
        async with cluster.reading(2) as reader:
            for _ in range(2):
                failed = await cluster.failure(reader, 2)
                assert failed == ReadFailed(2, "reader of node 2: can't start new thread")


async def test_the_same_bytes_are_the_same_status(cluster: Cluster) -> None:
    cluster.write(2, 1)
    async with cluster.reading(2) as reader:
        first = await cluster.read(reader, 2)
        cluster.write(2, 1)
        second = await cluster.read(reader, 2)
    assert isinstance(first, StatusRead)
    assert isinstance(second, StatusRead)
    assert second.status is first.status


async def test_where_no_events_arrive_that_is_said(cluster: Cluster) -> None:
    cluster.write(2, 1)
    async with cluster.reading(2, 3, watch="poll") as reader:
        assert (await cluster.read(reader, 2)).polled
        assert (await cluster.read(reader, 3)).polled


@pytest.mark.parametrize(
    ("data", "error", "torn"),
    [
        (b"", "torn", True),
        (b"Mosha::Node 2 inc=1 ru", "torn", True),
        (b"\0" * 100, "torn", True),
        (b"Cluster::Init::Group foo start DONE\n", "unreadable", False),
        (b"x" * (CLSTAT_MAX_BYTES + 1), "cannot be read: more than", False),
    ],
)
async def test_a_status_that_is_none_is_an_attempt_with_an_error(
    cluster: Cluster, data: bytes, error: str, *, torn: bool
) -> None:
    cluster.write(2, 0, data=data)
    async with cluster.reading(2) as reader:
        failed = await cluster.failure(reader, 2)
    assert failed.error.startswith(error)
    assert (failed.torn, failed.hung) == (torn, False)


async def test_a_status_in_the_directory_of_another_node_is_not_taken(cluster: Cluster) -> None:
    other = Status(node=3, inc=1, run="r", boot="b", seq=1)
    cluster.write(2, 0, data=render_clstat(other).encode())
    async with cluster.reading(2) as reader:
        assert await cluster.read(reader, 2) == ReadFailed(2, "it is of node 3")


async def test_a_fifo_in_the_place_of_a_status_hangs_nobody(cluster: Cluster) -> None:
    cluster.layout.directory(2).mkdir(parents=True)
    os.mkfifo(cluster.layout.clstat(2))
    async with cluster.reading(2) as reader:
        failed = await cluster.failure(reader, 2)
    assert failed.error == "cannot be read: not a regular file"


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("reader of")]


TOGETHER = "reader of local nodes"


async def test_members_come_and_go(cluster: Cluster) -> None:
    async with cluster.reading(2) as reader:
        await cluster.read(reader, 2)
        reader.watch([3])
        await cluster.read(reader, 3)
        reader.watch([2, 3])
        await cluster.read(reader, 2)
    await until(lambda: not threads())


async def test_local_nodes_are_read_in_one_thread_together(cluster: Cluster) -> None:
    nodes = (2, 3, 4)
    async with cluster.reading(*nodes) as reader:
        for seq in (1, 2):
            for node in nodes:
                cluster.write(node, seq)
                reader.read(ReadStatus(node, LIMIT_S))
            await until(lambda: all(cluster.seqs(node)[-1:] == [seq] for node in nodes))  # noqa: B023
        await until(lambda: threads() == [TOGETHER])
        assert all(cluster.seqs(node) == [1, 2] for node in nodes)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The limits of all reads of several nodes together."""
    limits: list[float] = []
    call = Worker.call

    async def noted(self: Worker, *arguments: Any, limit_s: float) -> Any:
        if self.name == TOGETHER:
            limits.append(limit_s)
        return await call(self, *arguments, limit_s=limit_s)

    monkeypatch.setattr(Worker, "call", noted)
    return limits


async def test_what_is_read_together_has_a_share_of_its_shortest_limit(
    cluster: Cluster, together: list[float]
) -> None:
    async with cluster.reading(2, 3) as reader:
        for node in (2, 3):
            cluster.write(node, 1)
            await cluster.read(reader, node)
        reader.read(ReadStatus(2, LIMIT_S))
        reader.read(ReadStatus(3, 2 * LIMIT_S))
        await until(lambda: cluster.seqs(2) == cluster.seqs(3) == [1, 1])
    assert together == [LIMIT_S * SHARED_LIMIT_SHARE]


async def test_a_node_that_goes_away_while_it_is_read_is_not_reported(cluster: Cluster) -> None:
    async with cluster.reading(2, 3) as reader:
        for node in (2, 3):
            cluster.write(node, 1)
            await cluster.read(reader, node)
        for node in (2, 3):
            reader.read(ReadStatus(node, LIMIT_S))
        reader.watch([3])
        await until(lambda: cluster.seqs(3) == [1, 1])
    assert cluster.seqs(2) == [1]


async def test_bytes_that_stay_torn_are_torn_each_time(cluster: Cluster) -> None:
    cluster.write(2, 0, data=b"Mosha::Node 2 inc=1 ru")
    async with cluster.reading(2) as reader:
        first = await cluster.failure(reader, 2)
        assert first.torn
        assert await cluster.failure(reader, 2) == first


async def test_an_empty_file_is_torn_also_where_there_was_none(cluster: Cluster) -> None:
    async with cluster.reading(2) as reader:
        assert (await cluster.failure(reader, 2)).error == NO_CLSTAT
        cluster.write(2, 0, data=b"")
        assert (await cluster.failure(reader, 2)).torn


# --- where events do not arrive ----------------------------------------------------


class FileSystem:
    """What the reader takes the file system of all nodes for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.remounted("ext4")

    def remounted(self, fstype: str) -> None:
        self.is_now(fstype)
        mounts = Mounts("")
        self._monkeypatch.setattr(reader_module, "read_mounts", lambda: mounts)

    def is_now(self, fstype: str) -> None:
        facts = MountFacts(device=0, fstype=fstype, mountpoint="/mfs")
        self._monkeypatch.setattr(reader_module, "file_system_at", lambda _: facts)


@pytest.fixture
def file_system(monkeypatch: pytest.MonkeyPatch) -> FileSystem:
    return FileSystem(monkeypatch)


async def test_remote_nodes_have_a_thread_each_whatever_is_found_there(
    cluster: Cluster, file_system: FileSystem
) -> None:
    file_system.remounted("nfs4")
    cluster.write(2, 1)
    cluster.layout.directory(3).mkdir(parents=True)
    os.mkfifo(cluster.layout.clstat(3))
    cluster.write(4, 1)
    async with cluster.reading(2, 3, 4) as reader:
        for _ in range(2):
            assert (await cluster.read(reader, 2)).polled
            await cluster.read(reader, 4)
        cluster.layout.clstat(4).unlink()
        os.mkfifo(cluster.layout.clstat(4))
        for _ in range(2):
            assert (await cluster.failure(reader, 4)).polled
        assert TOGETHER not in threads()


async def test_a_node_whose_file_system_is_mounted_anew_is_looked_at_again(
    cluster: Cluster, file_system: FileSystem
) -> None:
    cluster.write(2, 1)
    async with cluster.reading(2) as reader:
        assert not (await cluster.read(reader, 2)).polled
        file_system.remounted("nfs4")
        assert (await cluster.read(reader, 2)).polled


async def test_a_node_on_another_device_is_looked_at_again(
    cluster: Cluster, file_system: FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.write(2, 1)
    async with cluster.reading(2) as reader:
        assert not (await cluster.read(reader, 2)).polled
        file_system.is_now("nfs4")
        facts = replace(read_facts(cluster.layout.clstat(2), CLSTAT_MAX_BYTES), device=-2)
        monkeypatch.setattr(reader_module, "read_facts", lambda *_: facts)
        assert (await cluster.read(reader, 2)).polled


async def test_where_a_status_is_missing_it_is_known_anew_whether_events_arrive(
    cluster: Cluster, file_system: FileSystem
) -> None:
    async with cluster.reading(2) as reader:
        assert not (await cluster.failure(reader, 2)).polled
        file_system.is_now("nfs4")
        assert (await cluster.failure(reader, 2)).polled


# --- what hangs --------------------------------------------------------------------


@pytest.mark.root("to make a file hang")
async def test_a_hung_peer_is_reported_each_time_and_costs_only_itself(cluster: Cluster) -> None:
    cluster.write(2, 1)
    cluster.write(3, 1)
    with hanging(cluster.layout.clstat(2)) as hang:
        async with cluster.reading(2, 3) as reader:
            for _ in range(3):
                assert (await cluster.failure(reader, 2, limit_s=SHORT_S)).hung
                assert isinstance(await cluster.read(reader, 3), StatusRead)
            hang.close()
            assert isinstance(await cluster.read(reader, 2), StatusRead)


@pytest.mark.root("to make a file hang")
async def test_a_peer_that_hangs_later_keeps_no_other_from_being_read(cluster: Cluster) -> None:
    nodes = (2, 3, 4)
    for node in nodes:
        cluster.write(node, 1)
    async with cluster.reading(*nodes) as reader:
        for node in nodes:
            await cluster.read(reader, node)
        with hanging(cluster.layout.clstat(3)):
            for seq in (2, 3, 4):
                before = len(cluster.of(3))
                for node in nodes:
                    if node != 3:
                        cluster.write(node, seq)
                    reader.read(ReadStatus(node, SHORT_S if node == 3 else LIMIT_S))
                await until(lambda: len(cluster.of(3)) > before)  # noqa: B023
                assert cluster.of(3)[-1] == ReadFailed(3, cluster.of(3)[-1].error, hung=True)  # type: ignore[union-attr]
                await until(lambda: all(cluster.seqs(n)[-1] == seq for n in (2, 4)))  # noqa: B023
        await until(lambda: reader._shared.busy is None)
        together = {node for node in nodes if reader._shares(reader._peers[node])}
        assert together == {2, 4}, "what hung gets little time, and by itself, until it answers"
        assert isinstance(await cluster.read(reader, 3), StatusRead)
        assert reader._shares(reader._peers[3])


@pytest.mark.root("to make a file hang")
async def test_what_is_ordered_during_a_hang_is_read_once_and_later_all_are_read_together(
    cluster: Cluster, together: list[float]
) -> None:
    nodes = (2, 3, 4)
    async with cluster.reading(*nodes) as reader:
        for node in nodes:
            cluster.write(node, 1)
            await cluster.read(reader, node)
        with hanging(cluster.layout.clstat(3)):
            reader.read(ReadStatus(3, LATER_S))
            await until(lambda: TOGETHER in threads())
            reader.read(ReadStatus(2, LIMIT_S))
            await until(lambda: len(cluster.of(2)) == len(cluster.of(3)) == 2)
        for times in (3, 4):
            for node in nodes:
                await cluster.read(reader, node)
            assert [len(cluster.of(node)) for node in nodes] == [times, times, times - 1]
        assert together[-1] == LIMIT_S * SHARED_LIMIT_SHARE


@pytest.mark.root("to make a file hang")
async def test_a_hung_node_that_comes_and_goes_costs_one_thread(cluster: Cluster) -> None:
    cluster.write(2, 1)
    with hanging(cluster.layout.clstat(2)):
        async with cluster.reading(2) as reader:
            for _ in range(3):
                await cluster.failure(reader, 2, limit_s=SHORT_S)
                reader.watch([])
                await asyncio.sleep(0)
                reader.watch([2])
            assert threads() == ["reader of node 2"]
