"""Where a daemon listens: a unix socket private to its user, one daemon at a time.

The file has mode 0600, and the uid of each client is checked as well (`server.py`). An existing
socket file is replaced only if no daemon answers behind it (NO of C8.2).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from pathlib import Path

from mosha.errors import HostError, UsageError
from mosha.host import proc
from mosha.host.lock_file import alone_in

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
    """Raise if `path` cannot be used because of its length or a running daemon."""
    check_path(path)
    if answers(path):
        raise HostError(f"another daemon answers at {path}; end it first, or choose another socket")


def listen(path: Path, *, wait: bool = True) -> tuple[socket.socket, os.stat_result]:
    """Return a listening, non-blocking socket at `path`, and its file; make its directories.

    Without `wait` it is an error if another process is making a socket in this directory.

    Raises:
        UsageError: the path is too long, or has something that is not a socket.
        HostError: a daemon answers there already, or the system refuses.
    """
    check_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(path.parent, wait=wait):
            _remove_stale(path)
            return _bind(path)
    except OSError as error:
        raise HostError(f"cannot listen at {path}: {error.strerror}") from error


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{path} exists and is not a socket; remove it or choose another path")
    refuse_taken(path)
    path.unlink(missing_ok=True)


def answers(path: Path) -> bool:
    """Say whether a daemon listens at `path`, even if it is too busy to accept.

    A dying process keeps its socket for a moment, but does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_LIMIT_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR)
        try:
            return not proc.is_dying(peer_of(probe)[0])
        except OSError:  # unknown: it may be alive
            return True


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the process at the other end (SO_PEERCRED of unix(7))."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("iII", credentials)
    return pid, uid


def _bind(path: Path) -> tuple[socket.socket, os.stat_result]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The file gets the mode of the socket from the first moment on. The umask would do the
        # same, but it is shared by all threads.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        file = path.lstat()
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener, file
