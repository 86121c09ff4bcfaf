"""V4b: what a status shows is on the local disk before the status is on the medium."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mosha.core.cluster.memory import Memory
from mosha.core.status import Receipt, Status, Term, Vote
from mosha.formats.clstat import parse_clstat
from mosha.host.workers import HungError
from mosha.monitor import identity
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.publisher import Publisher
from mosha.monitor.memory_file import MemoryFile, MemoryNotWrittenError

LIMIT_S = 5.0
OLD = Memory(inc=17, run="0a1b", electorate=(1, 2, 3))
NEW = Memory(
    inc=18,
    run="ffff",
    boot="b",
    machine="m",
    seq=4096,
    landed=True,
    votes={"g": Vote(5, 2, 17, 3)},
    terms={"g": Term(6, 5)},
    claims={"h": 2},
    fenced={3: Receipt(9, "operator")},
)


@contextlib.asynccontextmanager
async def file_in(directory: Path, limit_s: float = LIMIT_S) -> AsyncIterator[MemoryFile]:
    made = MemoryFile(directory, OLD, limit_s)
    try:
        yield made
    finally:
        made.close()


async def test_v4b_what_is_kept_is_loaded_again(tmp_path: Path) -> None:
    async with file_in(tmp_path) as file:
        await file.keep(NEW)
    assert identity.load(tmp_path) == NEW


async def test_v4b_what_is_known_to_be_there_is_not_written_again(tmp_path: Path) -> None:
    async with file_in(tmp_path) as file:
        await file.keep(OLD)
        assert not (tmp_path / identity.NODE_FILE).exists()
        await file.keep(NEW)
        (tmp_path / identity.NODE_FILE).unlink()
        await file.keep(NEW)
        assert not (tmp_path / identity.NODE_FILE).exists()


async def test_v4b_what_somebody_has_removed_is_written_again(tmp_path: Path) -> None:
    async with file_in(tmp_path) as file:
        await file.keep(NEW)
        (tmp_path / identity.NODE_FILE).unlink()
        file.lost()
        await file.keep(NEW)
    assert identity.load(tmp_path) == NEW


async def test_v4b_what_cannot_be_kept_is_told_and_tried_again(tmp_path: Path) -> None:
    place = tmp_path / "state"
    async with file_in(place) as file:
        with pytest.raises(MemoryNotWrittenError, match=r"cannot write .*node.json: No such file"):
            await file.keep(NEW)
        place.mkdir()
        await file.keep(NEW)
    assert identity.load(place) == NEW


async def test_v4b_a_disk_that_hangs_is_given_up(tmp_path: Path) -> None:
    held = threading.Event()
    async with file_in(tmp_path, 0.05) as file:
        try:
            with pytest.raises(HungError):
                await file._worker.call(held.wait, limit_s=0.05)
            with pytest.raises(MemoryNotWrittenError, match="does not answer"):
                await file.keep(NEW)
        finally:
            held.set()


async def test_v4b_a_status_is_published_only_when_its_memory_is_on_the_local_disk(
    tmp_path: Path,
) -> None:
    state, told = tmp_path / "state", list[str]()
    (tmp_path / "mfs").mkdir()
    layout = Layout(tmp_path / "mfs", "v")
    publisher = Publisher(
        layout,
        1,
        "ffff",
        report=print,
        trouble=lambda what, text: told.append(f"{what}: {text}"),
        memory_file=MemoryFile(state, OLD, LIMIT_S),
    )
    try:
        await publisher.read_former()
        first, second = (Status(node=1, inc=18, run="ffff", boot="b", seq=n) for n in (1, 2))
        assert not await publisher.publish(first, NEW)
        assert not layout.clstat(1).exists()
        assert told[0].startswith("publish: cannot publish: ")
        assert "node.json: No such file" in told[0]
        assert not await publisher.publish(first, NEW)  # at the next heartbeat
        assert not layout.clstat(1).exists()
        assert len(told) == 1, "once for each reason"
        state.mkdir()
        assert await publisher.publish(second, NEW)
        assert parse_clstat(layout.clstat(1).read_bytes()) == second
        assert identity.load(state) == NEW
        state.rename(tmp_path / "away")
        # Nothing new is promised: the disk is not needed.
        assert await publisher.publish(first, NEW)
        assert len(told) == 1
    finally:
        publisher.close()


async def test_v4b_after_a_loss_of_the_state_directory_all_is_remembered_once_more(
    tmp_path: Path,
) -> None:
    (tmp_path / "mfs").mkdir()
    state = tmp_path / "state"
    state.mkdir()
    publisher = Publisher(
        Layout(tmp_path / "mfs", "v"),
        *(1, "ffff"),
        report=print,
        trouble=print,
        memory_file=MemoryFile(state, OLD, LIMIT_S),
    )
    try:
        await publisher.read_former()
        first, second = (Status(node=1, inc=18, run="ffff", boot="b", seq=n) for n in (1, 2))
        await publisher.publish(first, NEW)
        (state / identity.NODE_FILE).unlink()
        await publisher.restore()
        await publisher.publish(second, NEW)
        assert identity.load(state) == NEW
    finally:
        publisher.close()


async def test_v4b_after_a_write_that_may_have_landed_nothing_is_taken_for_kept(
    tmp_path: Path,
) -> None:
    place = tmp_path / "state"
    async with file_in(place) as file:
        with pytest.raises(MemoryNotWrittenError):
            await file.keep(NEW)
        place.mkdir()
        identity.save(place, NEW)  # as a thread that hung does in the end
        await file.keep(OLD)
    assert identity.load(place) == OLD
