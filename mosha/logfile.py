"""A log file that rotates itself by size, for machines without journald.

Lines are handed to a thread of its own, so a slow disk holds up nobody; what it cannot take
in time is dropped and counted. A file that cannot be written (a full disk, a directory that
is not there) is told once on stderr and tried again; it never stops the daemon.

    mosha.log  mosha.log.1  mosha.log.2 …     the newest first, `keep` old ones
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

QUEUE_MAX_BYTES = 8 << 20
"""So much waits for a disk that does not write; some ten thousand lines."""

RETRY_S = 1.0
MODE = 0o640  # what services write may be in it


class LogFile:
    """A text file, as far as a log needs one.

    Args:
        path: the file; what is there already is continued.
        max_bytes: no line makes it longer than this, if the line itself is not.
        keep: how many old ones stay beside it.
        retry_s: how long after a failure it is tried again.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, retry_s: float = RETRY_S) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep
        self._retry_s = retry_s
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._dropped = 0
        self._told = ""
        self._fd = -1
        self._size = 0
        self._torn = False  # a line was written in part: the next one begins a new one
        self._again_at = 0.0
        self._news = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Take lines in: nothing is waited for."""
        data = text.encode("utf-8", "backslashreplace")
        with self._news:
            if self._queued_bytes + len(data) > QUEUE_MAX_BYTES:
                self._dropped += data.count(b"\n")
                return len(text)
            self._queue.append(data)
            self._queued_bytes += len(data)
            if self._thread is None:
                self._start()
            self._news.notify()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def isatty(self) -> bool:
        """Say that no people read it directly."""
        return False

    def close(self, limit_s: float = 1.0) -> None:
        """Write what is queued, for `limit_s` at most; nothing is taken in after this."""
        with self._news:
            self._closing = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(limit_s)

    def words(self) -> list[str]:
        """Return the options by which clinit writes such a file beside this one."""
        words = ["--log-file", str(beside(self.path, "clinit"))]
        return [*words, "--log-max-bytes", str(self.max_bytes), "--log-keep", str(self.keep)]

    # --- the thread ------------------------------------------------------------------------

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="log file", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no threads left: the next line tries again
            self._thread = None
            self._tell(str(error))

    def _serve(self) -> None:
        while True:
            with self._news:
                while not self._queue and not self._closing:
                    self._news.wait()
                if not self._queue:
                    break
                # What gathers while the disk is slow is written in one go.
                lines = list(self._queue)
                self._queue.clear()
                self._queued_bytes = 0
            self._put(lines)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _put(self, lines: list[bytes]) -> None:
        batch: list[bytes] = []
        size = 0
        for line in lines:
            if batch and self._size + size + len(line) > self.max_bytes:
                self._append(batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        self._append(batch)

    def _append(self, lines: list[bytes]) -> None:
        """Write lines into one file, or drop them."""
        if self._again_at > time.monotonic():
            self._drop(lines)
            return
        data = b"".join(lines)
        try:
            self._make_room(len(data))
            written = self._write_all(data)
        except OSError as error:
            self._again_at = time.monotonic() + self._retry_s
            self._tell(error.strerror or str(error))
            self._drop(lines)
            return
        if written:
            self._told = ""

    def _write_all(self, data: bytes) -> bool:
        lead = b"\n" if self._torn else b""
        if self._dropped:
            lead += self._gap()
        rest = memoryview(lead + data)
        while rest:
            count = os.write(self._fd, rest)
            self._size += count
            self._torn = rest[count - 1] != 0x0A
            rest = rest[count:]
        with self._news:
            self._dropped = 0
        return True

    def _gap(self) -> bytes:
        """Return the line that stands for those that were dropped."""
        stamp = datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
        reason = f"the log could not be written{': ' if self._told else ''}{self._told}"
        told = reason.replace("\\", "/").replace('"', "'")
        return (
            f'{{"lines": {self._dropped}, "reason": "{told}", "event": "output_dropped", '
            f'"level": "warning", "timestamp": "{stamp}"}}\n'
        ).encode("utf-8", "backslashreplace")

    def _drop(self, lines: list[bytes]) -> None:
        with self._news:
            self._dropped += sum(line.count(b"\n") for line in lines)

    def _tell(self, reason: str) -> None:
        """Say once on stderr, for each reason, that the log cannot be written."""
        if reason == self._told:
            return
        self._told = reason
        told = (
            f"mosha: cannot write the log {self.path}: {reason}; lines are lost until it can be\n"
        )
        with contextlib.suppress(OSError):  # nobody is there to be told
            os.write(
                sys.__stderr__.fileno() if sys.__stderr__ else 2, told.encode(errors="replace")
            )

    # --- rotation --------------------------------------------------------------------------

    def _make_room(self, more: int) -> None:
        """Open the file, or change to a new one if it is full or has been taken away."""
        if self._fd >= 0 and self._is_gone():
            os.close(self._fd)
            self._fd = -1
        if self._fd < 0:
            self._open()
        if self._size and self._size + more > self.max_bytes:
            self._rotate()

    def _is_gone(self) -> bool:
        """Say whether somebody else moved the file away, or removed it (logrotate)."""
        own = os.fstat(self._fd)
        self._size = own.st_size
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return True
        return (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        self._fd = os.open(self.path, flags, MODE)
        self._size = os.fstat(self._fd).st_size
        self._torn = False
        if self._size:
            with contextlib.suppress(OSError), self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                self._torn = file.read(1) != b"\n"

    def _rotate(self) -> None:
        """Move the file to `.1`, `.1` to `.2` and so on; the oldest goes."""
        for number in range(self.keep, 0, -1):
            younger = self._numbered(number - 1) if number > 1 else self.path
            with contextlib.suppress(FileNotFoundError):
                younger.rename(self._numbered(number))
        os.close(self._fd)
        self._fd = -1
        self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def beside(path: Path, who: str) -> Path:
    """Return the log file of another daemon: `mosha.log` -> `mosha-clinit.log`.

    Two processes never write one file: whose turn would it be to rotate it?
    """
    return path.with_name(f"{path.stem}-{who}{path.suffix}")
