"""The socket on which the processes of a run say that they are ready: sd_notify(3), received.

Each run has a socket of its own, so what a process of a former run says late is not heard. It is in
the abstract namespace: no directory keeps processes of other users from it, and nothing is left of
it. The kernel says who has sent a message (SCM_CREDENTIALS, unix(7)).

`READY=1` and `STATUS=` are understood, `X_DEGRADED=1` and `STOPPING=1` of what runs an agent
(`ocf/wrapper.py`), and `BARRIER=1` by what it needs: the descriptors that come with a message are
closed when it has been handled. Everything else is ignored, as the manual page demands.
"""

from __future__ import annotations

import array
import asyncio
import os
import secrets
import socket
import struct
from collections.abc import Callable

from msgspec import Struct

MESSAGE_MAX_BYTES = 4096
"""As much as the service manager of systemd reads; of a longer message nothing is used."""

STATUS_MAX_CHARS = 200
FDS_MAX = 16
"""Room for so many descriptors; the kernel closes the others."""

BATCH_MAX = 16
PAUSE_S = 0.05
"""After a batch of messages the loop does other work: who talks without end is kept waiting."""

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(
    FDS_MAX * array.array("i").itemsize
)


class Notification(Struct, frozen=True):
    """What a message says: that the run is ready, and what it does now (None: nothing of that).

    `degraded`, with a status: it works, and something is wrong with it. `stopping`: it has failed.
    """

    ready: bool = False
    status: str | None = None
    degraded: bool = False
    stopping: bool = False


class NotifySocket:
    """The open socket of one run; close it when the run has ended."""

    def __init__(self, heard: Callable[[int, Notification], None]) -> None:
        """Open it; call `heard` with the pid of the sender, 0 if hidden, and its message.

        Raises:
            OSError: the host has no descriptor left.
        """
        self.address = f"@mosha/{secrets.token_hex(8)}"
        """The value of NOTIFY_SOCKET."""

        self._heard = heard
        self._pause: asyncio.TimerHandle | None = None
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_UNIX, kind)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(f"\0{self.address[1:]}")
        except OSError:
            self._socket.close()
            raise
        self._listen()

    def close(self) -> None:
        """Stop listening."""
        if self._pause is not None:
            self._pause.cancel()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _listen(self) -> None:
        self._pause = None
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        for _ in range(BATCH_MAX):
            try:
                text, ancillary, flags, _ = self._socket.recvmsg(
                    MESSAGE_MAX_BYTES, _ROOM, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            sender, fds = _read_ancillary(ancillary)
            try:
                if not flags & socket.MSG_TRUNC:
                    self._heard(sender, read_notification(text))
            finally:
                for fd in fds:
                    os.close(fd)
            if self._socket.fileno() < 0:  # what it said has ended its run
                return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        self._pause = loop.call_later(PAUSE_S, self._listen)


def read_notification(text: bytes) -> Notification:
    """Return what a message says; any bytes are a message, though perhaps of nothing."""
    ready, status, degraded, stopping = False, None, False, False
    for line in text.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition("=")
        if name == "READY" and value == "1":
            ready = True
        elif name == "X_DEGRADED" and value == "1":
            degraded = True
        elif name == "STOPPING" and value == "1":
            stopping = True
        elif name == "STATUS":
            printable = "".join(c if c.isprintable() else " " for c in value)
            status = " ".join(printable.split())[:STATUS_MAX_CHARS]
    return Notification(ready, status, degraded, stopping)


def _read_ancillary(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, list[int]]:
    """Return the pid of the sender, and the descriptors that came with the message."""
    sender, fds = 0, array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            sender = _CREDENTIALS.unpack_from(data)[0]
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return sender, list(fds)
