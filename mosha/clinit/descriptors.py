"""File descriptors: as many as the host allows, with spares for ending processes.

clinit holds three descriptors for each running entry, and one for each client. When none is left
it must still be able to read a cgroup, to signal and to kill: so a few are reserved, and released
for a moment for a function that needs them (`with_spare`).
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")

SPARES = 4
"""Reading a cgroup takes one descriptor at a time, a signal two."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})

ENOUGH = 1024
"""How many files a process may usually open (getrlimit(2), systemd.exec(5)): more than it needs."""

_spares: list[int] = []


class NoDescriptorThereError(OSError):
    """Descriptors ran out in another process; the text names it and its limit."""

    def __init__(self, name: str, pid: int) -> None:
        text = f"{os.strerror(errno.EMFILE)}: {name} (process {pid}) "
        try:
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        except ProcessLookupError:
            text += "has ended"
        else:
            text += f"may open {soft} files (hard limit {hard})"
        remedy = f"raise its limit: prlimit --nofile={ENOUGH} --pid {pid}"
        super().__init__(errno.EMFILE, f"{text}; {remedy}")


def raise_limit() -> tuple[int, int]:
    """Raise the soft limit of open files to the hard one, hold spares; return the former limits.

    systemd starts services with a soft limit of 1024, for programs that use select(2)
    (`man systemd.exec`, LimitNOFILE): children get the former limits back.
    """
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (former[1], former[1]))
    hold_spares()
    return former


def hold_spares() -> None:
    """Open the spares, or as many as possible at the moment."""
    while len(_spares) < SPARES:
        try:
            _spares.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno in EXHAUSTED:
                return
            raise


def with_spare(function: Callable[[], ResultT]) -> ResultT:
    """Call `function` and return its result; if no descriptor is left, lend it the spares.

    Raises:
        OSError: what `function` raises otherwise.
    """
    try:
        return function()
    except OSError as error:
        if error.errno not in EXHAUSTED or not _spares:
            raise
    while _spares:
        os.close(_spares.pop())
    try:
        return function()
    finally:
        hold_spares()


def explained(error: OSError) -> str:
    """Return the text of an error; if descriptors ran out, with the limit and the remedy."""
    text = error.strerror or str(error)
    if error.errno == errno.EMFILE and not isinstance(error, NoDescriptorThereError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return (
            f"{text}: clinit may open {soft} files (hard limit {hard}) and needs 3 for each"
            " running entry; raise LimitNOFILE= of its unit, or ulimit -Hn"
        )
    if error.errno == errno.ENFILE:
        return f"{text}: the machine's limit; raise fs.file-max"
    return text
