from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from mosha.clock import boottime
from mosha.core.status import Status
from mosha.core.timing import Timing, derive
from mosha.formats.clstat import CLSTAT_MAX_BYTES, render_clstat
from mosha.host.files import write_atomically
from mosha.monitor.mfs import Layout
from mosha.monitor.readers import PeerReaders, WatchMode
from tests.monitor.trouble import hanging, no_thread_to_be_had
from tests.waiting import until

# Nothing happens by itself within a test: what is read was asked for.
SLOW = derive(600.0, heartbeat_s=60.0)
FAST = derive(600.0, heartbeat_s=0.05, poll_s=0.05)
HEARTBEAT_S = 0.2
HANGING = derive(2.0, heartbeat_s=HEARTBEAT_S)


class Reading(NamedTuple):
    node: int
    status: Status | None
    began: float
    ended: float
    error: str


@dataclass
class Cluster:
    """A directory of statuses, and what the readers said of them."""

    base: Path
    seen: list[Reading] = field(default_factory=list)
    readers: PeerReaders = field(init=False)

    @property
    def layout(self) -> Layout:
        return Layout(self.base, "var/mosix-ha")

    def on_read(
        self, node: int, status: Status | None, began: float, ended: float, error: str
    ) -> None:
        assert began <= ended <= boottime()
        self.seen.append(Reading(node, status, began, ended, error))

    def of(self, node: int) -> list[Reading]:
        return [reading for reading in self.seen if reading.node == node]

    def write(self, node: int, seq: int, *, data: bytes | None = None) -> None:
        path = self.layout.clstat(node)
        path.parent.mkdir(parents=True, exist_ok=True)
        status = Status(node=node, inc=1, run="r", boot="b", seq=seq)
        write_atomically(path, render_clstat(status).encode() if data is None else data)

    async def next(self, node: int, after: int) -> Reading:
        """Return the reading of a node that follows the first `after` ones."""
        assert await until(lambda: len(self.of(node)) > after)
        return self.of(node)[after]

    @asynccontextmanager
    async def reading(
        self, *nodes: int, timing: Timing = SLOW, watch: WatchMode = "auto"
    ) -> AsyncIterator[PeerReaders]:
        self.readers = PeerReaders(self.layout, timing, self.on_read, watch=watch)
        self.readers.set_members(nodes)
        async with anyio.create_task_group() as group:
            group.start_soon(self.readers.run)
            yield self.readers
            group.cancel_scope.cancel()


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


async def test_every_member_is_read_at_the_start(cluster: Cluster) -> None:
    cluster.write(2, 1)
    before = boottime()
    async with cluster.reading(2, 3):
        two, three = await cluster.next(2, 0), await cluster.next(3, 0)
    assert two.status is not None
    assert (two.status.node, two.status.seq, two.error) == (2, 1, "")
    assert (three.status, three.error) == (None, "no clstat")
    assert before < two.began


async def test_a_status_for_which_there_is_no_thread_is_an_attempt_with_an_error(
    cluster: Cluster,
) -> None:
    cluster.write(2, 1)
    with no_thread_to_be_had():
        async with cluster.reading(2) as readers:
            failed = await cluster.next(2, 0)
            assert failed.error == "reader of node 2: can't start new thread"
            readers.look(2)
            assert (await cluster.next(2, 1)).status is None


async def test_a_look_reads_again(cluster: Cluster) -> None:
    cluster.write(2, 1)
    async with cluster.reading(2, 3) as readers:
        await cluster.next(2, 0)
        await cluster.next(3, 0)
        cluster.write(2, 2)
        readers.look(2)
        again = await cluster.next(2, 1)
        assert again.status is not None
        assert again.status.seq == 2
        readers.look_all()
        await cluster.next(2, 2)
        await cluster.next(3, 1)


async def test_a_look_at_a_stranger_does_nothing(cluster: Cluster) -> None:
    async with cluster.reading(2) as readers:
        readers.look(9)
        readers.look_at(9, 0.0)
        await cluster.next(2, 0)
    assert cluster.of(9) == []


