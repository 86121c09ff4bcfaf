"""The mark of one run of clinit, which whatever comes of its children has.

A mark is 16 hexadecimal digits. Children have it in their environment (MOSHA_RUN), and without
cgroups as their limit of file locks too (RLIMIT_LOCKS). A limit is inherited by each fork and kept
by each exec, so a daemon with a session of its own, an empty environment and a parent that is gone
still has it. Linux has not looked at this limit since 2.4.25 (getrlimit(2)): any number means the
same, and nobody has a reason to change it. It takes no privilege to set, and anybody may read it,
without waiting for the process as a look at its environment does (/proc/PID/limits, proc(5)).

Part of the fork server: it imports next to nothing.
"""

from __future__ import annotations

import os

RLIMIT_LOCKS = 10
"""Of all architectures; the module `resource` does not name it."""

HIGHEST = 1 << 62
"""No limit is higher; a mark that is a greater number is in the environment alone."""

SPAN = 1 << 48
"""A limit can only be lowered: so much at most a mark is below that of a clinit around this one."""

QUIET_LOOKS = 2
"""A process may fork behind a look at all processes and be gone before the look comes to it: only
so many looks in a row without a find say that nothing is left."""

_LINE = b"\nMax file locks"
_LINE_MAX_BYTES = 80
_LIMITS_MAX_BYTES = 4096
_ZOMBIES = (b"Z", b"X", b"x")
_STATE, _THREADS = 0, 17


def draw() -> str:
    """Return a new mark, by a limit that this process may give its children if there is one."""
    hard = _hard_limit("self")
    highest = HIGHEST if hard is None else min(hard, HIGHEST)
    drawn = int.from_bytes(os.urandom(8), "big")
    if highest < 2 * SPAN:  # it would not be unique, nor could it be set
        return f"{drawn | 1 << 63:016x}"
    return f"{highest - 1 - drawn % SPAN:016x}"


def limit_of(mark: str) -> int | None:
    """Return the limit that is a mark; None if it is in the environment alone."""
    try:
        limit = int(mark, 16)
    except ValueError:  # of a record that some other version has written
        return None
    return limit if SPAN <= limit < HIGHEST else None


def has_limit(pid: int, limit: int) -> bool:
    """Say whether a living process has this limit.

    Raises:
        OSError: it is gone, or cannot be read.
    """
    return _hard_limit(pid) == limit and not _is_dead(pid)


def _hard_limit(pid: int | str) -> int | None:
    """Return the hard limit of file locks; None if there is none, or no such file."""
    try:
        text = _read(f"/proc/{pid}/limits")
    except FileNotFoundError:
        return None
    at = text.find(_LINE)
    words = text[at + len(_LINE) : at + _LINE_MAX_BYTES].split() if at >= 0 else []
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def _is_dead(pid: int) -> bool:
    """A zombie keeps its limits until it is buried."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    return not fields or (fields[_STATE] in _ZOMBIES and int(fields[_THREADS]) <= 1)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _LIMITS_MAX_BYTES)
    finally:
        os.close(fd)
