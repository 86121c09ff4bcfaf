"""Where clinit's log lines go: a descriptor that is never waited for.

Whoever reads clinit's stderr may be stopped, and a terminal may be held. A blocked write
would then keep clinit from its deadlines, so lines that cannot be written now are kept, and
beyond a bound dropped and counted.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
from collections import deque

from mosha import logs

# A pipe that polls as writable takes so much without blocking (PIPE_BUF of pipe(7)).
PIECE_BYTES = 4096
KEPT_MAX_BYTES = 1 << 20


class LogSink:
    """A text file, as far as the log needs one, on a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._dropped = 0
        self._waiting = False

    def isatty(self) -> bool:
        """Whether people read it directly."""
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        """Write, or keep, or drop."""
        line = text.encode("utf-8", "backslashreplace")
        if self._kept_bytes + len(line) > KEPT_MAX_BYTES:
            self._dropped += 1
            return len(text)
        self._kept.append(line)
        self._kept_bytes += len(line)
        self._write_kept()
        return len(text)

    def flush(self) -> None:
        """Do nothing: each write is as far as it can get."""

    def _write_kept(self) -> None:
        while self._kept:
            if not self._is_file and not self._poll.poll(0):
                self._wait()
                return
            line = self._kept.popleft()
            piece = line if self._is_file else line[:PIECE_BYTES]
            try:
                written = os.write(self._fd, piece)
            except BlockingIOError:
                written = 0
            except OSError:  # nobody reads it any more, or the disk is full: no log, but a service
                written = len(line)
            self._kept_bytes -= written
            if written < len(line):
                self._kept.appendleft(line[written:])
        self._stop_waiting()

    def _wait(self) -> None:
        if self._waiting:
            return
        try:
            asyncio.get_running_loop().add_writer(self._fd, self._write_kept)
        except RuntimeError:  # no loop yet, or no more: the next line tries again
            return
        self._waiting = True

    def _stop_waiting(self) -> None:
        if self._waiting:
            asyncio.get_running_loop().remove_writer(self._fd)
            self._waiting = False
        if self._dropped:
            lines, self._dropped = self._dropped, 0
            logs.get().warning("output_dropped", lines=lines, reason="the log is read too slowly")
