"""Locks that a process holds for its life, and for longer: a thread in a call that hangs (1.16)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from mosha.control.address import answers
from mosha.control.calls import NoAnswerError
from mosha.control.listener import Listener
from mosha.host import proc
from mosha.host.clock import boot_id
from mosha.host.lock_file import HeldError, LockFile, alone_in, holder_of
from mosha.monitor import clinit_link
from tests.chaos import views
from tests.chaos.views import View, Views
from tests.clinit.descriptors import open_files
from tests.waiting import wait_until

# A daemon of which one thread looks at a mount: lock, socket, path in the mount.
DAEMON = """
import os, signal, sys, threading
from pathlib import Path
from mosha.control.listener import Listener
from mosha.host.lock_file import LockFile
lock, listener = LockFile(Path(sys.argv[1])), Listener(Path(sys.argv[2]))
if len(sys.argv) > 3:
    threading.Thread(target=os.stat, args=(sys.argv[3],), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
lock.close()
listener.close()
"""
NODE, FREEZE = 2, 7


@contextlib.contextmanager
def daemon(
    *paths: Path, thaw: Callable[[], None] = lambda: None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has taken its lock and socket."""
    words = [sys.executable, "-P", "-c", DAEMON, *map(str, paths)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()
            thaw()  # else it is waited for in vain


@contextlib.contextmanager
def frozen_mount(directory: Path) -> Iterator[tuple[Path, View]]:
    """A path on a mount on which every call hangs until the freeze ends."""
    if reason := views.missing():
        pytest.skip(reason)
    source, base = directory / "source", directory / "mounts"
    (source / str(NODE)).mkdir(parents=True)
    base.mkdir()
    mounts = Views(base, source, seed=1).open(range(1, 2))
    view = mounts.nodes[1]
    try:
        view.begin(FREEZE, NODE, "freeze", 0.0)
        yield view.point / str(NODE) / "file", view
    finally:
        mounts.close()


def held(path: Path) -> bool:
    """Say whether the kernel refuses the lock of this file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_dead_process_in_a_call_that_hangs_keeps_neither_its_lock_nor_its_socket(
    short_dir: Path,
) -> None:
    lock, path = short_dir / "lock", short_dir / "s"
    with (
        frozen_mount(short_dir) as (hanging, view),
        daemon(lock, path, hanging, thaw=lambda: view.end(FREEZE)) as process,
    ):
        wait_until(lambda: view.held(FREEZE) > 0)
        with pytest.raises(HeldError):
            LockFile(lock)
        assert not proc.is_dying(process.pid)
        process.kill()
        wait_until(lambda: process.poll() is not None or proc.is_dying(process.pid))
        assert process.poll() is None  # it is not even a zombie: it is still there
        assert held(lock)
        assert holder_of(lock) == 0
        assert not answers(path)
        with pytest.raises(NoAnswerError, match="is dead, but in a call that hangs"):
            asyncio.run(clinit_link._connect_to_living(path))
        taken, listener = LockFile(lock), Listener(path)
        assert taken.passed_over == process.pid
        assert holder_of(lock) == os.getpid()
        with pytest.raises(HeldError):
            LockFile(lock)
        taken.close()
        listener.close()


def test_an_orderly_end_lets_go_of_lock_and_socket_before_a_thread_that_hangs(
    short_dir: Path,
) -> None:
    lock, path = short_dir / "lock", short_dir / "s"
    with (
        frozen_mount(short_dir) as (hanging, view),
        daemon(lock, path, hanging, thaw=lambda: view.end(FREEZE)) as process,
    ):
        wait_until(lambda: view.held(FREEZE) > 0)
        assert process.stdin is not None
        process.stdin.close()
        wait_until(lambda: not held(lock))
        wait_until(lambda: not path.exists())
        assert process.poll() is None
        taken = LockFile(lock)
        assert taken.passed_over == 0
        taken.close()


def test_a_living_holder_is_named_and_not_passed_over(short_dir: Path) -> None:
    lock, path = short_dir / "lock", short_dir / "s"
    with daemon(lock, path) as process:
        assert holder_of(lock) == process.pid
        with pytest.raises(HeldError, match=f"process {process.pid}"):
            LockFile(lock)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(HeldError):
            LockFile(lock)
        process.send_signal(signal.SIGCONT)
    assert holder_of(lock) == 0
    LockFile(lock).close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "1 2 3 4",
        "{pid} 1 {boot}",  # another process of the same number
        "{pid} {start} another-boot",
        "99999999 5 {boot}",
    ],
)
def test_a_file_that_names_no_process_of_now_has_no_holder(tmp_path: Path, text: str) -> None:
    path, me = tmp_path / "lock", os.getpid()
    path.write_text(text.format(pid=me, start=proc.started(me), boot=boot_id()))
    assert holder_of(path) == 0


def test_a_lock_whose_holder_is_not_known_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("wb") as file:  # as a version before this one does
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(HeldError):
            LockFile(path)
    LockFile(path).close()


def test_a_lock_that_was_removed_is_made_again_with_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    path.parent.mkdir()
    lock = LockFile(path)
    assert not lock.restore()
    shutil.rmtree(path.parent)
    assert lock.restore()
    assert held(path)
    assert holder_of(path) == os.getpid()
    assert not lock.restore()
    lock.close()
    assert not held(path)


class AwayForAMoment(LockFile):
    """A lock whose directory is away when it is looked for, and back before it is made again."""

    looks = 0

    def is_there(self) -> bool:
        self.looks += 1
        return self.looks > 1 and super().is_there()


def test_a_lock_that_is_put_back_while_it_is_made_again_is_still_held(tmp_path: Path) -> None:
    lock = AwayForAMoment(tmp_path / "lock")
    assert not lock.restore()
    assert lock.looks == 2
    assert held(lock.path)
    lock.close()


def test_a_lock_that_somebody_else_has_made_meanwhile_is_his(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = LockFile(path)
    path.unlink()
    other = LockFile(path)
    with pytest.raises(HeldError):
        lock.restore()
    other.close()
    assert lock.restore()
    lock.close()


def test_to_ask_for_a_lock_of_somebody_else_takes_no_descriptor(tmp_path: Path) -> None:
    """A monitor asks every second."""
    path = tmp_path / "lock"
    lock = LockFile(path)
    path.unlink()
    other = LockFile(path)
    before = open_files()
    for _ in range(3):
        with pytest.raises(HeldError):
            lock.restore()
    assert open_files() == before
    other.close()
    lock.close()


def test_a_lock_that_cannot_be_looked_at_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = LockFile(tmp_path / "lock")

    def refuse(_path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", refuse)
        with pytest.raises(OSError, match="Input/output error"):
            lock.restore()
    assert not lock.restore()
    lock.close()


def test_nobody_else_can_open_a_lock_and_it_is_no_link(tmp_path: Path) -> None:
    """Who can open it can hold it."""
    former = os.umask(0)
    try:
        LockFile(tmp_path / "lock").close()
    finally:
        os.umask(former)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        LockFile(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_living_daemon_does_not_wait_for_others_in_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = LockFile(path)
    path.unlink()
    with alone_in(tmp_path), pytest.raises(BlockingIOError):
        lock.restore()
    assert lock.restore()
    lock.close()


def test_to_make_a_lock_again_takes_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = LockFile(path)
    before = open_files()
    for _ in range(3):
        path.unlink()
        assert lock.restore()
    assert open_files() == before
    lock.close()


def test_nothing_of_a_former_holder_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("x" * 199)
    lock = LockFile(path)
    assert holder_of(path) == os.getpid()
    lock.close()


class Contested(type(Path())):  # type: ignore[misc]
    """A path at which another one is faster whenever a lock is passed over."""

    faster: ClassVar[list[int]] = []

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as pathlib has it
        super().unlink(missing_ok)
        self.faster.append(os.open(self, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC))
        fcntl.flock(self.faster[-1], fcntl.LOCK_EX)


def test_of_two_that_pass_over_the_same_lock_one_has_it(tmp_path: Path) -> None:
    """On a file system without locks of directories: nothing else keeps them apart."""
    lock = tmp_path / "lock"
    with subprocess.Popen(["/bin/true"]) as dead, lock.open("w") as held_by:
        wait_until(lambda: proc.see(dead.pid) is None)  # and is not buried
        held_by.write(f"{dead.pid} {proc.started(dead.pid)} {boot_id()}\n")
        held_by.flush()
        fcntl.flock(held_by, fcntl.LOCK_EX)
        try:
            with pytest.raises(HeldError):
                LockFile(Contested(lock))
            assert len(Contested.faster) == 1
        finally:
            while Contested.faster:
                os.close(Contested.faster.pop())
        taken = LockFile(lock)
        assert taken.passed_over == 0
        taken.close()
