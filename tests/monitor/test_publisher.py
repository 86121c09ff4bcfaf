from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from mosha.core.cluster.events import NamesakeFound, StatusSetBack
from mosha.core.status import NodeState, Status
from mosha.errors import HostError, UsageError
from mosha.formats.clstat import parse_clstat, render_clstat
from mosha.host.clock import boottime
from mosha.host.files import write_atomically
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.publisher import Publisher
from tests.monitor.trouble import hanging, mount, no_thread_to_be_had, tmpfs, unmount
from tests.waiting import until

LIMIT_S = 30.0
HEARTBEAT_S = 0.05


INC = 5


def status(
    seq: int, run: str = "ours", state: NodeState = NodeState.UP, *, inc: int = INC
) -> Status:
    return Status(node=2, inc=inc, run=run, boot="b", seq=seq, state=state)


@dataclass
class Desk:
    """A publisher of node 2, and what it reported."""

    base: Path
    seqs: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    namesakes: list[str] = field(default_factory=list)
    reported: list[NamesakeFound | StatusSetBack] = field(default_factory=list)
    made: list[Publisher] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return Layout(self.base, "var/mosix-ha").clstat(2)

    def publisher(
        self,
        *,
        limit_s: float = LIMIT_S,
        memory: Path | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> Publisher:
        made = Publisher(
            Layout(self.base, "var/mosix-ha"),
            2,
            "ours",
            report=self.reported.append,
            trouble=self.trouble,
            heartbeat_s=heartbeat_s,
            limit_s=limit_s,
            memory=memory,
        )
        self.made.append(made)
        return made

    def trouble(self, what: str, text: str) -> None:
        if what == "namesake":
            self.namesakes.append(text)
        else:
            assert (what, text[:16]) == ("publish", "cannot publish: ")
            self.failed.append(text[16:])

    async def publish(self, publisher: Publisher, status: Status) -> None:
        """Publish, and take down what is there."""
        if await publisher.publish(status):
            self.seqs.append(status.seq)

    def read(self) -> Status:
        return parse_clstat(self.path.read_bytes())

    def put(self, status: Status) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, render_clstat(status).encode())


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "mfs").mkdir()
    made = Desk(tmp_path / "mfs")
    yield made
    for publisher in made.made:
        publisher.close()


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    """What is logged."""
    with capture_logs() as found:
        yield found


async def test_a_status_is_published(desk: Desk) -> None:
    publisher = desk.publisher()
    assert await publisher.read_former() is None
    await desk.publish(publisher, status(1))
    await desk.publish(publisher, status(2))
    assert desk.read() == status(2)
    assert desk.seqs == [1, 2]
    assert sorted(path.name for path in desk.path.parent.iterdir()) == ["clstat"]
    assert desk.path.stat().st_mode & 0o777 == 0o644


async def test_all_directories_are_made_and_what_dead_writers_left_is_removed(desk: Desk) -> None:
    await desk.publisher().read_former()
    left = desk.path.parent / f".clstat.{2**22 + 1}.1.tmp"
    left.touch()
    await desk.publisher().read_former()
    assert not left.exists()


async def test_the_former_status_is_read(desk: Desk) -> None:
    desk.put(status(7, "former"))
    assert await desk.publisher().read_former() == status(7, "former")


async def test_a_former_status_that_is_torn_counts_as_none_and_is_written_over(desk: Desk) -> None:
    desk.path.parent.mkdir(parents=True)
    desk.path.write_bytes(b"Mosha::Node 2 inc=")
    publisher = desk.publisher()
    assert await publisher.read_former() is None
    await desk.publish(publisher, status(1))
    assert desk.read() == status(1)


async def test_a_directory_that_somebody_removed_is_made_again(desk: Desk) -> None:
    publisher = desk.publisher()
    await publisher.read_former()
    desk.path.parent.rmdir()
    await desk.publish(publisher, status(1))
    assert desk.read() == status(1)


async def test_a_place_where_no_directory_can_be_made_is_told_at_the_start(desk: Desk) -> None:
    (desk.base / "2").write_bytes(b"a file")
    with pytest.raises(HostError, match=r"cannot publish in .*: Not a directory"):
        await desk.publisher().read_former()


@pytest.mark.parametrize("there", [False, True])
async def test_a_cluster_file_system_that_is_not_there_is_never_made(
    desk: Desk, *, there: bool
) -> None:
    desk.base.rmdir()
    if there:
        desk.base.write_bytes(b"a file")
    with pytest.raises(HostError, match=r"mfs is not a directory; mount it, or make it"):
        await desk.publisher().read_former()
    assert desk.base.is_file() == desk.base.exists() == there


