"""Processes in /proc (proc(5)).

Only ENOENT and ESRCH mean that a process is gone. Any other error (no descriptor is left, it is
hidden) is raised: a process that cannot be seen may be alive.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")
STOPPED = frozenset({b"T", b"t"})
ZOMBIES = frozenset({b"Z", b"X", b"x"})
PIECE_BYTES = 1 << 16

_NAME_END = b") "
_STATE, _PARENT, _GROUP, _SESSION, _FLAGS, _THREADS, _START = 0, 1, 2, 3, 6, 17, 19
_FORKED_ONLY = 0x40
"""PF_FORKNOEXEC of the kernel's include/linux/sched.h."""
_EXITING = 0x4
"""PF_EXITING of the flags: it will never return to its program."""
_SIGKILL_BIT = 1 << 8


class LiveProcess(Struct, frozen=True):
    """One live process; `start` (clock ticks since boot) tells it from a later one with its pid."""

    pid: int
    parent: int
    group: int
    session: int
    start: int


def see(pid: int) -> LiveProcess | None:
    """Return a process, None if it is gone or a zombie.

    One whose first thread has ended appears as a zombie, but lives as long as another thread does.

    Raises:
        OSError: it cannot be read.
    """
    fields = _stat(pid)
    if fields is None or (fields[_STATE] in ZOMBIES and int(fields[_THREADS]) <= 1):
        return None
    return _seen(pid, fields)


def is_stopped(pid: int) -> bool:
    """Say whether a process is stopped until a SIGCONT (Ctrl-Z, SIGSTOP, a debugger).

    Raises:
        OSError: it cannot be read.
    """
    fields = _stat(pid)
    return fields is not None and fields[_STATE] in STOPPED


def has_executed(pid: int) -> bool:
    """Say whether a process has executed a program since it was forked; works for zombies too.

    Raises:
        OSError: it cannot be read.
    """
    fields = _stat(pid)
    return fields is None or not int(fields[_FLAGS]) & _FORKED_ONLY


def see_all() -> dict[int, LiveProcess]:
    """Return all live processes of the machine, except those hidden from this user."""
    found: dict[int, LiveProcess] = {}
    for pid in _pids():
        try:
            seen = see(pid)
        except PermissionError:  # hidepid=1 (proc(5))
            continue
        if seen is not None:
            found[pid] = seen
    return found


def children_by_search(parent: int) -> list[int]:
    """Return the children of a process, zombies too, by a search of all processes.

    For kernels without CONFIG_PROC_CHILDREN; `Descendants` uses the kernel's list.
    """
    stats = ((pid, _stat(pid)) for pid in _pids())
    return [pid for pid, fields in stats if fields is not None and int(fields[_PARENT]) == parent]


def started(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot), zombies too; None if it is gone.

    Raises:
        OSError: it cannot be read.
    """
    fields = _stat(pid)
    return None if fields is None else int(fields[_START])


def is_dying(pid: int) -> bool:
    """Say whether each thread of a process has ended, is ending, or is being killed.

    Such a process no longer runs its program; but it keeps its locks and sockets as long as one
    of its threads is in a call that does not return. False if it is gone.

    Raises:
        OSError: it cannot be read.
    """
    threads = _threads(pid)
    return bool(threads) and all(_is_dying_thread(pid, thread) for thread in threads or ())


def _is_dying_thread(pid: int, thread: int) -> bool:
    place = f"/proc/{pid}/task/{thread}"
    stat, status = _stat_in(place), read(f"{place}/status")
    if stat is None or status is None or stat[_STATE] in ZOMBIES:
        return True
    if int(stat[_FLAGS]) & _EXITING:
        return True
    words = dict(line.split(b":", 1) for line in status.splitlines() if b":" in line)
    return any(int(words[name], 16) & _SIGKILL_BIT for name in (b"SigPnd", b"ShdPnd"))


def descendants(of: int, processes: dict[int, LiveProcess]) -> list[LiveProcess]:
    """Return the processes below `of`, parents before their children."""
    children: dict[int, list[LiveProcess]] = {}
    for seen in processes.values():
        children.setdefault(seen.parent, []).append(seen)
    found: list[LiveProcess] = []
    pending = [of]
    while pending:
        below = children.pop(pending.pop(), [])
        found += below
        pending += [seen.pid for seen in below]
    return found


def children_of(pid: int) -> list[int] | None:
    """Return the children of all threads of a process, zombies too, as the kernel lists them.

    None if it is gone, or if the kernel has no such list.
    """
    threads = _threads(pid)
    if threads is None:
        return None
    found: list[int] = []
    for thread in threads:
        text = read(f"/proc/{pid}/task/{thread}/children")
        if text is None and thread == pid:
            return None
        found += map(int, (text or b"").split())
    return found


def _threads(pid: int) -> list[int] | None:
    task = f"/proc/{pid}/task"
    try:
        # A directory has a link per subdirectory, and two more: a fifth of the cost of a listing.
        if os.stat(task).st_nlink <= 3:  # noqa: PTH116 - by far the fastest
            return [pid]
        return [int(name) for name in os.listdir(task)]  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError):
        return None


def environment(pid: int) -> dict[str, str]:
    """Return the environment a process was started with; empty if it is gone or cannot be read.

    This may wait for the memory lock of a hanging process: do not call it in the event loop.
    """
    try:
        text = read(f"/proc/{pid}/environ")
        if not text:  # its first thread has ended: the others still have it
            text = next(
                filter(None, (read(f"/proc/{pid}/task/{t}/environ") for t in _rest(pid))), b""
            )
    except PermissionError:
        return {}
    pairs = (item.partition("=") for item in text.decode("utf-8", "replace").split("\0") if item)
    return {name: value for name, _, value in pairs}


def _rest(pid: int) -> list[int]:
    return [thread for thread in _threads(pid) or () if thread != pid]


def command_line(pid: int) -> str:
    """Return the command line of a process for people; empty if it is gone.

    This may wait, as `environment` does.
    """
    text = read(f"/proc/{pid}/cmdline")
    return (text or b"").decode("utf-8", "replace").replace("\0", " ").strip()


def name(pid: int) -> str:
    """Return the name of a process's program, cut at 15 bytes; empty if it is gone."""
    return (read(f"/proc/{pid}/comm") or b"").decode("utf-8", "replace").strip()


def session_of(pid: int) -> int | None:
    """Return the session of a process; None if it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def read(path: str) -> bytes | None:
    """Return a file of /proc, None if its process is gone.

    Raises:
        OSError: it cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return read_on(fd)
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return None


def read_on(fd: int) -> bytes:
    """Return what there is to read up to the end."""
    text = piece = os.read(fd, PIECE_BYTES)
    while piece:
        piece = os.read(fd, PIECE_BYTES)
        text += piece
    return text


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdecimal()]  # noqa: PTH208 - by far the fastest


def _stat(pid: int) -> list[bytes] | None:
    return _stat_in(f"/proc/{pid}")


def _stat_in(place: str) -> list[bytes] | None:
    text = read(f"{place}/stat")
    # The name is in brackets and may contain anything, brackets too.
    return None if not text else text[text.rindex(_NAME_END) + len(_NAME_END) :].split()


def _seen(pid: int, fields: list[bytes]) -> LiveProcess:
    parent, group, session = (int(fields[at]) for at in (_PARENT, _GROUP, _SESSION))
    return LiveProcess(pid, parent, group, session, int(fields[_START]))
