"""The mark of one run of clinit, or of one shot, which all descendants of its children carry.

A mark is 16 hexadecimal digits. Children of clinit have it in their environment (MOSHA_RUN), and
without cgroups also as their limit of file locks (RLIMIT_LOCKS). A limit is inherited by each fork
and kept across each exec, so a daemon with its own session, an empty environment and a dead parent
still has it. Linux has ignored this limit since 2.4.25 (getrlimit(2)): any number means the same,
and no program has a reason to change it. Setting it takes no privilege, and any user may read it,
without waiting for the process as with its environment (/proc/PID/limits, proc(5)).

Part of the fork server: it imports next to nothing.
"""

from __future__ import annotations

import os

RLIMIT_LOCKS = 10
"""The same on all architectures; the module `resource` does not have it."""

HIGHEST = 1 << 62
"""No limit is higher; a mark that is a greater number is only in the environment."""

SPAN = 1 << 48
"""Limits can only be lowered: how far at most a mark is below that of an enclosing clinit."""

KIN_BITS = 16
"""How much of a mark tells two of one kin apart."""

QUIET_LOOKS = 2
"""A process may fork behind a scan of all processes and be gone before the scan reaches it: only
this many scans in a row without a find mean that nothing is left."""

_LINE = b"\nMax file locks"
_LINE_MAX_BYTES = 80
_LIMITS_MAX_BYTES = 4096
_ZOMBIES = (b"Z", b"X", b"x")
_STATE, _THREADS = 0, 17


def draw(kin: int = 0) -> str:
    """Return a new mark, usable as a limit of this process's children if possible.

    Marks of one `kin`, a number below 2**32 that is not 0, can be told from others (`kin_of`).
    """
    highest = _highest()
    drawn = int.from_bytes(os.urandom(8), "big")
    if highest < 2 * SPAN:  # it would not be unique, nor could it be set
        return f"{drawn | 1 << 63:016x}"
    if kin:
        drawn = kin << KIN_BITS | drawn % (1 << KIN_BITS)
    return f"{highest - 1 - drawn % SPAN:016x}"


def _highest() -> int:
    hard = _hard_limit("self")
    return HIGHEST if hard is None else min(hard, HIGHEST)


def kin_of(pid: int) -> int:
    """Return the kin of the mark of a live process, 0 if it has no mark that this one could draw.

    Raises:
        OSError: it is gone, or cannot be read.
    """
    limit = _hard_limit(pid)
    drawn = _highest() - 1 - limit if limit is not None else SPAN
    return 0 if not 0 <= drawn < SPAN or _is_dead(pid) else drawn >> KIN_BITS


def limit_of(mark: str) -> int | None:
    """Return the limit for a mark; None if the mark is only in the environment."""
    try:
        limit = int(mark, 16)
    except ValueError:  # from a record that another version has written
        return None
    return limit if SPAN <= limit < HIGHEST else None


def has_limit(pid: int, limit: int) -> bool:
    """Say whether a live process has this limit.

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
    """Say whether a process is a zombie, which keeps its limits until it is reaped."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    return not fields or (fields[_STATE] in _ZOMBIES and int(fields[_THREADS]) <= 1)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _LIMITS_MAX_BYTES)
    finally:
        os.close(fd)
