"""Children are born alive in cgroups that something was killed in: Linux 6.18 makes that hard.

Found by chaos (seed 1): after a loss of power every child of a node ended by signal 9 at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from mosha.clinit import cgroups
from mosha.clinit.cgroup_tracker import CgroupTracker
from mosha.clinit.forker import Forker
from mosha.clinit.process_tracker import EntryKey
from mosha.clinit.spawn_ways import Cloner
from mosha.core.supervision.process_events import Scope
from mosha.formats.spawn import SPAWN_WAYS
from tests.clinit.conftest import can_make_cgroups
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

KEY = EntryKey("g", "t")

pytestmark = pytest.mark.skipif(not can_make_cgroups(), reason="needs a writable cgroup v2")


@pytest.fixture
def tracker() -> Iterator[CgroupTracker]:
    own = cgroups.own_cgroup()
    assert own is not None
    made = CgroupTracker(own, secrets.token_hex(4), "test")
    yield made
    cgroups.kill(made.tree)
    wait_until(lambda: cgroups.remove(made.tree))


@pytest.fixture
async def forker(tracker: CgroupTracker) -> AsyncIterator[Forker]:
    made = Forker(dict(os.environ), "mark", tracker.tree)
    yield made
    made.dismiss()
    status_of(made.pid)


def status_of(pid: int) -> int:
    """Wait for a child and return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def ended(forker: Forker, tracker: CgroupTracker, *argv: str) -> int:
    """Run a command in the box and return its exit status, negative for a signal."""
    return status_of(await started(forker, tracker, *argv))


async def started(forker: Forker, tracker: CgroupTracker, *argv: str) -> int:
    sink = os.open(os.devnull, os.O_RDWR)
    try:
        pid = await forker.spawn(list(argv), {}, tracker.place(KEY), [sink] * 3)
    finally:
        os.close(sink)
    tracker.note(KEY, pid)
    return pid


@pytest.mark.parametrize("whole_group", [True, False], ids=["the group", "the entry"])
async def test_what_is_started_again_after_a_kill_lives(
    tracker: CgroupTracker, forker: Forker, *, whole_group: bool
) -> None:
    leader = await started(forker, tracker, "sleep", "7603")
    if whole_group:
        tracker.kill_group(KEY.group)
    else:
        tracker.signal(KEY, leader, Scope.ENTRY, signal.SIGKILL)
    assert status_of(leader) == -signal.SIGKILL
    wait_until(lambda: tracker.is_group_empty(KEY.group, frozenset()))
    assert await ended(forker, tracker, "true") == 0


def test_children_live_where_a_former_life_was_killed(tracker: CgroupTracker) -> None:
    """As a service manager does it: the cgroup stays, all in it were killed."""
    home = tracker.tree.parent / f"{tracker.tree.name}-home"
    home.mkdir()
    cgroups.kill(home)
    try:
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                (home / "cgroup.procs").write_text("0")
                code = 0 if asyncio.run(_lives_in(home)) else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        cgroups.kill(home)
        wait_until(lambda: cgroups.remove(home))


async def _lives_in(home: Path) -> bool:
    inner = CgroupTracker(home, "inner", "test")
    server = Forker(dict(os.environ), "mark", inner.tree)
    lives = await ended(server, inner, sys.executable, "-c", "") == 0
    pid = await started(server, inner, "sleep", "7604")
    # Born outside it moves in before it becomes the command.
    wait_until(lambda: cgroups.pids(inner.tree) == [pid])
    server.give_up()
    status_of(pid)
    return lives


def test_where_no_trial_can_be_made_the_first_child_tells() -> None:
    cloner = Cloner(SPAWN_WAYS[0], "/no/such/cgroup")
    cloner.find_way()
    assert (cloner.way, cloner.into_cgroup, cloner.refused) == (SPAWN_WAYS[0], True, [])
