"""What a terminal shows: the few sequences that mosha writes, and none that it does not know.

Two screens as xterm has them: of the shell, and the other one that programs draw on.
"""

from __future__ import annotations

import re

TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(\r|\n|\x07)|([^\x1b\x00-\x1f]+)", re.DOTALL)


class Emulator:
    """A screen of letters, each with the attributes that it was written with."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.other = False
        self.cursor_shown = True
        self.cleared = 0
        self._rest = ""
        self._shell: list[list[tuple[str, str]]] = []
        self._begin()

    def _begin(self) -> None:
        self._cells = [[(" ", "")] * self.columns for _ in range(self.lines)]
        self._row = self._column = 0
        self._style = ""

    def resize(self, columns: int, lines: int) -> None:
        """Have another size; what was there stays where it was, as far as there is room."""
        kept = [
            [*row[:columns], *[(" ", "")] * (columns - len(row))] for row in self._cells[:lines]
        ]
        self._cells = kept + [[(" ", "")] * columns for _ in range(lines - len(kept))]
        self.columns, self.lines = columns, lines
        self._row, self._column = min(self._row, lines - 1), min(self._column, columns - 1)

    def text(self) -> list[str]:
        """Return the lines without blanks at their ends."""
        return ["".join(letter for letter, _ in row).rstrip() for row in self._cells]

    def styles(self, row: int) -> set[str]:
        """Return the attributes of the letters of a line."""
        return {style for letter, style in self._cells[row] if letter != " "}

    def write(self, data: str) -> None:
        """Take in what a program writes; a sequence that is cut off is kept for the next part."""
        self._rest += data
        while match := TOKEN.match(self._rest):
            self._rest = self._rest[match.end() :]
            self._obey(*match.groups())
        unknown = self._rest and not re.fullmatch(r"\x1b(\[[?0-9;]*)?", self._rest)
        assert not unknown, f"a sequence that nobody knows: {self._rest[:20]!r}"

    def _obey(
        self, numbers: str | None, final: str | None, control: str | None, text: str | None
    ) -> None:
        if text is not None:
            for letter in text:
                self._put(letter)
        elif control == "\r":
            self._column = 0
        elif control == "\n":
            self._row = min(self._row + 1, self.lines - 1)
        elif final == "m":
            self._style = "" if numbers in ("", "0") else numbers or ""
        elif final == "H":
            row, column = [int(n) - 1 for n in (numbers or "1;1").split(";")]
            self._row, self._column = min(row, self.lines - 1), min(column, self.columns - 1)
        elif final in ("J", "K"):
            self.cleared += 1
        elif final in ("h", "l"):
            self._mode(numbers or "", on=final == "h")
        else:
            raise AssertionError(f"a sequence that nobody knows: {numbers}{final}")

    def _mode(self, numbers: str, *, on: bool) -> None:
        if numbers == "?1049":
            if on and not self.other:
                self._shell = self._cells
                self._begin()
            elif not on and self.other:
                self._cells = self._shell
            self.other = on
        elif numbers == "?25":
            self.cursor_shown = on
        else:
            raise AssertionError(f"a mode that nobody knows: {numbers}")

    def _put(self, letter: str) -> None:
        if self._column == self.columns:  # a line that is full goes on in the next one
            self._column, self._row = 0, min(self._row + 1, self.lines - 1)
        self._cells[self._row][self._column] = (letter, self._style)
        self._column += 1
