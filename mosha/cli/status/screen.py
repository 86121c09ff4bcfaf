"""A terminal to draw on: taken over, drawn line by line, and always restored.

Nothing waits for a terminal that accepts nothing (Ctrl-S, a window that hangs): what cannot be
drawn at once is skipped, and drawn with the next lines.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import termios
from collections.abc import Sequence
from typing import Any, TextIO

ENTER = b"\x1b[?1049h\x1b[?25l"  # the other screen of the terminal, no cursor (xterm)
LEAVE = b"\x1b[?25h\x1b[?1049l"
GIVE_BACK_MS = 200
"""How long to wait for a terminal that accepts nothing: it may never come back."""


class Screen:
    """The terminal behind `out`, and behind `source` if its input is wanted.

    Raises:
        OSError: from all methods but `leave`, if the terminal is gone.
    """

    def __init__(self, out: TextIO, source: TextIO | None) -> None:
        self._out = out.fileno()
        self._encoding = out.encoding
        self.source = source.fileno() if source is not None and source.isatty() else None
        self._modes: list[Any] | None = None
        self._shown: list[str] = []
        self._taken = False

    def enter(self) -> None:
        """Take over the terminal, also once more: keys come one by one and are not echoed."""
        if self.source is not None:
            try:
                self._modes = self._modes or termios.tcgetattr(self.source)
                termios.tcsetattr(self.source, termios.TCSANOW, _one_by_one(self._modes))
            except termios.error as error:
                raise OSError(*error.args) from error
        self._taken = self._put(ENTER, 0)
        self._shown = []

    def leave(self) -> None:
        """Restore the terminal; one that is gone or accepts nothing is left alone."""
        with contextlib.suppress(OSError):
            self._put(LEAVE, GIVE_BACK_MS)
        self._taken, self._shown = False, []
        if self.source is not None and self._modes is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.source, termios.TCSANOW, self._modes)
            self._modes = None

    def size(self) -> tuple[int, int]:
        """Return its columns and lines."""
        found = os.get_terminal_size(self._out)
        return found if all(found) else shutil.get_terminal_size()

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, each as wide as the terminal; only those that changed are written."""
        self._taken = self._taken or self._put(ENTER, 0)
        if not self._taken:
            return
        changed = [
            f"\x1b[{row};1H{line}"
            for row, line in enumerate(lines, 1)
            if row > len(self._shown) or self._shown[row - 1] != line
        ]
        data = "".join(changed).encode(self._encoding, "replace")
        self._shown = list(lines) if not changed or self._put(data, 0) else []

    def forget(self) -> None:
        """Draw all lines next time: another program has drawn, or the size has changed."""
        self._shown = []

    def _put(self, data: bytes, limit_ms: int) -> bool:
        """Write all; return False if the terminal does not accept it within `limit_ms`."""
        poll = select.poll()
        poll.register(self._out, select.POLLOUT)
        rest = memoryview(data)
        while rest:
            if not any(event & select.POLLOUT for _, event in poll.poll(limit_ms)):
                return False
            rest = rest[os.write(self._out, rest[:512]) :]
        return True


def _one_by_one(modes: list[Any]) -> list[Any]:
    """Return terminal modes that pass on each key at once and echo none, termios(3)."""
    changed = [*modes]
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    changed[6] = [*modes[6]]
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    return changed