async def test_looks_add_up_to_one(cluster: Cluster) -> None:
    async with cluster.reading(2, 3) as readers:
        await cluster.next(2, 0)
        for _ in range(50):
            readers.look(2)
        await cluster.next(2, 1)
        readers.look(3)
        await cluster.next(3, 1)
    assert len(cluster.of(2)) == 2


async def test_the_same_bytes_are_not_parsed_again_and_yet_reported(cluster: Cluster) -> None:
    cluster.write(2, 1)
    async with cluster.reading(2) as readers:
        first = await cluster.next(2, 0)
        cluster.write(2, 1)
        readers.look(2)
        second = await cluster.next(2, 1)
    assert second.status is first.status is not None
    assert second.began > first.ended


async def test_everybody_is_read_again_about_once_a_heartbeat(cluster: Cluster) -> None:
    async with cluster.reading(2, timing=FAST):
        first, third = await cluster.next(2, 0), await cluster.next(2, 2)
    assert third.began - first.began >= 2 * FAST.heartbeat_s


async def test_where_no_events_arrive_everybody_is_read_once_a_poll(cluster: Cluster) -> None:
    timing = derive(600.0, heartbeat_s=60.0, poll_s=0.01)
    async with cluster.reading(2, timing=timing, watch="poll"):
        await cluster.next(2, 5)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "torn"),
        (b"Mosha::Node 2 inc=1 ru", "torn"),
        (b"\0" * 100, "torn"),
        (b"Cluster::Init::Group foo start DONE\n", "unreadable"),
        (b"x" * (CLSTAT_MAX_BYTES + 1), "cannot be read: more than"),
    ],
)
async def test_a_status_that_is_none_is_an_attempt_with_an_error(
    cluster: Cluster, data: bytes, error: str
) -> None:
    cluster.write(2, 0, data=data)
    async with cluster.reading(2):
        reading = await cluster.next(2, 0)
    assert reading.status is None
    assert reading.error.startswith(error)


async def test_what_is_torn_is_read_again_soon(cluster: Cluster) -> None:
    timing = derive(600.0, heartbeat_s=60.0, poll_s=0.01)
    cluster.write(2, 0, data=b"Mosha::Node 2 inc=1")
    async with cluster.reading(2, timing=timing, watch="events"):
        await cluster.next(2, 1)
        cluster.write(2, 7)
        assert await until(lambda: cluster.seen[-1].status is not None)


async def test_a_status_in_the_directory_of_another_node_is_not_taken(cluster: Cluster) -> None:
    other = Status(node=3, inc=1, run="r", boot="b", seq=1)
    cluster.write(2, 0, data=render_clstat(other).encode())
    async with cluster.reading(2):
        reading = await cluster.next(2, 0)
    assert (reading.status, reading.error) == (None, "it is of node 3")


async def test_a_fifo_in_the_place_of_a_status_hangs_nobody(cluster: Cluster) -> None:
    cluster.layout.directory(2).mkdir(parents=True)
    os.mkfifo(cluster.layout.clstat(2))
    async with cluster.reading(2):
        reading = await cluster.next(2, 0)
    assert reading.error == "cannot be read: not a regular file"


async def test_members_come_and_go(cluster: Cluster) -> None:
    async with cluster.reading(2) as readers:
        await cluster.next(2, 0)
        readers.set_members([3])
        await cluster.next(3, 0)
        readers.look(2)
        readers.look(3)
        await cluster.next(3, 1)
        assert len(cluster.of(2)) == 1
        await until(lambda: "reader of node 2" not in {t.name for t in threading.enumerate()})
        readers.set_members([2, 3])
        await cluster.next(2, 1)
    await until(lambda: not any(t.name.startswith("reader of") for t in threading.enumerate()))


async def test_a_timed_look_begins_after_its_time(cluster: Cluster) -> None:
    async with cluster.reading(2) as readers:
        await cluster.next(2, 0)
        when = boottime() + 0.05
        readers.look_at(2, when)
        reading = await cluster.next(2, 1)
    assert when < reading.began < when + 5.0


