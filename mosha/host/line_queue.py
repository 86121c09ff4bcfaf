"""Lines to a destination that may not accept them: a bounded queue and a thread.

The writer of a line never waits. The thread may: for a reader that stalls, for a terminal that is
paused (Ctrl-S), for a frozen file system. What does not fit into the queue meanwhile is dropped and
counted, and the count is logged as soon as possible: with the next line, or by itself, as it is
tried periodically.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

Gap = Callable[[int, str], bytes]
"""Makes the line that stands for lost ones, from their number and the reason."""

RETRY_S = 1.0

NOT_IN_TIME = "it does not take them in time"


class LineQueue:
    """A queue of lines, and the thread that empties it.

    Args:
        subject: where the lines go, for people; also the name of the thread.
        put: called in the thread with lines, or with none if only the number of lost ones is to be
            written; reports lines that it loses to `lose`.
        max_bytes: how much may wait, including what is being written.
        retry_s: how long after a failure writing the number of lost lines is tried again.
    """

    def __init__(
        self,
        subject: str,
        put: Callable[[list[bytes]], None],
        *,
        max_bytes: int,
        retry_s: float = RETRY_S,
    ) -> None:
        self.subject = subject
        self.max_bytes = max_bytes
        self.gap_line: Gap = json_gap
        self.lost = 0
        self.queued_bytes = 0
        self.news = threading.Condition()
        self._put = put
        self._retry_s = retry_s
        self._reason = ""
        self._queue: deque[bytes] = deque()
        self._busy = False
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        """Whether everything that was queued has been written or counted as lost."""
        with self.news:
            return not self._queue and not self._busy

    @property
    def trouble(self) -> str:
        """What is wrong now, for the status; "" if no line is being lost."""
        if not self.lost:
            return ""
        return f"lines of the log are lost: {self.subject}: {self._reason or NOT_IN_TIME}"

    def write(self, text: str) -> None:
        """Queue lines: never waits, never raises."""
        data = text.encode("utf-8", "backslashreplace")
        with self.news:
            if self.queued_bytes + len(data) > self.max_bytes:
                self.lost += _lines(data)
                return
            self._queue.append(data)
            self.queued_bytes += len(data)
            if self._thread is None:
                self._start()
            self.news.notify()

    def lose(self, lines: list[bytes], reason: str) -> None:
        """Record that lines could not be written, and why."""
        with self.news:
            self.lost += sum(map(_lines, lines))
            self._reason = reason

    def gap(self) -> tuple[bytes, int]:
        """Return the line to write before all others, and how many lost ones it stands for."""
        with self.news:
            lost, reason = self.lost, self._reason
        return (self.gap_line(lost, reason or NOT_IN_TIME) if lost else b""), lost

    def found(self, lost: int) -> None:
        """Record that the line about that many lost ones has been written."""
        with self.news:
            self.lost -= lost
            if not self.lost:
                self._reason = ""

    def close(self, limit_s: float) -> None:
        """Write what is queued, for at most `limit_s`; later lines are not written."""
        with self.news:
            self._closing = True
            self.news.notify()
        if self._thread is not None:
            self._thread.join(limit_s)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name=self.subject, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no threads left: the next line tries again
            self._thread = None
            self._reason = str(error)

    def _serve(self) -> None:
        # Signals are for the main thread. SIGTTOU, if the terminal is another job's, would stop it.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            with self.news:
                self._busy = False
                while not self._queue and not self._closing:
                    if not self.news.wait(self._retry_s if self.lost else None) and self.lost:
                        break
                if not self._queue and self._closing:
                    break
                # What collects meanwhile is written in one go.
                lines = list(self._queue)
                self._queue.clear()
                self._busy = True
            self._put(lines)
            with self.news:
                self.queued_bytes -= sum(map(len, lines))


def _lines(data: bytes) -> int:
    return data.count(b"\n") or 1


def json_gap(lost: int, reason: str) -> bytes:
    """Return the line about lost ones as JSON, like all lines of the log."""
    stamp = datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    text = reason.replace("\\", "/").replace('"', "'")
    return (
        f'{{"lines": {lost}, "reason": "{text}", "event": "output_dropped", '
        f'"level": "warning", "timestamp": "{stamp}"}}\n'
    ).encode("utf-8", "backslashreplace")
