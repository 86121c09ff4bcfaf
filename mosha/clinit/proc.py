"""What /proc says of processes (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")
ZOMBIES = frozenset({"Z", "X", "x"})


class Seen(Struct, frozen=True):
    """One living process; `start` (clock ticks since boot) tells it from one of the same pid."""

    pid: int
    parent: int
    session: int
    start: int


def see(pid: int) -> Seen | None:
    """Return a process, None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes().decode("ascii", "replace")
    except OSError:
        return None
    # The name is in brackets and may contain anything, brackets too.
    fields = text[text.rindex(")") + 2 :].split()
    if fields[0] in ZOMBIES:
        return None
    return Seen(pid, int(fields[1]), int(fields[3]), int(fields[19]))


def see_all() -> dict[int, Seen]:
    """Return all living processes of the machine that can be seen."""
    pids = (int(name) for name in os.listdir(PROC) if name.isdecimal())  # noqa: PTH208 - by far the fastest
    return {pid: seen for pid in pids if (seen := see(pid)) is not None}


def descendants(of: int, processes: dict[int, Seen]) -> list[Seen]:
    """Return the processes below `of`, parents before their children."""
    children: dict[int, list[Seen]] = {}
    for seen in processes.values():
        children.setdefault(seen.parent, []).append(seen)
    found: list[Seen] = []
    pending = [of]
    while pending:
        below = children.pop(pending.pop(), [])
        found += below
        pending += [seen.pid for seen in below]
    return found


def children() -> list[int]:
    """Return the children of this process, zombies too, adopted orphans too."""
    pid = os.getpid()
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_bytes()
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return [seen.pid for seen in see_all().values() if seen.parent == pid]
    return [int(word) for word in text.split()]


def environment(pid: int) -> dict[str, str]:
    """Return the environment a process was started with; empty if it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    pairs = (item.partition("=") for item in text.split("\0"))
    return {name: value for name, _, value in pairs}


def command_line(pid: int) -> str:
    """Return the command line of a process for people; empty if it is gone."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return text.decode("utf-8", "replace").replace("\0", " ").strip()


def session_of(pid: int) -> int | None:
    """Return the session of a process; None if it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return None
