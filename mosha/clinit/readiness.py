"""When a run of an entry is ready: it says so, it listens on a port, or a file has its pid.

`Readiness` of `core.tables` says what is awaited. What a run says of itself comes by its socket
(`notify_socket.py`). Nothing tells of a port or of a file, wherever that is: both are looked at
again and again, soon at first and every half second later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mosha.core.tables import Readiness, ReadyKind
from mosha.host.abandonable import Abandonable
from mosha.host.files import read_head

FIRST_LOOK_S = 0.02
LAST_LOOK_S = 0.5
READ_LIMIT_S = 1.0
PID_FILE_MAX_BYTES = 32

LISTEN = b"0A"
"""TCP_LISTEN in /proc/net/tcp, which has all sockets that listen before all others (proc(5))."""

TCP_FILES = ("/proc/net/tcp", "/proc/net/tcp6")


async def until_ready(
    awaited: Readiness, is_own: Callable[[int], bool], looking: Abandonable
) -> None:
    """Return when the port or the pid file shows that the run is ready.

    `is_own` says whether a process belongs to the entry; a pid file is read by `looking`, because
    its file system may hang.
    """
    pause_s = FIRST_LOOK_S
    while not await _is_ready(awaited, is_own, looking):
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LAST_LOOK_S)


async def _is_ready(
    awaited: Readiness, is_own: Callable[[int], bool], looking: Abandonable
) -> bool:
    try:
        if awaited.kind is ReadyKind.PORT:
            return listens(awaited.port)
        pid = await looking.run(partial(read_pid, Path(awaited.path)), READ_LIMIT_S)
        return is_own(pid)
    except OSError:  # not there yet, not readable, no descriptor left: none of that says ready
        return False


def listens(port: int) -> bool:
    """Say whether a socket of this network namespace listens on a TCP port, at any address.

    Raises:
        OSError: that cannot be read.
    """
    return any(_listens_in(path, port) for path in TCP_FILES)


def _listens_in(path: str, port: int) -> bool:
    wanted = b":%04X" % port
    try:
        with open(path, "rb") as table:  # noqa: PTH123 - pathlib costs as much as the read
            next(table, b"")  # its heading
            for line in table:
                _, address, _, state, *_ = line.split(maxsplit=4)
                if state != LISTEN:
                    return False
                if address.endswith(wanted):
                    return True
    except FileNotFoundError:  # this kernel has no IPv6
        return False
    return False


def read_pid(path: Path) -> int:
    """Return the number in the first line of a pid file, 0 if there is none.

    Raises:
        OSError: it cannot be read.
    """
    first = read_head(path, PID_FILE_MAX_BYTES).partition(b"\n")[0].strip()
    return int(first) if first.isdigit() else 0
