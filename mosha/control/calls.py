"""One request, one reply, without an event loop: for command lines."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from mosha.control.address import check_path, peer_of
from mosha.control.protocol import AnyMessage, Reply
from mosha.errors import HostError
from mosha.host.proc import is_stopped

CALL_LIMIT_S = 10.0
NOTICE_S = 1.0
"""How long people wait for a daemon before a command says that it waits."""

CHUNK_BYTES = 1 << 16

ReplyT = TypeVar("ReplyT")


class NoAnswerError(HostError):
    """No daemon listens at the socket, or it does not answer in time (exit status 3)."""


class HungDaemonError(NoAnswerError):
    """A daemon listens but does not answer in time; `pid` is its process, 0 if not known.

    `stopped`: it is stopped until a SIGCONT.
    """

    def __init__(self, text: str, pid: int = 0, *, stopped: bool = False) -> None:
        super().__init__(text)
        self.pid, self.stopped = pid, stopped


class NotAllowedError(NoAnswerError):
    """The socket is another user's: it cannot be asked (exit status 3)."""


def call(path: Path, request: AnyMessage, limit_s: float = CALL_LIMIT_S) -> Reply:
    """Send one request to the clinit at `path` and return its reply; see `call_for`."""
    return call_for(path, request, Reply, limit_s)


def call_for(
    path: Path,
    request: AnyMessage,
    reply_type: type[ReplyT],
    limit_s: float = CALL_LIMIT_S,
    on_wait: Callable[[int], None] | None = None,
) -> ReplyT:
    """Send one request to the daemon at `path` and return its reply.

    `on_wait` is called with the daemon's pid (0: not known) if the reply takes `NOTICE_S`.

    Raises:
        UsageError: the path is too long for a socket.
        NoAnswerError: no daemon, or no reply within `limit_s`.
        HostError: the daemon's answer cannot be parsed, or the system refuses.
    """
    check_path(path)
    deadline = time.monotonic() + limit_s
    pid = 0
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(limit_s)
            connection.connect(str(path))
            pid, _uid = peer_of(connection)
            connection.sendall(msgspec.json.encode(request) + b"\n")
            notice = partial(on_wait, pid) if on_wait else None
            line = _read_line(connection, deadline, notice)
    except TimeoutError:
        stopped = bool(pid) and is_stopped(pid)
        text = f"the daemon at {path} did not answer in {limit_s:g} s"
        raise HungDaemonError(text, pid, stopped=stopped) from None
    except (FileNotFoundError, ConnectionError) as error:
        raise NoAnswerError(f"no daemon answers at {path}: {error.strerror}") from error
    except PermissionError as error:
        raise NotAllowedError(f"cannot talk to {path}: {error.strerror}") from error
    except OSError as error:
        raise HostError(f"cannot talk to {path}: {error.strerror}") from error
    if not line:
        raise NoAnswerError(f"the daemon at {path} closed the connection without an answer")
    try:
        return msgspec.json.decode(line, type=reply_type)
    except msgspec.MsgspecError as error:
        raise HostError(f"the answer of {path} makes no sense: {error}") from error


def _read_line(
    connection: socket.socket, deadline: float, notice: Callable[[], None] | None
) -> bytes:
    received = bytearray()
    patient = notice is not None and deadline - time.monotonic() > NOTICE_S
    if notice and patient and not select.select([connection], [], [], NOTICE_S)[0]:
        notice()
    while not received.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        chunk = connection.recv(CHUNK_BYTES)
        if not chunk:
            return b""
        received += chunk
    return bytes(received)
