"""Reads a log file while it grows, is rotated and is truncated: no line is lost or doubled.

Rotation by rename (`FILE` -> `FILE.1` -> `FILE.2`) is followed file by file, however many have
come since the last check: the successor of the file being read is found by its place among the
numbered ones. What a late writer still appends to a rotated file is read too. A truncated file
(copytruncate) is recognised by its size, or by different bytes before the current position.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from mosha.errors import HostError, UsageError

CHUNK_BYTES = 1 << 18

LINE_MAX_BYTES = 1 << 20
"""A longer line is passed on in parts: memory must stay bounded."""

LATE_S = 10.0
"""How long a rotated file is still read: its writer may not have noticed the rotation yet."""

LATE_MAX = 16
TAIL_BYTES = 64
FIND_TRIES = 20

UNNAMED_S = 1.0
"""How long a file may have no known name; a rotation takes a thousandth of it."""


class Splitter:
    """Splits chunks into whole lines; an unfinished line is kept."""

    def __init__(self) -> None:
        self.rest = b""

    def lines(self, chunk: bytes) -> list[bytes]:
        """Return the lines that are complete now."""
        whole = (self.rest + chunk).split(b"\n")
        self.rest = whole.pop()
        if len(self.rest) > LINE_MAX_BYTES:
            whole.append(self.rest)
            self.rest = b""
        return whole

    def last(self) -> list[bytes]:
        """Return the rest at the end: a last line without a line end counts."""
        rest, self.rest = self.rest, b""
        return [rest] if rest else []


class _Late(Struct):
    """A rotated file, read until `until` (seconds of monotonic time)."""

    fd: int
    splitter: Splitter
    until: float


class FileSource:
    """The lines of a file. `follow`: and all that are added. `history`: rotated files first.

    Raises:
        UsageError: there is no such file.
        HostError: it cannot be read.
    """

    def __init__(self, path: Path, *, follow: bool = False, history: bool = False) -> None:
        self.ended = False
        self.at_end = False
        self._path = path
        self._follow = follow
        self._chain = follow or history
        self._splitter = Splitter()
        self._late: list[_Late] = []
        self._tail = b""
        self._position = 0
        self._unnamed_since: float | None = None
        oldest = max(_rotated(path), default=(0, path))[1] if history else path
        self._fd = _open(oldest)

    def fileno(self) -> int | None:
        """Return None: a growing file cannot be polled."""
        return None

    def read(self) -> list[bytes]:
        """Return the next lines, none if there is nothing new."""
        found = self._read_late() if self._late else []
        # Checked before reading: what was written until then is read from the old file.
        replaced = self._chain and self._is_replaced()
        if self._follow and self.at_end and self._is_cut():
            found += self._splitter.last()
            self._seek_start()
        chunk = os.read(self._fd, CHUNK_BYTES)
        if chunk:
            # Reading is not urgent: what is added meanwhile is read in one go.
            self.at_end = self._follow and len(chunk) < CHUNK_BYTES and not replaced
            self._position += len(chunk)
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
            return found + self._splitter.lines(chunk)
        if replaced and self._go_on():
            return found
        self.at_end = True
        if not self._follow and not replaced:
            self.ended = True
            found += self._splitter.last()
            self.close()
        return found

    def close(self) -> None:
        """Close all open files."""
        for late in self._late:
            os.close(late.fd)
        self._late.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- rotation ------------------------------------------------------------------------

    def _is_replaced(self) -> bool:
        try:
            return _identity(self._path.stat()) != _identity(os.fstat(self._fd))
        except OSError:  # between the two steps of a rotation
            return False

    def _go_on(self) -> bool:
        """Switch to the file that was begun after this one; return whether it was found."""
        successor = self._successor()
        if successor is None:
            return False
        self._late.append(_Late(self._fd, self._splitter, time.monotonic() + LATE_S))
        self._fd, self._splitter = successor, Splitter()
        self._position, self._tail, self.at_end = 0, b"", False
        return True

    def _successor(self) -> int | None:
        own = _identity(os.fstat(self._fd))
        for _ in range(FIND_TRIES):
            place = next((n for n, path in _rotated(self._path) if _is(path, own)), 0)
            if place == 0 and not self._may_go_to_the_newest():
                continue
            deleted = place == 0 and not os.fstat(self._fd).st_nlink
            if place > 1:
                name = _numbered(self._path, place - 1)
            elif deleted:  # with all older ones, so the oldest is next
                name = max(_rotated(self._path), default=(0, self._path))[1]
            else:
                name = self._path
            try:
                fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # in the middle of a rotation
            # If this file still has its place, nothing moved between the two checks.
            steady = place == 0 or _is(_numbered(self._path, place), own)
            if steady and _identity(os.fstat(fd)) != own:
                self._unnamed_since = None
                return fd
            os.close(fd)
        return None

    def _may_go_to_the_newest(self) -> bool:
        """Say whether a file that has no numbered name is gone, and not just being renamed.

        A directory that is read during a rotation may not list a file under any name. One that
        is missing for longer was deleted, or renamed to something else.
        """
        if not os.fstat(self._fd).st_nlink:
            return True
        now = time.monotonic()
        if self._unnamed_since is None:
            self._unnamed_since = now
        return now - self._unnamed_since >= UNNAMED_S

    def _read_late(self) -> list[bytes]:
        found: list[bytes] = []
        now = time.monotonic()
        for late in list(self._late):
            while chunk := os.read(late.fd, CHUNK_BYTES):
                found += late.splitter.lines(chunk)
            if now >= late.until or len(self._late) > LATE_MAX or not self._follow:
                found += late.splitter.last()
                os.close(late.fd)
                self._late.remove(late)
        return found

    # --- truncation ----------------------------------------------------------------------

    def _is_cut(self) -> bool:
        """Say whether the bytes before the current position have changed."""
        size = os.fstat(self._fd).st_size
        if size < self._position:
            return True
        if size == self._position:
            return False
        return os.pread(self._fd, len(self._tail), self._position - len(self._tail)) != self._tail

    def _seek_start(self) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._position, self._tail = 0, b""


def _open(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except OSError as error:
        raise HostError(f"{path}: cannot be read: {error.strerror}") from error
    if path.is_dir():
        os.close(fd)
        raise UsageError(f"{path}: Is a directory")
    return fd


def _rotated(path: Path) -> Iterator[tuple[int, Path]]:
    """Yield the rotated files with their numbers, the newest first."""
    pattern = re.compile(re.escape(path.name) + r"\.([1-9]\d{0,5})")
    try:
        others = list(path.parent.iterdir())
    except OSError:
        return
    numbers = (int(match[1]) for other in others if (match := pattern.fullmatch(other.name)))
    for number in sorted(numbers):
        yield number, _numbered(path, number)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return (facts.st_dev, facts.st_ino)


def _is(path: Path, identity: tuple[int, int]) -> bool:
    try:
        return _identity(path.stat()) == identity
    except OSError:
        return False
