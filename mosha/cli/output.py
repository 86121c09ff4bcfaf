"""stdout and stderr of a command: no traceback and a true exit status, whatever reads them.

- A reader that goes away (`mosha status | head -1`) changes nothing: the command does its work
  and ends with its exit status; one that would go on for ever ends (`go_on`).
- Output that cannot be written (a full disk) is an error of the host, and exit status 1.
- A closed stdout or stderr (`>&-`) acts as the null device: only the exit status is wanted.
- What the locale's encoding does not have is replaced; bytes that are not text are escaped.
"""

from __future__ import annotations

import io
import sys
from typing import Any, TextIO

from mosha.errors import HostError
from mosha.host.standard_streams import complete_descriptors


class ReaderGoneError(Exception):
    """The reader of a command that would go on is gone; not an error."""


class _Outlet(io.FileIO):
    """A standard descriptor. After an error it accepts everything and writes nothing."""

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
    """Set up this process's standard streams as described above."""
    complete_descriptors()
    sys.stdout = _stream(sys.stdout, complains=True)
    sys.stderr = _stream(sys.stderr, complains=False)


def _stream(old: TextIO, *, complains: bool) -> TextIO:
    try:
        outlet = _Outlet(old.fileno(), complains=complains)
    except io.UnsupportedOperation:  # a program that calls commands has replaced them
        return old
    is_utf_8 = old.encoding.lower().replace("-", "") == "utf8"
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=old.encoding,
        errors="backslashreplace" if is_utf_8 else "replace",
        line_buffering=not complains or outlet.isatty(),
    )


def go_on() -> None:
    """Flush what was printed; raise ReaderGoneError if the reader is gone."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    outlet = getattr(buffer, "raw", None)
    if isinstance(outlet, _Outlet) and outlet.abandoned:
        raise ReaderGoneError
