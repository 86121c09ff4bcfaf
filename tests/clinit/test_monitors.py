"""What a managed clinit takes from whom: the monitor of now, one before it, and people."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import Signals

import anyio
import msgspec
import pytest

from mosha.clinit.engine import Engine
from mosha.clinit.faults import Faults
from mosha.clinit.forker import Forker
from mosha.clinit.process_tracker import EntryKey, Leftovers
from mosha.clinit.requests import Requests
from mosha.clinit.state_dir import StateDir
from mosha.clinit.table import TableFile, TableReading
from mosha.clinit.time_slices import SLICE_S
from mosha.control.protocol import Message, Reply, Subscribe, Update
from mosha.control.server import ClientConnection, ServerLimits
from mosha.core.supervision.group import Deadlines, GroupTimePassed
from mosha.core.supervision.group_report import GroupReport
from mosha.core.supervision.process_events import Scope
from mosha.core.supervision.supervisor import Leased, ShutdownAsked, Supervisor, TableRead
from mosha.core.tables import Cltab, Entry, Mode
from mosha.core.tell import Tell
from mosha.host.clock import boottime
from tests.clinit.conftest import Start
from tests.waiting import until


class CountingTracker:
    """A tracker of nothing that counts what it is asked; a group of `fails` refuses.

    No kill ends the process of a group of `stuck`.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.stuck: set[str] = set()
        self.no_cgroups = ""

    def slice_for(self, key: EntryKey) -> Path | None:
        raise AssertionError(key)

    def place(self, key: EntryKey) -> Path | None:
        raise AssertionError(key)

    def note(self, key: EntryKey, leader: int) -> None:
        raise AssertionError((key, leader))

    def left_by(self, key: EntryKey, leader: int) -> Leftovers:
        raise AssertionError((key, leader))

    def is_of(self, key: EntryKey, pid: int) -> bool:
        raise AssertionError((key, pid))

    def signal(self, key: EntryKey, leader: int, scope: Scope, number: Signals) -> list[int]:
        raise AssertionError((key, leader, scope, number))

    def is_empty(self, key: EntryKey, leader: int, scope: Scope) -> bool:
        raise AssertionError((key, leader, scope))

    def has_fresh_child(self) -> bool:
        return False

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        self.calls.append(f"{number.name} {group} {len(spared)}")
        return []

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        self.calls.append(f"empty? {group} {len(spared)}")
        return group not in self.stuck

    def kill_group(self, group: str) -> None:
        self.calls.append(f"kill {group}")
        if group in self.fails:
            raise PermissionError(1, "no")

    def alive(self, group: str) -> int:
        self.calls.append(f"alive? {group}")
        return int(group in self.stuck)

    def forget(self, group: str) -> None:
        self.calls.append(f"forget {group}")

    def close(self) -> None:
        self.calls.append("close")


def burn(cpu_s: float) -> None:
    """Use the processor for so long."""
    until_s = time.thread_time() + cpu_s
    while time.thread_time() < until_s:
        pass


class StalledTable(TableFile):
    """A cltab on a file system that stalls until `answers` is set."""

    def __init__(self) -> None:
        super().__init__(Path("cltab"), 1.0)
        self.answers = asyncio.Event()
        self.looks = 0

    async def look(self, since: float = math.inf) -> TableReading:
        assert since
        self.looks += 1
        await self.answers.wait()
        return TableReading()


@asynccontextmanager
async def engine_of(
    path: Path, groups: int, *, managed: bool
) -> AsyncIterator[tuple[Engine, CountingTracker, list[str]]]:
    """Yield an engine of so many groups without processes, its boxes, and when all was killed."""
    tracker, guarded = CountingTracker(), list[str]()
    state = StateDir(path)
    forker = Forker(dict(os.environ), "mark", None)
    await forker.ready.wait()
    async with anyio.create_task_group() as tasks:
        faults = Faults(lambda: guarded.append("all"))
        engine = Engine(tracker, state, Supervisor(managed=managed), forker, faults)
        engine.start(tasks)
        entries = (Entry(f"g{n}", f"t{n}", "start", Mode.OFF, "true", n) for n in range(groups))
        engine.happen(TableRead(Cltab(tuple(entries))))
        try:
            yield engine, tracker, guarded
        finally:
            tasks.cancel_scope.cancel()
            engine.close()
            forker.dismiss()
            # Shielded: a cancellation here would take the place of what a test has found.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(os.waitpid, forker.pid, 0)
            state.close()


@pytest.fixture
async def writers() -> AsyncIterator[list[asyncio.StreamWriter]]:
    made: list[asyncio.StreamWriter] = []
    yield made
    for writer in made:
        writer.transport.abort()


