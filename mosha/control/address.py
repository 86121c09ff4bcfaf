"""Where a daemon listens: a unix socket of its owner, one daemon at a time.

The file is made 0600, whoever connects is asked for his uid besides (`server.py`). A socket
file that is already there is replaced only if nobody answers behind it (NO of C8.2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from mosha.errors import HostError, UsageError

PATH_MAX_BYTES = 107
"""`sun_path` of unix(7) has 108 bytes, and the last one is the NUL."""

BACKLOG = 128
PROBE_LIMIT_S = 1.0


def check_path(path: Path) -> None:
    """Raise UsageError if no unix socket can have this path."""
    length = len(os.fsencode(path))
    if length > PATH_MAX_BYTES:
        raise UsageError(
            f"socket path too long: {path} has {length} bytes, "
            f"a unix socket's path at most {PATH_MAX_BYTES}; choose a shorter directory"
        )


def refuse_taken(path: Path) -> None:
    """Raise if `path` cannot be listened at because of its length or of a living daemon."""
    check_path(path)
    if answers(path):
        raise HostError(f"another daemon answers at {path}; end it first, or choose another socket")


def listen(path: Path) -> socket.socket:
    """Return a listening, non-blocking socket at `path`; directories are made.

    Raises:
        UsageError: the path is too long, or something that is no socket is there.
        HostError: a daemon answers there already, or the system refuses.
    """
    check_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            _remove_stale(path)
            return _bind(path)
    except OSError as error:
        raise HostError(f"cannot listen at {path}: {error.strerror}") from error


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other daemons from probing and binding in the same directory meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: as good as it gets
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{path} is there and is no socket; remove it or choose another path")
    refuse_taken(path)
    path.unlink(missing_ok=True)


def answers(path: Path) -> bool:
    """Say whether somebody listens at `path`, even if he is too busy to accept."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_LIMIT_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR)
    return True


def _bind(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode is right from the first moment: bind applies the umask.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the process that connected or listens there (SO_PEERCRED, unix(7))."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("iII", credentials)
    return pid, uid
