"""Trees of cgroups that dead clinits left, and those of the living, which nobody touches."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosha.clinit import cgroups, trees
from mosha.clinit.cgroup_tracker import CgroupTracker
from mosha.clinit.state_dir import StateDir
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon, is_alive
from tests.clinit.test_faults import needs_cgroups
from tests.replacing import remove_tree
from tests.waiting import wait_until

pytestmark = needs_cgroups


@pytest.fixture
def own() -> Path:
    found = cgroups.own_cgroup()
    assert found is not None
    return found


@pytest.fixture
def orphan() -> Iterator[subprocess.Popen[bytes]]:
    """A process that belongs to nobody; it is ended in any case."""
    with subprocess.Popen(["/bin/sleep", "7661"]) as process:
        yield process
        process.kill()


def left_by(state_dir: Path, own: Path, process: subprocess.Popen[bytes] | None) -> Path:
    """Make the tree of a clinit that is dead, with a process in it or none."""
    tree = own / f"clinit-{trees.place_of(state_dir)}-{secrets.token_hex(8)}"
    (tree / "g.g/e.a").mkdir(parents=True)
    if process is not None:
        (tree / "g.g/e.a/cgroup.procs").write_text(str(process.pid), encoding="ascii")
    return tree


def kill_all_of(d: Daemon) -> None:
    """Kill clinit with both its guards at one moment: nobody is left who ends anything."""
    guards = (d.fork_server(), wait_until(d.guard))
    for pid in guards:
        os.kill(pid, signal.SIGSTOP)
    d.kill()
    for pid in guards:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, guards)))


def test_what_a_clinit_left_is_found_though_its_state_directory_was_removed(
    start: Start, daemon: Daemon
) -> None:
    d = start("g:a:1:wait:setsid -f sleep 7662 >/dev/null 2>&1 </dev/null\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    (child,) = d.descendants()
    tree = d.tree()
    assert tree is not None
    remove_tree(daemon.base / "state")
    kill_all_of(d)
    assert is_alive(child)
    daemon.start()
    assert not is_alive(child)
    assert not tree.exists()
    assert [line["pid"] for line in daemon.log("orphan_ended")] == [child]


def test_what_lives_is_left_alone(
    own: Path, short_dir: Path, orphan: subprocess.Popen[bytes]
) -> None:
    state = StateDir(short_dir / "state")
    tracker = CgroupTracker(own, secrets.token_hex(8), state.place)
    try:
        (tracker.tree / "g.g").mkdir()
        (tracker.tree / "g.g/cgroup.procs").write_text(str(orphan.pid), encoding="ascii")
        assert state.end_orphans(1.0) == []
        assert orphan.poll() is None
        assert tracker.tree.exists()
        orphan.kill()
        orphan.wait()
        assert state.end_orphans(1.0) == []  # empty, and somebody's all the same
        assert tracker.tree.exists()
    finally:
        orphan.kill()
        tracker.close()
        state.close()
    assert not tracker.tree.exists()


def test_dead_trees_of_other_places_are_removed_when_they_are_empty_and_never_emptied(
    own: Path, short_dir: Path, orphan: subprocess.Popen[bytes]
) -> None:
    state = StateDir(short_dir / "state")
    elsewhere = short_dir / "other"
    full, empty = left_by(elsewhere, own, orphan), left_by(elsewhere, own, None)
    older = own / f"clinit-{secrets.token_hex(8)}"  # its clinit may live: it locked none
    older.mkdir()
    try:
        assert state.end_orphans(1.0) == []
        assert orphan.poll() is None
        assert full.exists()
        assert not empty.exists()
        assert older.exists()
    finally:
        orphan.kill()
        orphan.wait()
        older.rmdir()
        state.close()
    wait_until(lambda: cgroups.remove(full))


def test_trees_of_this_place_are_emptied_wherever_the_former_clinit_was_started(
    own: Path, short_dir: Path, orphan: subprocess.Popen[bytes]
) -> None:
    state = StateDir(short_dir / "state")
    session = own / f"session-{secrets.token_hex(4)}"
    session.mkdir()
    tree = left_by(state.path, session, orphan)
    try:
        assert state.end_orphans(5.0) == [(orphan.pid, "/bin/sleep 7661")]
        assert orphan.wait() == -signal.SIGKILL
        assert not tree.exists()
    finally:
        state.close()
        wait_until(lambda: cgroups.remove(session))


@pytest.mark.root("makes a directory of another user")
def test_trees_of_other_users_are_left_alone(
    own: Path, short_dir: Path, orphan: subprocess.Popen[bytes]
) -> None:
    """Anybody who may make a cgroup can give it the name that the next clinit would look for."""
    state = StateDir(short_dir / "state")
    tree = left_by(state.path, own, orphan)
    os.chown(tree, 65534, -1)
    try:
        assert state.end_orphans(5.0) == []
        assert orphan.poll() is None
        assert tree.exists()
    finally:
        orphan.kill()
        orphan.wait()
        state.close()
        wait_until(lambda: cgroups.remove(tree))


def test_a_lock_on_a_directory_that_was_replaced_meanwhile_is_none(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own / f"clinit-place-{secrets.token_hex(8)}"
    path.mkdir()
    flock = fcntl.flock

    def replace_and_lock(fd: int, how: int) -> None:
        path.rmdir()
        path.mkdir()
        flock(fd, how)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", replace_and_lock)
            assert trees._lock(path, fcntl.LOCK_EX) is None
    finally:
        path.rmdir()


def test_a_tree_that_is_taken_for_an_empty_dead_one_is_made_again(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir
    removed: list[Path] = []

    def mkdir_and_lose(path: Path) -> None:
        mkdir(path)
        if not removed:  # somebody else has looked between the mkdir and the lock
            removed.append(path)
            path.rmdir()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", mkdir_and_lose)
        tree = trees.make(own, "place", secrets.token_hex(8))
    assert removed == [tree.path]
    assert tree.path.exists()
    tree.path.rmdir()
    os.close(tree.lock)
