"""A lock file that one process holds until it ends, and which process that is.

The lock is flock(2), which the kernel releases with the last thread of its holder. That may be long
after its death: a thread in a call to a dead mount (state D) does not end before the call does. So
the file names its holder, and a holder that is only dying is passed over. A process takes such a
lock alone in the directory: two processes that pass over the same holder would both have it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from mosha.errors import HostError
from mosha.host import proc
from mosha.host.clock import boot_id

CLINIT_LOCK = "lock"
"""The lock of a clinit in its state directory, where a monitor finds it without its socket."""

CLINIT_RECORD = "children.json"
"""What a clinit notes there of itself, and removes when it ends with nothing left behind."""

HOLDER_MAX_BYTES = 200
MODE = 0o600


class HeldError(HostError):
    """Another process holds the lock; `holder` is its pid, 0 if not known."""

    def __init__(self, path: Path, holder: int) -> None:
        super().__init__(f"{path} is locked by {f'process {holder}' if holder else 'another one'}")
        self.holder = holder


class _Named(Struct, frozen=True):
    """The holder that a lock file names."""

    pid: int
    start: int
    boot: str


class LockFile:
    """A lock that this process holds; `passed_over` is the dying one that held it, or 0."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            HeldError: a live process has it.
            OSError: the system refuses.
        """
        self.path = path
        self._fd, self.passed_over = _take(path, wait=True)

    def is_there(self) -> bool:
        """Say whether the file of this lock is still at its path.

        Raises:
            OSError: it cannot be read.
        """
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self._fd))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def restore(self) -> bool:
        """Make the file and its directory again if they are gone; return whether they were.

        Does not block, so that a running daemon may call it.

        Raises:
            HeldError: another process has made and locked it.
            OSError: the system refuses, or another process is busy in the directory.
        """
        if self.is_there():
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        former = self._fd
        try:
            self._fd, _ = _take(self.path, wait=False)
        except HeldError:
            if self.is_there():  # put back meanwhile: this process has it
                return False
            raise
        os.close(former)
        return True

    def close(self) -> None:
        """Release it now, even if threads of this process hang."""
        os.close(self._fd)


def holder_of(path: Path) -> int:
    """Return the process that a lock file names, 0 if there is none or it is dying.

    Raises:
        OSError: the file, or its process, cannot be read.
    """
    pid = _holder(path)
    return 0 if proc.is_dying(pid) else pid


def _holder(path: Path) -> int:
    try:
        named = _named(path.read_bytes()[:HOLDER_MAX_BYTES])
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if named is None or named.boot != boot_id() or proc.started(named.pid) != named.start:
        return 0
    return named.pid


@contextlib.contextmanager
def alone_in(directory: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep other daemons from taking locks and sockets in the same directory meanwhile.

    Raises:
        OSError: it cannot be opened; without `wait`, also if another process holds it.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # no locks on this file system: go on without
            yield
        else:
            yield
    finally:
        os.close(fd)


def _take(path: Path, *, wait: bool) -> tuple[int, int]:
    """Return the open and locked file, and the dying process that held it, or 0."""
    with alone_in(path.parent, wait=wait):
        dying = 0
        fd = _locked(path)
        if fd is None:
            holder = _holder(path)
            if not holder or not proc.is_dying(holder):
                raise HeldError(path, holder)
            dying = holder
            path.unlink()
            fd = _locked(path)
            if fd is None:
                raise HeldError(path, 0)
        me = _Named(os.getpid(), proc.started(os.getpid()) or 0, boot_id())
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{me.pid} {me.start} {me.boot}\n".encode("ascii"), 0)
    return fd, dying


def _locked(path: Path) -> int | None:
    """Open and lock the file, making it if needed; None if another process has it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _named(text: bytes) -> _Named | None:
    words = text.decode("ascii", "replace").split()
    if len(words) != 3 or not (words[0].isdecimal() and words[1].isdecimal()):
        return None
    return _Named(int(words[0]), int(words[1]), words[2])
