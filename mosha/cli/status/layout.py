"""The layout of the pages of `mosha status`, `why` and `views`.

A page is as wide as the terminal, 80 columns elsewhere (or $COLUMNS). What a reader copies, a path
or a command, is never cut: a word that is longer than the line stays whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    OverflowMethod,
    RenderableType,
    RenderResult,
)
from rich.table import Table
from rich.text import Text

GOOD, BAD, MOVING, OLD, TITLE = "green", "bold red", "yellow", "bright_black", "bold"
GAP = 2


class Item(NamedTuple):
    """Text after a mark, with a hanging indent."""

    mark: Text
    text: Text
    indent: int = GAP

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines. On a screen that cuts long lines (Live), long words are folded."""
        yield from self.lines(console, options.max_width, options.overflow or "fold")

    def lines(
        self, console: Console, width: int, overflow: OverflowMethod = "fold"
    ) -> Iterator[Text]:
        """Yield it in lines of `width`; `overflow` says what happens to longer words."""
        start = self.indent + (self.mark.cell_len + 1 if self.mark else 0)
        text = self.text.copy()
        text.overflow = overflow  # passed to wrap, "ignore" would wrap nothing
        lines = text.wrap(console, max(width - start, 1))
        for number, line in enumerate(lines or [Text()]):
            line.rstrip()
            mark = (self.mark, " ") if self.mark else ()
            before = (" " * self.indent, *mark) if number == 0 else (" " * start,)
            yield Text.assemble(*before, line, no_wrap=True, overflow="ignore")


def wrong(text: Text) -> Item:
    """Return an item for a problem."""
    return Item(Text("*", BAD), text)


def remedy(text: str, indent: int = 2 * GAP) -> Item:
    """Return an item for what to do about it."""
    return Item(Text("->", MOVING), Text(text), indent)


def plain(text: Text | str) -> Item:
    """Return an indented item without a mark."""
    return Item(Text(), Text(text) if isinstance(text, str) else text)


class Grid(NamedTuple):
    """A table as data: its heads, and rows of as many cells."""

    heads: list[Text]
    rows: list[list[Text]]

    @property
    def width(self) -> int:
        """Its width with nothing folded or cut."""
        sizes = self._sizes()
        return sum(sizes) + GAP * (len(sizes) - 1)

    def for_page(self, width: int) -> RenderableType:
        """Return it for a page: what does not fit a cell is folded, nothing is cut."""
        if self.width <= width:  # a layout by rich costs ten times as much
            return Group(*self.as_lines(width))
        made = table(*self.heads)
        for row in self.rows:
            made.add_row(*row)
        return made

    def as_lines(self, width: int) -> list[Text]:
        """Return it for a screen: a line for the heads and one for each row, cut at `width`."""
        sizes = self._sizes()
        return [_row(cells, sizes, width) for cells in (self.heads, *self.rows)]

    def _sizes(self) -> list[int]:
        columns = zip(self.heads, *self.rows, strict=True)
        return [max(cell.cell_len for cell in cells) for cells in columns]


def _row(cells: list[Text], sizes: list[int], width: int) -> Text:
    made = Text(no_wrap=True, overflow="ignore")
    for cell, size in zip(cells, sizes, strict=True):
        made.append_text(cell).append(" " * (size + GAP - cell.cell_len))
    made.rstrip()
    made.truncate(width, overflow="ellipsis")
    return made


def table(*heads: str | Text) -> Table:
    """Return an empty table with these columns; what does not fit a cell is folded."""
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=TITLE)
    for head in heads:
        made.add_column(head, overflow="fold")
    return made


def age_text(age_s: float | None) -> str:
    """Return an age for people: 0.4s, 14s, 3m, 5h, 2d."""
    if age_s is None:
        return "-"
    if age_s < 9.95:
        return f"{max(age_s, 0.0):.1f}s"
    for unit_s, limit_s, unit in ((1, 100, "s"), (60, 6_000, "m"), (3600, 172_800, "h")):
        if age_s < limit_s:
            return f"{age_s / unit_s:.0f}{unit}"
    return f"{age_s / 86_400:.0f}d"


def show(page: RenderableType, console: Console | None = None) -> None:
    """Print a page; in a pipe or a file without trailing blanks."""
    console = console or Console(highlight=False)
    if console.is_terminal:
        console.print(page, overflow="ignore", crop=False)
        return
    with console.capture() as captured:
        console.print(page, overflow="ignore", crop=False)
    lines = captured.get().rstrip("\n").split("\n")
    # Not with click.echo: it writes UTF-8 even where the locale is ASCII.
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
