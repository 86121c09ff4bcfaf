"""The check at the end of a session can fail: each kind of leftover is made and found."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import leftovers
from tests.waiting import until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Other workers run these tests too.
STRAY = f"stray-{os.getpid()}"

# Says that it runs, then stays until its input ends.
WAITER = [sys.executable, "-c", "print('here', flush=True); input()"]

MOUNTINFO = """\
22 28 0:20 / /proc rw,relatime shared:5 - proc proc rw
90 28 0:44 / /t/m1/one rw,relatime - tmpfs tmpfs rw
91 28 0:45 / /t/m1/with\\040blank rw,relatime - fuse.sshfs host:/x rw
92 28 0:46 / /t/m10 rw,relatime - tmpfs tmpfs rw
"""


def start(mark: str, test: str) -> subprocess.Popen[bytes]:
    """Start a process of another session, which this session's own check leaves alone."""
    environ = os.environ | {leftovers.MARK: mark, "PYTEST_CURRENT_TEST": test}
    process = subprocess.Popen(WAITER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


@pytest.fixture
def stray() -> Iterator[subprocess.Popen[bytes]]:
    with start(STRAY, "test_that_forgot") as process:
        yield process
        process.kill()


def test_a_process_that_was_left_is_found_by_its_mark_with_the_test_that_started_it(
    stray: subprocess.Popen[bytes],
) -> None:
    (found,) = leftovers.processes_marked(STRAY)
    assert found.pid == stray.pid
    assert str(found).endswith("started by test_that_forgot")
    assert not leftovers.processes_marked("another-mark")


def test_a_look_reports_a_process_and_a_file_and_ends_the_process(
    tmp_path: Path, stray: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "expected").mkdir()
    (tmp_path / "forgotten").touch()
    session = leftovers.Session(mark=STRAY, directory=tmp_path)
    session.look(expected={"expected"}, grace_s=0.0)
    process, file = session.left
    assert process.startswith(f"process {stray.pid} ")
    assert file == f"file {tmp_path / 'forgotten'}"
    assert stray.wait() < 0


def test_a_session_that_left_nothing_has_nothing_to_report(tmp_path: Path) -> None:
    session = leftovers.Session(mark="clean-mark", directory=tmp_path)
    session.look(expected=set())
    assert session.left == []


def test_mounts_in_the_directory_of_the_session_are_found_and_others_are_not(
    tmp_path: Path,
) -> None:
    root = tmp_path.__class__("/t/m1")
    assert leftovers.mounts_below(root, MOUNTINFO) == ["/t/m1/with blank", "/t/m1/one"]


@pytest.mark.root("makes a cgroup")
def test_a_process_in_a_cgroup_of_the_session_is_found_without_any_mark(
    stray: subprocess.Popen[bytes],
) -> None:
    home = leftovers.own_cgroup()
    if home is None or not os.access(home, os.W_OK):
        pytest.skip("no cgroup v2 can be made here")
    cgroup = home / "mosha-stray"
    cgroup.mkdir()
    try:
        (cgroup / "inner").mkdir()
        (cgroup / "inner" / "cgroup.procs").write_text(str(stray.pid), encoding="ascii")
        assert leftovers.cgroups_below(cgroup) == [cgroup / "inner"]
        assert [process.pid for process in leftovers.processes_in(cgroup)] == [stray.pid]
    finally:
        stray.kill()
        stray.wait()
        (cgroup / "inner").rmdir()
        cgroup.rmdir()


def test_a_condition_that_does_not_come_true_ends_the_wait_with_its_name() -> None:
    assert wait_until(lambda: "value", 0.0) == "value"
    with pytest.raises(AssertionError, match=r"<lambda> did not come true within 0\.02 s"):
        wait_until(lambda: False, 0.02)


async def test_a_condition_is_awaited_without_blocking_the_event_loop() -> None:
    assert await until(lambda: "value", 0.0) == "value"
    with pytest.raises(AssertionError, match=r"did not come true within 0\.02 s"):
        await until(lambda: False, 0.02)
