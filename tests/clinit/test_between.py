"""What is between clinit's parts: news, the reaper, turns, the service manager's ear."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from mosha.clinit.reaper import Reaper
from mosha.clinit.requests import Requests
from mosha.clinit.subscribers import Subscribers
from mosha.clinit.systemd import service_notifier
from mosha.clinit.table import TableFile, TableReading
from mosha.clinit.time_slices import SLICE_S, TimeSlices
from mosha.control.protocol import Lease, Reply, Subscribe
from mosha.control.server import ClientConnection
from mosha.core.status import GroupState
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.host.clock import boottime
from mosha.host.notify import Notifier
from tests.clinit.test_monitors import burn, client_of, engine_of
from tests.clinit.test_session_tracker import Few
from tests.waiting import LIMIT_S, until


class Listener(ClientConnection):
    """A client that keeps what it is sent."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.subscribed = False

    @property
    def gone(self) -> bool:
        return False

    def send_bytes(self, line: bytes) -> None:
        self.heard.append(line)

    def has_heard(self, lines: int) -> bool:
        return len(self.heard) == lines


async def test_small_changes_are_reported_each_time_that_some_have_gathered() -> None:
    news = Subscribers(lambda name: GroupReport(name, "1", GroupState.DONE, "1"))
    listener = Listener()
    news.subscribe(listener)
    for count in (1, 2):
        news.touch(["g"])
        news.touch(["g", "h"])
        await until(partial(listener.has_heard, count))


# --- the reaper --------------------------------------------------------------------------


@pytest.fixture
async def writers() -> AsyncIterator[list[asyncio.StreamWriter]]:
    made: list[asyncio.StreamWriter] = []
    yield made
    for writer in made:
        writer.transport.abort()


@pytest.fixture
def dead() -> int:
    """A child that is dead and not buried."""
    process = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    process.returncode = 0  # it is buried by the test
    return process.pid


class Unreadable(Few):
    """A family whose children cannot be listed at first."""

    fails = True

    def children(self) -> list[int]:
        if self.fails:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().children()


async def test_no_child_is_buried_before_its_entry_can_know_its_pid(
    tmp_path: Path, dead: int
) -> None:
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, _, __):
        reaper = Reaper(engine, engine._forker)
        reaper._family.close()
        reaper._family = family = Few()
        family.mine.add(dead)
        engine._forker._under_way = 1
        reaper._reap_later()
        assert dead in family.children()
        engine._forker._under_way = 0
        await until(lambda: dead not in family.children())  # it looks again by itself
        reaper.close()


async def test_the_dead_are_buried_when_there_are_descriptors_again(
    tmp_path: Path, dead: int
) -> None:
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, _, __):
        reaper = Reaper(engine, engine._forker)
        reaper._family.close()
        reaper._family = family = Unreadable()
        family.mine.add(dead)
        reaper._reap_later()
        family.fails = False
        await until(lambda: dead not in family.children())
        reaper.close()


# --- requests ----------------------------------------------------------------------------


class Empty(TableFile):
    """A cltab in which nothing is new."""

    async def look(self, since: float = 0.0) -> TableReading:
        assert since
        return TableReading()


async def test_of_three_monitors_only_the_last_is_obeyed(
    tmp_path: Path, writers: list[asyncio.StreamWriter]
) -> None:
    async with engine_of(tmp_path / "s", 1, managed=True) as (engine, _, __):
        requests = Requests(engine, Empty(tmp_path / "cltab", 1.0), managed=True)
        monitors = [
            await client_of(writers, pid, number) for number, pid in enumerate((11, 22, 33))
        ]
        for monitor in monitors:
            await requests.answer(Subscribe(), monitor)
        for monitor, obeyed in zip(monitors, (False, False, True), strict=True):
            (reply,) = await requests.answer(Lease({}), monitor)
            assert isinstance(reply, Reply)
            assert (reply.ok, monitor.gone) == (obeyed, not obeyed)


async def test_who_listens_hears_at_once_that_clinit_begins_to_halt(tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", 1, managed=True) as (engine, _, __):
        requests = Requests(engine, Empty(tmp_path / "cltab", 1.0), managed=True)
        listener = Listener()
        engine.news.subscribe(listener)
        requests.shut_down()
        assert any(b'"halting":true' in line for line in listener.heard)


# --- turns -------------------------------------------------------------------------------


async def test_what_was_put_off_is_overtaken_by_nothing_that_comes_later() -> None:
    turns, done = TimeSlices(), list[int]()
    assert not turns.over
    burn(2 * SLICE_S)
    turns.put_off(partial(done.append, 0))
    turns._until = math.inf  # a slice has time left, and there is what was put off
    await turns.do(partial(done.append, 1))
    assert done == [0, 1]


# --- the service manager -----------------------------------------------------------------


async def test_the_watchdog_is_fed_only_when_clinit_has_done_what_was_due(
    tmp_path: Path, short_dir: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_dir / "n"))
        async with engine_of(tmp_path / "s", 1, managed=False) as (engine, tracker, guarded):
            now = boottime()
            engine.happen(Tell("g0", "start", 1, "", now + 0.2, now + 0.2))
            tracker.fails = {"g0"}
            asyncio.get_running_loop().remove_reader(engine._alarm._fd)  # it is deaf
            with anyio.fail_after(LIMIT_S), pytest.raises(PermissionError):
                await service_notifier(engine, Notifier(str(short_dir / "n"), watchdog_s=0.06))
            assert guarded == ["all"]
