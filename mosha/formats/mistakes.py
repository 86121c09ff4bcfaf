"""The mistakes in a file that a person wrote: where, what, and what would be right.

All mistakes of a file are reported at once. Whatever the bytes are, parsing them ends in a result
or in `Mistakes`, in a time that is bounded by the sizes below.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mosha.errors import UsageError
from mosha.formats.letters import whole

FILE_MAX_BYTES = 1 << 20
"""No table that people maintain by hand comes near a mebibyte."""

LINE_MAX_BYTES = 64 << 10
"""Longer commands belong in scripts; exec itself refuses an argument of 128 KiB."""

MISTAKES_MAX = 50
"""More are counted but not listed: people do not read them, and a wrong file may have 100 000."""

TEXT_MAX_CHARS = 60
"""How much of the offending text a mistake shows."""

BLANKS = " \t\r\v\f"
"""What is trimmed around fields. `\\r` is for files that came through Windows."""


class Mistake(Struct, frozen=True):
    """One mistake. Lines and columns (in characters) count from 1; line 0 is the whole file."""

    file: str
    line: int
    column: int
    text: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return ``FILE:LINE:COL: problem: 'text'; remedy``."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        shown = f": {self.text!r}" if self.text else ""
        return f"{place}: {self.problem}{shown}; {self.remedy}"


class Mistakes(UsageError):  # noqa: N818 - "MistakesError" would say it twice
    """All mistakes of a file; `str` has one line each.

    `mistakes` holds the first MISTAKES_MAX of them, `total` says how many there are.
    """

    def __init__(self, mistakes: tuple[Mistake, ...], total: int | None = None) -> None:
        self.mistakes = mistakes[:MISTAKES_MAX]
        self.total = len(mistakes) if total is None else total
        lines = [str(mistake) for mistake in self.mistakes]
        if self.total > len(lines):
            lines.append(f"and {self.total - len(lines)} more")
        super().__init__("\n".join(lines))


class Findings:
    """Collects the mistakes of one file while it is parsed."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.total = 0
        self._mistakes: list[Mistake] = []

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The mistakes, in the order of lines and columns, at most MISTAKES_MAX."""
        return tuple(sorted(self._mistakes, key=lambda found: (found.line, found.column)))

    def add(self, line: int, column: int, text: str, problem: str, remedy: str) -> None:
        """Add a mistake; `text` may be of any length."""
        self.total += 1
        if self.total <= MISTAKES_MAX:
            shown = text if len(text) <= TEXT_MAX_CHARS else text[: TEXT_MAX_CHARS - 1] + "…"
            self._mistakes.append(Mistake(self.file, line, column, shown, problem, remedy))

    def raise_if_any(self) -> None:
        """Raise `Mistakes` if anything was found."""
        if self.total:
            raise Mistakes(self.mistakes, self.total)


def readable_lines(
    data: bytes,
    findings: Findings,
    file_max_bytes: int = FILE_MAX_BYTES,
    line_max_bytes: int = LINE_MAX_BYTES,
) -> Iterator[tuple[int, str]]:
    """Yield (number, text) of each readable line, without its line feed.

    A line that is too long, is not UTF-8 or has a NUL becomes a mistake in `findings`; a file that
    is too big yields nothing. A last line without line feed counts (C1.3).
    """
    if len(data) > file_max_bytes:
        line = data.count(b"\n", 0, file_max_bytes) + 1
        problem = f"the file is too big: {len(data)} bytes"
        findings.add(line, 1, "", problem, f"at most {file_max_bytes} bytes are read")
        return
    start = 0
    number = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        text = None
        if end - start <= line_max_bytes:
            text = _readable(number, data[start:end], findings)
        else:
            head = whole(data[start : start + TEXT_MAX_CHARS]).decode("utf-8", "replace")
            problem = f"the line is too long: {end - start} bytes"
            findings.add(number, 1, head, problem, f"a line has at most {line_max_bytes} bytes")
        if text is not None:
            yield number, text
        start = end + 1


def _readable(number: int, raw: bytes, findings: Findings) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode("utf-8")
        bad = raw[error.start : error.start + TEXT_MAX_CHARS].decode("utf-8", "backslashreplace")
        findings.add(number, len(good) + 1, bad, "not UTF-8", "save the file as UTF-8")
        return None
    if "\0" in text:
        at = text.index("\0")
        findings.add(number, at + 1, text[at:], "a NUL byte", "remove it: this is a text file")
        return None
    if number == 1 and text.startswith("\ufeff"):
        remedy = "save the file as UTF-8 without a byte order mark"
        findings.add(number, 1, text, "a byte order mark", remedy)
        return None
    return text
