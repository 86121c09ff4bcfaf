"""The processes that an action has started: found by descent, and killed.

A process that works with agents is the subreaper of all that they start (PR_SET_CHILD_SUBREAPER,
prctl(2)): what loses its parent becomes its child. So everything that an action has started is
below the action's own process, or is a child of this one that was none before the action. The marks
of `host/marks.py` would not do: below clinit they would take the place of clinit's own.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

ROUNDS_MAX = 50
"""Processes may fork while they are being killed; nothing outruns this many rounds."""

QUIET_ROUNDS = 2
"""A process may fork behind a scan: only so many scans in a row without a find mean the end."""

DEATH_LIMIT_S = 2.0
"""A process that hangs in the kernel does not die; do not wait for it."""

PAUSE_S = 0.01

_PR_SET_CHILD_SUBREAPER = 36
_STATE, _PARENT = 0, 1
_DEAD = (b"Z", b"X", b"x")
_GONE = (FileNotFoundError, ProcessLookupError)
_STAT_MAX_BYTES = 4096
_CHILDREN_BYTES = 1 << 20
"""A whole list: a smaller piece could end within a number."""


class Kin:
    """One process; a dead one is not reaped yet."""

    __slots__ = ("dead", "parent", "pid")

    def __init__(self, pid: int, parent: int, *, dead: bool) -> None:
        self.pid = pid
        self.parent = parent
        self.dead = dead


def adopt_orphans() -> None:
    """Become the parent of each descendant of this process that loses its own.

    Raises:
        OSError: the kernel refuses.
    """
    word = ctypes.c_ulong
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, word, word, word, word, use_errno=True)
    prctl = kind(("prctl", ctypes.CDLL(None, use_errno=True)))
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def reap(running: Collection[int] = ()) -> bool:
    """Bury the dead children except those `running`, whose ends others wait for; say if any."""
    found = False
    for pid in children() - set(running) if running else {-1}:
        try:
            while os.waitpid(pid, os.WNOHANG)[0]:
                found = True
        except ChildProcessError:  # there are none, or none any more
            continue
    return found


def children() -> set[int]:
    """Return the children of this process, dead ones too."""
    found: set[int] = set()
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - pathlib would be the biggest
        try:
            fd = os.open(f"/proc/self/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
        except _GONE:  # a kernel without CONFIG_PROC_CHILDREN, or the thread has ended
            me = os.getpid()
            return {kin.pid for kin in _all().values() if kin.parent == me}
        try:
            while data := os.read(fd, _CHILDREN_BYTES):
                found.update(map(int, data.split()))
        finally:
            os.close(fd)
    return found


def alive_below() -> list[int]:
    """Return the live descendants of this process."""
    return [kin.pid for kin in below(os.getpid(), _all()) if not kin.dead]


def kill_action(leader: int, before: Collection[int]) -> bool:
    """Kill a child, which is not reaped yet, and all that it has started; say if that succeeded.

    `before` are the children that this process had before. What is left alive hangs in the kernel.
    """
    return _kill_all(lambda: [kin.pid for kin in _of_action(leader, before) if not kin.dead])


def kill_below() -> bool:
    """Kill all descendants of this process; say if none is left alive."""
    return _kill_all(alive_below)


def _kill_all(alive: Callable[[], list[int]]) -> bool:
    quiet = 0
    until = time.monotonic() + DEATH_LIMIT_S
    for _ in range(ROUNDS_MAX):
        pids = alive()
        quiet = 0 if pids else quiet + 1
        if quiet == QUIET_ROUNDS:
            return True
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if pids:
            if time.monotonic() > until:
                return False
            time.sleep(PAUSE_S)
    return False


def _of_action(leader: int, before: Collection[int]) -> list[Kin]:
    table, me = _all(), os.getpid()
    adopted = {kin.pid for kin in table.values() if kin.parent == me} - set(before)
    tops = (adopted | {leader}) & table.keys()
    return [*(table[pid] for pid in tops), *(kin for pid in tops for kin in below(pid, table))]


def below(top: int, table: dict[int, Kin]) -> list[Kin]:
    """Return the descendants of a process, parents before their children."""
    children: dict[int, list[Kin]] = {}
    for kin in table.values():
        children.setdefault(kin.parent, []).append(kin)
    found: list[Kin] = []
    pending = [top]
    while pending:
        mine = children.get(pending.pop(), [])
        found += mine
        pending += [kin.pid for kin in mine]
    return found


def _all() -> dict[int, Kin]:
    names = os.listdir("/proc")  # noqa: PTH208 - pathlib would be the biggest import here
    seen = (_see(int(name)) for name in names if name.isdigit())
    return {kin.pid: kin for kin in seen if kin is not None}


def _see(pid: int) -> Kin | None:
    """Return a process, None if it is gone (proc_pid_stat(5))."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except _GONE:
        return None
    try:
        fields = os.read(fd, _STAT_MAX_BYTES).rpartition(b") ")[2].split()
    except _GONE:
        return None
    finally:
        os.close(fd)
    return Kin(pid, int(fields[_PARENT]), dead=fields[_STATE] in _DEAD) if fields else None
