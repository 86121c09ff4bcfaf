"""The second guard by itself, without clinit: what it knows, and when it must not kill."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from structlog.testing import capture_logs

from mosha.clinit import cgroups
from mosha.clinit import guard as guard_module
from mosha.clinit.cgroup_tracker import CgroupTracker
from mosha.clinit.guard import Guard
from mosha.clinit.process_tracker import EntryKey
from tests.clinit.descriptors import open_files
from tests.clinit.test_faults import needs_cgroups
from tests.waiting import until, wait_until

Lead = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def lead() -> Iterator[Lead]:
    """Make a process that leads a session; it is ended in any case."""
    made: list[subprocess.Popen[bytes]] = []

    def make() -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen(["/bin/sleep", "7761"], start_new_session=True))
        return made[-1]

    yield make
    for process in made:
        process.kill()
        process.wait()


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    """A guard without cgroups; it is let go in any case."""
    made = Guard(secrets.token_hex(8), None)
    yield made
    made.dismiss()
    if made.pid:
        await asyncio.to_thread(buried, made.pid)


def buried(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # it was replaced, and buried by that
        return


async def test_one_that_replaces_another_knows_its_sessions_but_those_that_are_gone(
    guard: Guard, lead: Lead
) -> None:
    watched, forgotten, unknown = lead(), lead(), lead()
    guard.watch(watched.pid)
    guard.watch(forgotten.pid)
    guard.unwatch(forgotten.pid)
    first = guard.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: guard.pid != first)
    guard.give_up()
    await asyncio.to_thread(buried, guard.pid)
    assert watched.wait() == -signal.SIGKILL
    assert (forgotten.poll(), unknown.poll()) == (None, None)


async def test_guards_that_are_replaced_keep_no_descriptor(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_module, "RETRY_S", 0.01)
    before = open_files()
    for _ in range(2):
        await replaced(guard)
    assert open_files() == before


async def replaced(guard: Guard) -> None:
    former = guard.pid
    os.kill(former, signal.SIGKILL)
    await until(lambda: guard.pid != former)


async def test_a_session_that_is_gone_is_forgotten_by_the_guard_that_knew_it(
    guard: Guard, lead: Lead
) -> None:
    watched, forgotten = lead(), lead()
    for process in (forgotten, watched):
        guard.watch(process.pid)
    guard.unwatch(forgotten.pid)
    guard.give_up()
    await asyncio.to_thread(buried, guard.pid)
    assert watched.wait() == -signal.SIGKILL
    assert forgotten.poll() is None


async def test_one_that_is_stopped_and_takes_nothing_in_is_replaced(
    guard: Guard, lead: Lead
) -> None:
    first, pid = guard.pid, lead().pid
    os.kill(first, signal.SIGSTOP)
    try:
        for _ in range(10_000):  # more than a pipe holds
            guard.watch(pid)
            guard.unwatch(pid)
        await until(lambda: guard.pid != first)
    finally:
        if guard.pid == first:
            os.kill(first, signal.SIGKILL)


@needs_cgroups
async def test_one_that_could_be_started_in_part_only_kills_nothing(
    monkeypatch: pytest.MonkeyPatch, lead: Lead
) -> None:
    own = cgroups.own_cgroup()
    assert own is not None
    tracker = CgroupTracker(own, secrets.token_hex(8), "test")
    process = lead()
    place = tracker.place(EntryKey("g", "a"))
    assert place is not None
    (place / "cgroup.procs").write_text(str(process.pid), encoding="ascii")

    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    try:
        with monkeypatch.context() as patch, capture_logs() as log:
            patch.setattr(os, "pidfd_open", refuse)
            guard = Guard("mark", tracker.tree)
        assert [line["event"] for line in log] == ["guard_failed"]
        await asyncio.to_thread(buried, guard.pid)
        assert process.poll() is None
        guard.dismiss()
    finally:
        cgroups.kill(tracker.tree)
        process.wait()
        wait_until(lambda: cgroups.remove(tracker.tree))
        tracker.close()
