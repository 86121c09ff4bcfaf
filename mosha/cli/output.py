"""stdout and stderr of a command: whatever is at the other end, no traceback and a true status.

- A reader that goes away (`mosha status | head -1`) changes nothing: the command does what it was
  asked for and ends with its own exit status; one that would go on for ever ends (`go_on`).
- Output that cannot be written (a full disk) is an error of the host, and exit status 1.
- A closed stdout or stderr (`>&-`) is as the null device: only the exit status was asked for.
- What the locale's encoding does not have is replaced; what is no text at all is escaped.
"""

from __future__ import annotations

import io
import sys
from typing import Any, TextIO

from mosha.errors import HostError
from mosha.host.standard_streams import complete_descriptors


class ReaderGoneError(Exception):
    """Nobody reads the output of a command that would go on; not an error."""


class _Outlet(io.FileIO):
    """A standard descriptor. After an error it takes everything and writes nothing."""

    def __init__(self, fd: int, *, complains: bool) -> None:
        super().__init__(fd, "wb", closefd=False)
        self.abandoned = False
        self._complains = complains

    def write(self, data: Any, /) -> int:
        if not self.abandoned:
            try:
                return super().write(data)
            except BrokenPipeError:
                self.abandoned = True
            except OSError as error:
                self.abandoned = True
                if self._complains:
                    raise HostError(f"cannot write the output: {error.strerror}") from error
        return memoryview(data).nbytes


def prepare() -> None:
    """Make this process's standard streams keep the promises of this file."""
    complete_descriptors()
    sys.stdout = _stream(sys.stdout, complains=True)
    sys.stderr = _stream(sys.stderr, complains=False)


def _stream(old: TextIO, *, complains: bool) -> TextIO:
    try:
        outlet = _Outlet(old.fileno(), complains=complains)
    except io.UnsupportedOperation:  # a program that runs commands has put its own there
        return old
    is_utf_8 = old.encoding.lower().replace("-", "") == "utf8"
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=old.encoding,
        errors="backslashreplace" if is_utf_8 else "replace",
        line_buffering=not complains or outlet.isatty(),
    )


def go_on() -> None:
    """Write out what was printed, and raise ReaderGoneError if nobody reads it any more."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    outlet = getattr(buffer, "raw", None)
    if isinstance(outlet, _Outlet) and outlet.abandoned:
        raise ReaderGoneError
