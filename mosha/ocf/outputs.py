"""What an action prints: its standard output and its standard error, read as they come.

The end of an action is not the end of its output: the service that it has started may hold the
pipes. They are closed nevertheless; agents are written for that.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

PIPE_BYTES = 1 << 16
PIECES_MAX = 64
"""How often a pipe is read after the end of an action, whose service may go on writing to it."""

LINE_MAX_BYTES = 4096
KEPT_MAX_BYTES = 512 << 10
"""How much of a standard output is kept: more than the longest metadata that is accepted."""


class ActionOutput:
    """One output: read whole, or line by line."""

    def __init__(self, takes_line: Callable[[str], None] | None) -> None:
        self.whole = b""
        self._takes_line = takes_line
        self._rest = b""
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)

    @property
    def reader(self) -> int:
        """The descriptor to poll."""
        return self._reader

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        self.close_writer()
        os.close(self._reader)

    def close_writer(self) -> None:
        """Close the end of the action: it has its own."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def read(self) -> bool:
        """Take what can be read now; say whether more may come."""
        data = self._piece()
        if data:
            self._take(data)
        return data != b""

    def read_rest(self) -> None:
        """Take what is there at the end of an action, a last line without its end too."""
        for _ in range(PIECES_MAX):
            data = self._piece()
            if not data:
                break
            self._take(data)
        if self._rest:
            self._take(b"\n")

    def _piece(self) -> bytes | None:
        """Return what can be read, nothing at the end, None if there is nothing yet."""
        try:
            return os.read(self._reader, PIPE_BYTES)
        except BlockingIOError:
            return None

    def _take(self, data: bytes) -> None:
        if self._takes_line is None:
            self.whole += data[: KEPT_MAX_BYTES - len(self.whole)]
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_MAX_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            text = line[:LINE_MAX_BYTES].decode("utf-8", "replace").rstrip()
            if text:
                self._takes_line(text)
