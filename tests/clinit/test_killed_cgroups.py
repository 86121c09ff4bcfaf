"""Children are born alive in cgroups that something was killed in: Linux 6.18 makes that hard.

Found by chaos (seed 1): after a loss of power every child of a node ended by signal 9 at once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from mosha.clinit import cgroups
from mosha.clinit.boxes import Key
from mosha.clinit.cgroup_boxes import CgroupBoxes
from mosha.clinit.spawner import Spawner
from mosha.core.process import Scope
from tests.clinit.conftest import can_make_cgroups
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = Key("g", "t")

pytestmark = pytest.mark.skipif(not can_make_cgroups(), reason="needs a writable cgroup v2")


@pytest.fixture
def boxes() -> Iterator[CgroupBoxes]:
    own = cgroups.own_cgroup()
    assert own is not None
    made = CgroupBoxes(own, secrets.token_hex(4))
    yield made
    cgroups.kill(made.tree)
    wait_until(lambda: cgroups.remove(made.tree))


@pytest.fixture
def spawner(boxes: CgroupBoxes) -> Iterator[Spawner]:
    made = Spawner(os.environ, boxes.tree)
    yield made
    made.close()


def status_of(pid: int) -> int:
    """Wait for a child and return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def ended(spawner: Spawner, boxes: CgroupBoxes, *argv: str) -> int:
    """Run a command in the box and return its exit status, negative for a signal."""
    with started(spawner, boxes, *argv) as pid:
        return status_of(pid)


@contextlib.contextmanager
def started(spawner: Spawner, boxes: CgroupBoxes, *argv: str) -> Iterator[int]:
    """Start a command in the box; whoever leaves this has waited for its end."""
    sink = os.open(os.devnull, os.O_RDWR)
    try:
        newborn = spawner.spawn(list(argv), {}, boxes.place(KEY), (sink, sink, sink))
    finally:
        os.close(sink)
    boxes.note(KEY, newborn.pid)
    yield newborn.pid
    os.close(newborn.pidfd)
    assert newborn.settle() == 0


@pytest.mark.parametrize("whole_group", [True, False], ids=["the group", "the entry"])
def test_what_is_started_again_after_a_kill_lives(
    boxes: CgroupBoxes, spawner: Spawner, *, whole_group: bool
) -> None:
    with started(spawner, boxes, "sleep", "7603") as leader:
        if whole_group:
            boxes.kill_group(KEY.group)
        else:
            boxes.signal(KEY, leader, Scope.ENTRY, signal.SIGKILL)
        assert status_of(leader) == -signal.SIGKILL
    wait_until(lambda: boxes.is_group_empty(KEY.group, frozenset()))
    assert ended(spawner, boxes, "true") == 0


def test_children_live_where_a_former_life_was_killed(boxes: CgroupBoxes) -> None:
    """As a service manager does it: the cgroup stays, all in it were killed."""
    home = boxes.tree.parent / f"{boxes.tree.name}-home"
    home.mkdir()
    cgroups.kill(home)
    try:
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                (home / "cgroup.procs").write_text("0")
                code = 0 if _lives_in(home) else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        cgroups.kill(home)
        wait_until(lambda: cgroups.remove(home))


def _lives_in(home: Path) -> bool:
    inner = CgroupBoxes(home, "inner")
    spawner = Spawner(os.environ, inner.tree)
    lives = not spawner.way.inside
    lives &= ended(spawner, inner, sys.executable, "-c", "") == 0
    with started(spawner, inner, "sleep", "7604") as pid:
        # Born outside it moves in before it becomes the command.
        wait_until(lambda: cgroups.pids(inner.tree) == [pid])
        os.kill(pid, signal.SIGKILL)
        status_of(pid)
    return lives


def test_where_no_trial_can_be_made_the_first_child_tells(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Spawner(os.environ, tmp_path / "gone" / "tree")