async def test_a_cluster_file_system_that_somebody_removed_is_not_made_again(desk: Desk) -> None:
    publisher = desk.publisher()
    await publisher.read_former()
    shutil.rmtree(desk.base)
    await desk.publish(publisher, status(1))
    assert desk.failed == [f"{desk.base} is not a directory; mount it, or make it"]
    assert not desk.base.exists()


async def test_a_memory_that_cannot_be_written_is_named(desk: Desk, tmp_path: Path) -> None:  # C10
    (tmp_path / "run").symlink_to("nowhere")
    publisher = desk.publisher(memory=tmp_path / "run" / "mount.json")
    with pytest.raises(HostError, match=r"cannot remember the mount in .*/run: "):
        await publisher.read_former()
    (tmp_path / "run").unlink()
    (tmp_path / "run").write_bytes(b"a file")
    with pytest.raises(HostError, match=r"cannot read the mount of the last start in .*/run: "):
        await publisher.read_former()


async def test_without_a_thread_nothing_is_published_and_that_is_no_end(desk: Desk) -> None:
    publisher = desk.publisher()
    with no_thread_to_be_had():
        await desk.publish(publisher, status(1))
    assert desk.failed == ["publisher of node 2: can't start new thread"]
    await publisher.read_former()
    await desk.publish(publisher, status(2))
    assert desk.seqs == [2]


async def test_a_failure_is_told_once_and_again_after_a_success(
    desk: Desk, lines: list[EventDict]
) -> None:
    publisher = desk.publisher()
    await publisher.read_former()
    for seq in (1, 2):
        desk.path.unlink(missing_ok=True)
        (desk.path / "in the way").mkdir(parents=True)
        await desk.publish(publisher, status(10 * seq))
        await desk.publish(publisher, status(10 * seq + 1))
        assert desk.failed == [f"{desk.path.parent}: Is a directory"] * seq
        (desk.path / "in the way").rmdir()
        desk.path.rmdir()
        await desk.publish(publisher, status(10 * seq + 2))
    assert desk.seqs == [12, 22]
    assert [line["event"] for line in lines] == ["publish_failed", "publish_resumed"] * 2


# --- namesakes ---------------------------------------------------------------------


async def test_another_run_in_the_own_status_stops_publishing(desk: Desk) -> None:
    publisher = desk.publisher()
    await publisher.read_former()
    await desk.publish(publisher, status(1))
    desk.put(status(3, "theirs"))
    await desk.publish(publisher, status(2))
    await desk.publish(publisher, status(4))
    assert len(desk.namesakes) == 1
    assert "its run is theirs, ours ours" in desk.namesakes[0]
    assert publisher.namesake == desk.namesakes[0]
    assert desk.reported == [NamesakeFound()]
    assert desk.read() == status(3, "theirs")
    desk.put(status(1))  # even if somebody puts our own one back
    await desk.publish(publisher, status(5))
    assert (desk.read(), desk.seqs) == (status(1), [1])


async def test_the_status_of_an_earlier_life_that_was_put_back_is_written_over(
    desk: Desk,
) -> None:
    """A backup or a snapshot of the file system brings it: no other node has this number."""
    publisher = desk.publisher()
    await publisher.read_former()
    await desk.publish(publisher, status(1))
    for inc in (3, 4, 3):
        desk.put(status(900, f"life{inc}", inc=inc))
        await desk.publish(publisher, status(2))
        assert desk.read().inc == inc  # it may be another node's word: this is not known yet
        await publish_until_written(publisher, desk, 3)
    assert (desk.namesakes, desk.reported) == ([], [StatusSetBack()] * 3)
    assert len(desk.failed) == 3
    assert "an older status (run life3): it was restored, or is another node's" in desk.failed[0]


