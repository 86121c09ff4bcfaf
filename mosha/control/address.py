"""Where a daemon listens: a unix socket of its owner, one daemon at a time.

The file is made 0600, whoever connects is asked for his uid besides (`server.py`). A socket
file that is already there is replaced only if nobody answers behind it (NO of C8.2).
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
    """Raise if `path` cannot be listened at because of its length or of a living daemon."""
    check_path(path)
    if answers(path):
        raise HostError(f"another daemon answers at {path}; end it first, or choose another socket")


def listen(path: Path, *, wait: bool = True) -> tuple[socket.socket, os.stat_result]:
    """Return a listening, non-blocking socket at `path`, and its file; directories are made.

    Without `wait` it is an error that somebody else is making a socket in this directory.

    Raises:
        UsageError: the path is too long, or something that is no socket is there.
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
        raise UsageError(f"{path} is there and is no socket; remove it or choose another path")
    refuse_taken(path)
    path.unlink(missing_ok=True)


def answers(path: Path) -> bool:
    """Say whether somebody listens at `path`, even if he is too busy to accept.

    A process that is only dying keeps its socket and answers nobody.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_LIMIT_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR)
        try:
            return not proc.is_dying(peer_of(probe)[0])
        except OSError:  # it cannot be looked at: it may be alive
            return True


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the process at the other end (SO_PEERCRED of unix(7))."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("iII", credentials)
    return pid, uid


def _bind(path: Path) -> tuple[socket.socket, os.stat_result]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The file gets the mode of the socket, from its first moment on. The umask, which does the
        # same, is that of all threads.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        file = path.lstat()
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener, file
