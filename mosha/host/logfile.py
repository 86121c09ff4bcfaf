"""A log file that rotates itself by size, for machines without journald.

Lines go to a separate thread, so a slow disk blocks nothing; what it cannot accept in time is
dropped and counted. A file that cannot be written (a full disk, a missing directory) is reported
once on stderr and tried again; it never stops the daemon.

    mosha.log  mosha.log.1  mosha.log.2 …     the newest first, `keep` old ones
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from mosha.host.line_queue import RETRY_S, LineQueue
from mosha.host.log_stream import of_stderr

QUEUE_MAX_BYTES = 8 << 20
"""How much waits for a disk that does not write; some ten thousand lines."""

MODE = 0o640  # it may contain the output of services


class LogFile:
    """A text file, as far as a log needs one.

    Args:
        path: the file; an existing one is appended to.
        max_bytes: no line makes it longer than this, unless the line itself is longer.
        keep: how many old ones stay beside it.
        retry_s: how long after a failure it is tried again.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, retry_s: float = RETRY_S) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep
        self._retry_s = retry_s
        queue = LineQueue(str(path), self._put, max_bytes=QUEUE_MAX_BYTES, retry_s=retry_s)
        self.lines = queue
        self._told = ""
        self._fd = -1
        self._size = 0
        self._torn = False  # a line was written in part: the next one starts on a new line
        self._again_at = 0.0

    @property
    def trouble(self) -> str:
        """What is wrong at this moment, for the status; "" if no line is lost."""
        return self.lines.trouble

    def write(self, text: str) -> int:
        """Queue lines without waiting."""
        self.lines.write(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def isatty(self) -> bool:
        """Return False: it is not a terminal."""
        return False

    def close(self, limit_s: float = 1.0) -> None:
        """Write what is queued, for at most `limit_s`; later lines are not written."""
        self.lines.close(limit_s)
        if self.lines.idle and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def words(self) -> list[str]:
        """Return the options for clinit to write such a file beside this one."""
        words = ["--log-file", str(beside(self.path, "clinit"))]
        return [*words, "--log-max-bytes", str(self.max_bytes), "--log-keep", str(self.keep)]

    # --- the thread ------------------------------------------------------------------------

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
        """Append lines to the file, or drop them."""
        if self._again_at > time.monotonic():
            self.lines.lose(lines, self._told)
            return
        data = b"".join(lines)
        try:
            self._make_room(len(data))
            self._write_all(data)
        except OSError as error:
            reason = error.strerror or str(error)
            self._again_at = time.monotonic() + self._retry_s
            self._tell(reason)
            self.lines.lose(lines, reason)
        else:
            self._told = ""

    def _write_all(self, data: bytes) -> None:
        gap, lost = self.lines.gap()
        rest = memoryview((b"\n" if self._torn else b"") + gap + data)
        while rest:
            count = os.write(self._fd, rest)
            self._size += count
            self._torn = rest[count - 1] != 0x0A
            rest = rest[count:]
        self.lines.found(lost)

    def _tell(self, reason: str) -> None:
        """Report on stderr, once per reason, that the log cannot be written."""
        if reason == self._told:
            return
        self._told = reason
        of_stderr().write(
            f"mosha: cannot write the log {self.path}: {reason}; lines are lost until it can be\n"
        )

    # --- rotation --------------------------------------------------------------------------

    def _make_room(self, more: int) -> None:
        """Open the file, or a new one if it is full or has been removed."""
        if self._fd >= 0 and self._is_gone():
            os.close(self._fd)
            self._fd = -1
        if self._fd < 0:
            self._open()
        if self._size and self._size + more > self.max_bytes:
            self._rotate()

    def _is_gone(self) -> bool:
        """Say whether another program renamed or removed the file (logrotate)."""
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
        """Rename the file to `.1`, `.1` to `.2` and so on; the oldest is removed."""
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

    Two processes never write one file: they could not agree on its rotation.
    """
    return path.with_name(f"{path.stem}-{who}{path.suffix}")