async def publish_until_written(publisher: Publisher, desk: Desk, seq: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while desk.read().run != "ours":
            await desk.publish(publisher, status(seq))


async def test_an_older_status_that_moves_on_without_us_is_a_namesake(desk: Desk) -> None:
    publisher = desk.publisher(heartbeat_s=LIMIT_S)
    await publisher.read_former()
    await desk.publish(publisher, status(1))
    desk.put(status(900, "theirs", inc=3))
    await desk.publish(publisher, status(2))
    assert (desk.namesakes, desk.seqs) == ([], [1])
    desk.put(status(901, "theirs", inc=3))
    await desk.publish(publisher, status(3))
    assert len(desk.namesakes) == 1
    assert desk.read().run == "theirs"


async def test_the_run_that_was_there_at_the_start_is_no_namesake_until_written_over(
    desk: Desk,
) -> None:
    desk.put(status(1, "former"))
    publisher = desk.publisher()
    await publisher.read_former()
    await desk.publish(publisher, status(2))
    assert desk.namesakes == []
    desk.put(status(9, "former"))
    await desk.publish(publisher, status(3))
    assert len(desk.namesakes) == 1


async def test_what_the_own_former_life_writes_late_is_no_namesake(desk: Desk) -> None:
    desk.put(status(1, "remembered"))
    publisher = desk.publisher()
    former = await publisher.read_former()
    await publisher.wait_for_namesake(former, "remembered")
    await desk.publish(publisher, status(2))
    desk.put(status(2, "remembered"))
    await desk.publish(publisher, status(3))
    assert (desk.namesakes, desk.seqs) == ([], [2, 3])


@pytest.mark.parametrize(
    "former",
    [None, status(1, "remembered"), status(1, "theirs", NodeState.LEFT)],
    ids=["none", "own", "left"],
)
async def test_there_is_nothing_to_wait_for_after_a_known_end(
    desk: Desk, former: Status | None
) -> None:
    publisher = desk.publisher(heartbeat_s=100 * LIMIT_S)
    async with asyncio.timeout(LIMIT_S):
        await publisher.wait_for_namesake(former, "remembered")
    assert desk.namesakes == []


async def test_a_stranger_that_has_ended_is_no_namesake(desk: Desk) -> None:
    desk.put(status(1, "theirs"))
    publisher = desk.publisher()
    former = await publisher.read_former()
    began = boottime()
    await publisher.wait_for_namesake(former, "remembered")
    assert boottime() - began >= 2.5 * HEARTBEAT_S
    await desk.publish(publisher, status(2))
    assert desk.seqs == [2]


async def test_a_stranger_that_goes_on_is_a_namesake(desk: Desk) -> None:
    desk.put(status(1, "theirs"))
    publisher = desk.publisher(heartbeat_s=LIMIT_S / 10)
    former = await publisher.read_former()
    waiting = asyncio.create_task(publisher.wait_for_namesake(former, ""))
    await asyncio.sleep(0)
    desk.put(status(2, "theirs"))
    with pytest.raises(UsageError, match=r"another node publishes as node 2.*mynode"):
        await waiting


async def test_a_status_that_is_put_back_while_a_stranger_is_waited_for_is_no_sign_of_life(
    desk: Desk,
) -> None:
    desk.put(status(7, "theirs", inc=4))
    publisher = desk.publisher()
    former = await publisher.read_former()
    waiting = asyncio.create_task(publisher.wait_for_namesake(former, ""))
    await asyncio.sleep(0)
    desk.put(status(6, "before", inc=3))
    await waiting
    await publish_until_written(publisher, desk, 1)
    assert desk.namesakes == []


# --- disks -------------------------------------------------------------------------


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@pytest.mark.root("to mount a small tmpfs")
async def test_a_full_disk_is_told_and_publishing_goes_on_when_there_is_room(desk: Desk) -> None:
    with tmpfs(desk.base, "64k"):
        publisher = desk.publisher()
        await publisher.read_former()
        await desk.publish(publisher, status(1))
        filler = desk.base / "filler"
        fill(filler)
        await desk.publish(publisher, status(2))
        await desk.publish(publisher, status(3))
        (text,) = desk.failed
        assert "No space left on device; make room there" in text
        assert desk.read().seq == 1
        assert len(list(desk.path.parent.iterdir())) == 1
        filler.unlink()
        await desk.publish(publisher, status(4))
        assert desk.seqs == [1, 4]


@pytest.mark.root("to mount a tmpfs")
async def test_a_disk_that_became_read_only_is_told(desk: Desk) -> None:
    with tmpfs(desk.base):
        publisher = desk.publisher()
        await publisher.read_former()
        mount("-o", "remount,ro", desk.base)
        await desk.publish(publisher, status(1))
        assert desk.failed == [f"{desk.path.parent}: Read-only file system; mount it writable"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden for root")
async def test_a_directory_that_may_not_be_written_is_told(desk: Desk) -> None:
    publisher = desk.publisher()
    await publisher.read_former()
    desk.path.parent.chmod(0o555)
    try:
        await desk.publish(publisher, status(1))
    finally:
        desk.path.parent.chmod(0o755)
    assert "Permission denied; let the user that mosha runs as write there" in desk.failed[0]


@pytest.mark.root("to mount a tmpfs")
async def test_nothing_is_written_while_the_mount_is_gone_and_all_is_well_when_it_is_back(
    desk: Desk,
) -> None:
    with tmpfs(desk.base):
        publisher = desk.publisher()
        await publisher.read_former()
        await desk.publish(publisher, status(1))
        unmount(desk.base)
        await desk.publish(publisher, status(2))
        assert list(desk.base.iterdir()) == []
        desk.path.parent.mkdir(parents=True)
        await desk.publish(publisher, status(3))
        assert not desk.path.exists()
        with pytest.raises(HostError, match="nothing is written"), publisher.open_directory():
            pass  # hastat is written there too
        (text,) = desk.failed
        assert f"was on {desk.base} (tmpfs) and is on /" in text
        mount("-t", "tmpfs", "tmpfs", desk.base)
        await desk.publish(publisher, status(4))
        assert desk.read().seq == 4
        assert desk.seqs == [1, 4]


@pytest.mark.root("to make a bind mount")
async def test_a_bind_mount_of_the_same_device_that_vanished_is_found_out(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    desk.base.mkdir(exist_ok=True)
    mount("--bind", tmp_path / "data", desk.base)
    try:
        publisher = desk.publisher()
        await publisher.read_former()
        await desk.publish(publisher, status(1))
    finally:
        unmount(desk.base)
    desk.path.parent.mkdir(parents=True)
    await desk.publish(publisher, status(2))
    assert not desk.path.exists()
    assert "nothing is written until that is back" in desk.failed[0]


@pytest.mark.root("to mount a tmpfs")
async def test_a_mount_that_is_missing_at_the_next_start_is_told(
    desk: Desk, tmp_path: Path
) -> None:
    memory = tmp_path / "state" / "mount.json"
    with tmpfs(desk.base):
        await desk.publisher(memory=memory).read_former()
    with pytest.raises(HostError, match=r"nothing is mounted on .*mfs, where"):
        await desk.publisher(memory=memory).read_former()
    assert list(desk.base.iterdir()) == []
    with tmpfs(desk.base):
        await desk.publisher(memory=memory).read_former()
    memory.unlink()
    await desk.publisher(memory=memory).read_former()
    with tmpfs(desk.base):
        await desk.publisher(memory=memory).read_former()
    assert json.loads(memory.read_bytes())["mountpoint"] == str(desk.base)


async def test_where_it_was_mounted_is_remembered_again_after_a_loss(
    desk: Desk, tmp_path: Path
) -> None:
    memory = tmp_path / "state" / "mount.json"
    publisher = desk.publisher(memory=memory)
    await publisher.read_former()
    before = memory.read_bytes()
    shutil.rmtree(memory.parent)
    await publisher.restore()
    assert memory.read_bytes() == before


@pytest.mark.parametrize("text", [b"", b"[1]", b"{}", b'{"mountpoint": 1}', b"\xff"])
async def test_a_spoilt_memory_of_the_mount_does_no_harm(
    desk: Desk, tmp_path: Path, text: bytes
) -> None:
    memory = tmp_path / "mount.json"
    memory.write_bytes(text)
    assert await desk.publisher(memory=memory).read_former() is None


# --- what hangs --------------------------------------------------------------------


@pytest.mark.root("to make a directory hang")
async def test_a_write_that_hangs_is_told_and_the_newest_one_follows_it(desk: Desk) -> None:
    publisher = desk.publisher(limit_s=1.0)
    await publisher.read_former()
    await desk.publish(publisher, status(1))
    with hanging(desk.path.parent) as hang:
        await desk.publish(publisher, status(2))
        await desk.publish(publisher, status(3))
        assert desk.failed == [f"{desk.path.parent} does not answer: a write hangs"]
        assert desk.seqs == [1]
        hang.close()
        await until(lambda: publisher._worker.busy is None)
        await desk.publish(publisher, status(4))
    assert desk.seqs == [1, 4]
    assert desk.read().seq == 4


@pytest.mark.root("to make a directory hang")
async def test_a_directory_that_hangs_at_the_start_is_told(desk: Desk) -> None:
    desk.path.parent.mkdir(parents=True)
    told = "it does not answer; check its mount"
    with hanging(desk.path.parent), pytest.raises(HostError, match=told):
        await desk.publisher(limit_s=0.05).read_former()