async def client_of(writers: list[asyncio.StreamWriter], pid: int, number: int) -> ClientConnection:
    for end in socket.socketpair():  # the other end is only kept open
        _, writer = await asyncio.open_unix_connection(sock=end)
        writers.append(writer)
    return ClientConnection(writer, pid, ServerLimits(), number)


def lease(group: str, level: str) -> Tell:
    now = boottime()
    return Tell(group, level, term=1, stop_at=now + 60, kill_at=now + 90)


async def test_a_tell_of_a_dead_monitor_does_not_outlive_the_next_subscription(
    tmp_path: Path, writers: list[asyncio.StreamWriter]
) -> None:
    async with engine_of(tmp_path / "s", 1, managed=True) as (engine, _, _):
        table = StalledTable()
        requests = Requests(engine, table, managed=True)
        dead, living = await client_of(writers, 11, 1), await client_of(writers, 22, 3)
        own = await client_of(writers, 22, 2)  # its own connection for tells is older
        tell = asyncio.create_task(requests.answer(lease("g0", "test"), dead))
        await until(lambda: table.looks)
        subscribe = asyncio.create_task(requests.answer(Subscribe(), living))
        await asyncio.sleep(0)
        assert not subscribe.done()  # it is told what there is when that is known
        table.answers.set()
        refused, answered = await tell, await subscribe
        assert isinstance(refused[0], Reply)
        assert not refused[0].ok
        assert dead.gone
        assert isinstance(answered[0], Reply)
        assert answered[0].ok
        assert not engine.supervisor.units
        later: list[Message] = await requests.answer(lease("g0", "start"), dead)
        assert isinstance(later[0], Reply)
        assert not later[0].ok
        (taken,) = await requests.answer(lease("g0", "start"), own)
        assert isinstance(taken, Reply)
        assert taken.ok
        assert engine.supervisor.units["g0"].group.level == "start"


# --- people ----------------------------------------------------------------------------------


def test_a_managed_one_takes_no_level_that_needs_a_lease_by_hand(start: Start) -> None:
    text = "g:a:start:respawn:sleep 7711\ng:p:probe:test:true\ng:s:stop:wait:echo ended >> {OUT}\n"
    d = start(text, managed=True)
    reply = d.tell("g", "start")
    assert not reply.ok
    assert "mosha set g start" in reply.text
    assert d.groups() == {}
    assert d.tell("g", "plan").ok
    assert d.tell("g", "stop").ok  # so are the entries of `stop` run by hand
    d.wait_for("stop DONE")
    assert d.lines() == ["ended"]
    now = boottime()
    assert d.tell("g", "start", term=1, stop_at=now + 60, kill_at=now + 90).ok
    d.pid_of("a")
    assert d.tell("g", "probe").ok  # under the lease that there is
    d.wait_for("probe PASSED")


# --- many groups -----------------------------------------------------------------------------


async def test_of_300_due_groups_each_is_killed_once_and_all_before_anything_else(
    tmp_path: Path,
) -> None:
    async with engine_of(tmp_path / "s", 300, managed=False) as (engine, tracker, guarded):
        now = boottime()
        for n in range(300):
            engine.happen(Tell(f"g{n}", "start", 1, "", now + 60, now + 90))
        await until(lambda: not engine._orders)
        changes: list[int] = []
        engine.on_change = lambda: changes.append(len(tracker.calls))
        tracker.calls.clear()
        past = Deadlines(now - 2, now - 1)
        # One event brings the deadlines, the next lets the time pass: all fall due at once.
        engine.happen(Leased({f"g{n}": (1, past) for n in range(300)}))
        engine.happen(GroupTimePassed())
        assert sorted(tracker.calls[:300]) == sorted(f"kill g{n}" for n in range(300))
        assert changes
        assert min(changes) >= 300
        assert sum(call.startswith("kill") for call in tracker.calls) == 300
        assert len(tracker.calls) <= 6 * 300
        assert not guarded


async def test_what_many_orders_put_off_is_done_in_order_and_leaves_others_their_turn(
    tmp_path: Path,
) -> None:
    async with engine_of(tmp_path / "s", 10, managed=False) as (engine, tracker, _):
        engine.on_change = lambda: burn(2 * SLICE_S)
        asyncio.get_running_loop().call_soon(tracker.calls.append, "another's turn")
        for n in range(10):
            told = engine.happen(Tell(f"g{n}", "stop", 1))
            assert told is not None
            assert told.ok
        assert engine._orders
        await until(lambda: not engine._orders)
        sweeps = [f"SIGINT g{n} 0" for n in range(10)]
        assert [call for call in tracker.calls if call in sweeps] == sweeps
        assert tracker.calls.index("another's turn") < tracker.calls.index(sweeps[-1])


