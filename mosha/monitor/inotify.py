"""inotify(7): the kernel tells when something in a directory changes.

Not by watchfiles: it asks its own queue every `step`, which at 10 ms is three quarters of a
percent of a core for nothing, more than all the rest of an idle monitor. This waits in the
event loop's own epoll: no thread, no tick, and a rename is heard of within a millisecond.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from enum import IntFlag
from pathlib import Path
from typing import NamedTuple

_LIBC = ctypes.CDLL(None, use_errno=True)
_HEADER = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, len

READ_BYTES = 1 << 16
"""Some 2000 events with short names; what is left is read the next time."""


class Mask(IntFlag):
    """The bits of inotify(7) that mosha uses."""

    CLOSE_WRITE = 0x8
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    UNMOUNT = 0x2000
    OVERFLOW = 0x4000  # events were lost; of no particular directory
    IGNORED = 0x8000  # the directory is watched no more
    ONLYDIR = 0x0100_0000


class Event(NamedTuple):
    """Something happened to `name` in the directory that is watched as number `watch`."""

    watch: int
    mask: Mask
    name: str


class Inotify:
    """One instance of inotify. Calls may come from any thread.

    Raises:
        OSError: EMFILE when the user has too many (fs.inotify.max_user_instances, 128).
    """

    def __init__(self) -> None:
        self._fd: int = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _error("inotify_init")

    def fileno(self) -> int:
        """Return what is readable when there are events."""
        return self._fd

    def add(self, directory: Path, mask: Mask) -> int:
        """Watch a directory and return the number of the watch.

        The number is of the directory itself, not of its path: the same one each time, and
        another one when a new directory took its place.

        Raises:
            OSError: ENOSPC when there are too many (fs.inotify.max_user_watches).
        """
        bits = int(mask | Mask.ONLYDIR)
        watch: int = _LIBC.inotify_add_watch(self._fd, os.fsencode(directory), bits)
        if watch < 0:
            raise _error(str(directory))
        return watch

    def remove(self, watch: int) -> None:
        """Watch no more. Nothing happens if the directory is gone already."""
        _LIBC.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Event]:
        """Return what happened since, nothing if nothing did. Does not wait."""
        try:
            return list(_events(os.read(self._fd, READ_BYTES)))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Give the instance back, with all its watches. Late calls of a thread fail."""
        fd, self._fd = self._fd, -1
        os.close(fd)


def _events(data: bytes) -> Iterator[Event]:
    start = 0
    while start < len(data):
        watch, bits, _cookie, length = _HEADER.unpack_from(data, start)
        start += _HEADER.size
        # The name is padded with zeros; the kernel sends no half events.
        name = data[start : start + length].rstrip(b"\0")
        start += length
        yield Event(watch, Mask(bits), os.fsdecode(name))


def _error(place: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), place)
