"""The last lines that an entry printed: what an operator wants first when it ends.

Kept as bytes and split into lines only on request, so that an entry that floods costs no more.
"""

from __future__ import annotations

from mosha.formats.letters import whole
from mosha.formats.names import one_line

KEPT_BYTES = 2048
"""Per run, for the current and the previous one: enough for `LINES_MAX` ordinary lines."""

LINES_MAX = 10


class Tail:
    """The last output of one entry, of its current run and the previous one."""

    def __init__(self) -> None:
        self._before = b""
        self._now = b""
        self._stream = ""
        self._term = 0

    def begin(self, term: int = 0) -> None:
        """Begin a new run. A run that printed nothing does not displace the one before.

        What was printed under another term is forgotten: the group was stopped since, and may have
        run elsewhere. Without a monitor there is no term (0).
        """
        if term not in (0, self._term):
            self._before = self._now = b""
            self._term = term
        self._before, self._now = self._now or self._before, b""

    def take(self, stream: str, chunk: bytes) -> None:
        """Add output of a pipe; a line that the other pipe interrupts is cut there."""
        if stream != self._stream and self._now and not self._now.endswith(b"\n"):
            self._now += b"\n"
        self._stream = stream
        self._now = (self._now + chunk[-KEPT_BYTES:])[-KEPT_BYTES:]

    @property
    def last_line(self) -> str:
        """The last line of the current run that is not blank, "" if there is none."""
        return next(iter(_lines(self._now)[-1:]), "")

    def lines(self, count: int = LINES_MAX) -> tuple[str, ...]:
        """Return the last lines, the oldest first, each without control characters and bounded."""
        found = _lines(self._now)
        if len(found) < count:
            found = _lines(self._before) + found
        return tuple(found[-count:])


def _lines(kept: bytes) -> list[str]:
    lines = whole(kept).split(b"\n")
    if len(kept) >= KEPT_BYTES and len(lines) > 1:
        del lines[0]  # its beginning is missing
    text = (one_line(line.decode("utf-8", "backslashreplace")) for line in lines)
    return [line for line in text if line]