async def test_a_kill_comes_before_what_was_put_off_and_takes_all_of_it_along(
    tmp_path: Path,
) -> None:
    async with engine_of(tmp_path / "s", 5, managed=False) as (engine, tracker, _):
        engine.on_change = lambda: burn(2 * SLICE_S)
        now = boottime()
        for n in range(5):
            engine.happen(Tell(f"g{n}", "start", 1, "", now + 60, now + 90))
        assert engine._orders
        tracker.calls.clear()
        engine.on_change = lambda: tracker.calls.append("shown")
        engine.happen(Tell("g3", "stop", 1, "", now - 2, now - 1))
        assert tracker.calls[0] == "kill g3"
        assert tracker.calls.count("shown") > 5
        assert not engine._orders


async def test_no_report_that_was_put_off_takes_a_listener_back(
    tmp_path: Path, writers: list[asyncio.StreamWriter]
) -> None:
    async with engine_of(tmp_path / "s", 5, managed=False) as (engine, _, __):
        engine.on_change = lambda: burn(2 * SLICE_S)
        for n in range(5):
            engine.happen(Tell(f"g{n}", "stop", 1))
        engine.happen(Tell("g4", "start", 2))
        assert engine._orders
        ours, theirs = socket.socketpair()
        reader, _writer = await asyncio.open_unix_connection(sock=ours)
        _reader, writer = await asyncio.open_unix_connection(sock=theirs)
        writers += [writer, _writer]
        engine.news.subscribe(ClientConnection(writer, os.getpid(), ServerLimits(), 1))
        seen = {group.group: group for group in engine.full_update(()).groups}
        assert seen["g4"].wanted == "start"
        await until(lambda: not engine._orders)
        engine.news.tell(Update(halting=True))
        told: list[GroupReport] = []
        while not (update := msgspec.json.decode(await reader.readline(), type=Update)).halting:
            told += update.groups
        assert {(group.wanted, group.term) for group in told if group.group == "g4"} == {
            ("start", 2)
        }


async def test_that_one_group_cannot_be_killed_spares_no_other_and_ends_clinit(
    tmp_path: Path,
) -> None:
    async with engine_of(tmp_path / "s", 3, managed=False) as (engine, tracker, guarded):
        now = boottime()
        for n in range(3):
            engine.happen(Tell(f"g{n}", "start", 1, "", now + 60, now + 90))
        tracker.fails = {"g0", "g1", "g2"}
        past = Deadlines(now - 2, now - 1)
        engine.happen(Leased({f"g{n}": (1, past) for n in range(3)}))
        with pytest.raises(PermissionError):
            engine.happen(GroupTimePassed())
        assert {f"kill g{n}" for n in range(3)} <= set(tracker.calls)
        assert guarded == ["all"]


async def test_a_report_that_fails_keeps_no_order_from_being_carried_out(tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", 2, managed=False) as (engine, _, guarded):

        def fail() -> None:
            raise OSError(5, "the report cannot be written")

        engine.on_change = fail
        for n in range(2):
            answer = engine.happen(Tell(f"g{n}", "start"))
            assert answer is not None
            assert answer.ok
        assert {line.level for line in engine.lines().values()} == {"start"}
        assert not guarded


async def test_who_asks_for_everything_hears_of_a_halt_and_of_missing_cgroups(
    tmp_path: Path,
) -> None:
    async with engine_of(tmp_path / "s", 1, managed=True) as (engine, tracker, _):
        assert (engine.full_update(()).halting, engine.full_update(()).no_cgroups) == (False, "")
        tracker.no_cgroups = "Read-only file system"
        engine.happen(Tell("g0", "stop"))
        engine.happen(ShutdownAsked())
        update = engine.full_update(())
        assert (update.halting, update.no_cgroups) == (True, "Read-only file system")


async def test_a_group_is_not_empty_while_something_of_it_is_being_born(tmp_path: Path) -> None:
    """Nor while a leader lives that has left its box: the box alone does not say it."""
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, _, __):
        loop = engine._loop("g0", "t0")
        assert engine._is_left_empty("g0", frozenset())
        loop._unborn = True
        assert not engine._is_left_empty("g0", frozenset())
        assert engine._is_left_empty("g0", frozenset({"t0"}))


async def test_the_pipes_of_a_group_that_is_gone_are_closed(tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, _, __):
        loop = engine._loop("g0", "t0")
        ends = [os.pipe() for _ in range(2)]
        loop._output.follow(1, ends[0][0], ends[1][0])
        # Somebody else has got hold of the other ends.
        engine.happen(Tell("g0", "stop"))
        engine.happen(TableRead(Cltab(())))
        await until(lambda: not engine.supervisor.units)
        assert not loop._output.open
        for _, writer in ends:
            os.close(writer)
