"""The log on a descriptor, mostly stderr: a text stream that neither blocks nor raises.

The reader of a pipe may end or stall, a terminal may be paused or closed, the file system of a
regular file may be full or frozen (fsfreeze, a dead server). That must not affect a daemon: a
thread does the writing (`line_queue.py`); what cannot be written is lost and counted.

Several daemons share a regular file, and not all opened it at the same time or with `>>`: a stream
appends to it, however it was opened.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import io
import os
import select
import stat
import sys
from collections import deque
from collections.abc import Iterator

from mosha.host.line_queue import LineQueue

STDERR = 2
QUEUE_MAX_BYTES = 8 << 20
"""How much waits for a reader that does not read; some ten thousand lines."""

CLOSE_LIMIT_S = 1.0
# Writes of two daemons into one pipe are not mixed up to this size (PIPE_BUF of pipe(7)).
PIECE_BYTES = 4096
# A regular file accepts each write whole.
FILE_PIECE_BYTES = 1 << 20


class LogStream(io.TextIOBase):
    """A text file, as far as a log needs one, on a descriptor; `subject` names it in messages."""

    def __init__(self, fd: int, subject: str) -> None:
        super().__init__()
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self.lines = LineQueue(subject, self._put, max_bytes=QUEUE_MAX_BYTES)
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        if is_file:
            # Without it (`2> FILE`) this process would write at an offset of its own, over what
            # another daemon has appended since: a monitor that was restarted beside its clinit.
            # The flag is of the open file: all that inherited this descriptor append too.
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
        self._piece_bytes = FILE_PIECE_BYTES if is_file else PIECE_BYTES
        self._torn = False  # a line was written in part

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The log is UTF-8, whatever the locale."""
        return "utf-8"

    @property
    def trouble(self) -> str:
        """What is wrong at this moment, for the status; "" if no line is lost."""
        return self.lines.trouble

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._fd)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, /) -> int:
        """Take lines in: nothing is waited for, nothing is raised."""
        self.lines.write(text)
        return len(text)

    def drain(self, limit_s: float = CLOSE_LIMIT_S) -> None:
        """Write what is queued, for at most `limit_s`; the process is about to end."""
        self.lines.close(limit_s)

    # --- the thread ------------------------------------------------------------------------

    def _put(self, lines: list[bytes]) -> None:
        gap, lost = self.lines.gap()
        rest = deque(_pieces(lines, self._piece_bytes))
        try:
            if gap:
                self._write(gap)
                self.lines.found(lost)
            while rest:
                self._write(rest[0])
                rest.popleft()
        except OSError as error:  # the reader is gone, or the disk is full
            self.lines.lose(list(rest), error.strerror or str(error))

    def _write(self, data: bytes) -> None:
        rest = memoryview(b"\n" + data if self._torn else data)
        while rest:
            try:
                count = os.write(self._fd, rest[: self._piece_bytes])
            except BlockingIOError:  # another process that shares it has set O_NONBLOCK
                self._poll.poll()
                continue
            self._torn = rest[count - 1] != 0x0A
            rest = rest[count:]


def _pieces(lines: list[bytes], most: int) -> Iterator[bytes]:
    """Yield chunks of whole lines of at most `most` bytes, unless one line is longer."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > most:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


@functools.cache
def of_stderr() -> LogStream:
    """Return the stream of this process's stderr; it is flushed before the process ends."""
    stream = LogStream(STDERR, "stderr")
    atexit.register(stream.drain)
    return stream


def take_stderr() -> LogStream:
    """Send everything that this process writes to stderr through its stream; return that.

    Including tracebacks, warnings of libraries and messages of asyncio: none of them may block or
    end a daemon.
    """
    stream = of_stderr()
    sys.stderr = stream
    return stream