async def test_the_last_timed_look_replaces_the_former(cluster: Cluster) -> None:
    async with cluster.reading(2) as readers:
        await cluster.next(2, 0)
        when = boottime() + 0.05
        readers.look_at(2, when - 0.02)
        readers.look_at(2, when)
        assert (await cluster.next(2, 1)).began > when
        readers.look_at(2, boottime())
        readers.look_at(2, None)
        readers.look_at(2, boottime() + 0.01)
        await cluster.next(2, 2)
    assert len(cluster.of(2)) == 3


async def test_a_look_before_the_time_does_not_count_as_the_timed_one(cluster: Cluster) -> None:
    async with cluster.reading(2) as readers:
        await cluster.next(2, 0)
        when = boottime() + 0.5
        readers.look_at(2, when)
        readers.look(2)
        assert (await cluster.next(2, 1)).began < when
        assert (await cluster.next(2, 2)).began > when


# --- what hangs --------------------------------------------------------------------


@pytest.mark.root("to make a file hang")
async def test_a_hung_peer_is_reported_each_heartbeat_and_costs_only_itself(
    cluster: Cluster,
) -> None:
    cluster.write(2, 1)
    cluster.write(3, 1)
    with hanging(cluster.layout.clstat(2)) as hang:
        began = boottime()
        async with cluster.reading(2, 3, timing=HANGING):
            fifth = await cluster.next(2, 4)
            attempts = cluster.of(2)
            assert all(a.status is None for a in attempts)
            assert all(a.error.startswith("no answer for ") for a in attempts)
            assert all(b.began > a.ended for a, b in pairwise(attempts))
            assert fifth.began - began > 3 * HEARTBEAT_S
            assert len(cluster.of(3)) >= 5
            assert all(reading.status is not None for reading in cluster.of(3))
            hang.close()
            await until(lambda: cluster.of(2)[-1].status is not None)
            assert cluster.of(2)[-1].error == ""


@pytest.mark.root("to make a file hang")
async def test_a_hung_peer_is_judged_soon_after_its_time(cluster: Cluster) -> None:
    timing = derive(10.0, heartbeat_s=2.0, lease_s=6.0, stop_budget_s=1.0)
    cluster.write(2, 1)
    with hanging(cluster.layout.clstat(2)):
        async with cluster.reading(2, timing=timing) as readers:
            await cluster.next(2, 1)
            when = boottime() + 0.1
            readers.look_at(2, when)
            reading = await cluster.next(2, 2)
            assert when < reading.began < reading.ended < when + 1.5


@pytest.mark.root("to make a file hang")
async def test_o3_an_attempt_began_before_its_read_however_long_that_takes(
    cluster: Cluster,
) -> None:
    """Only a look that began after T accuses: its bytes may be as old as its beginning."""
    cluster.write(2, 1)
    with hanging(cluster.layout.clstat(2)) as hang:
        async with cluster.reading(2) as readers:
            await until(lambda: readers._peers[2].worker.busy is not None)
            hung_at = boottime()
            hang.close()
            reading = await cluster.next(2, 0)
    assert reading.error == ""
    assert reading.began < hung_at < reading.ended


@pytest.mark.root("to make a file hang")
async def test_a_look_while_a_read_is_under_way_is_followed_by_another(cluster: Cluster) -> None:
    cluster.write(2, 1)
    with hanging(cluster.layout.clstat(2)) as hang:
        async with cluster.reading(2) as readers:
            await until(lambda: readers._peers[2].worker.busy is not None)
            readers.look(2)
            readers.look(2)
            hang.close()
            await cluster.next(2, 1)
            readers.set_members([2, 3])
            await cluster.next(3, 0)
    assert [reading.error for reading in cluster.of(2)] == ["", ""]


@pytest.mark.root("to make a file hang")
async def test_a_hung_node_that_comes_and_goes_costs_one_thread(cluster: Cluster) -> None:
    cluster.write(2, 1)
    with hanging(cluster.layout.clstat(2)):
        async with cluster.reading(2, timing=HANGING) as readers:
            for turn in range(3):
                await cluster.next(2, turn)
                readers.set_members([])
                await asyncio.sleep(0)
                readers.set_members([2])
            found = [t for t in threading.enumerate() if t.name == "reader of node 2"]
            assert len(found) == 1
