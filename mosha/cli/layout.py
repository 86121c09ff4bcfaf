"""How the pages of `mosha status`, `why` and `views` are laid out and printed.

A page is as wide as the terminal, 80 columns elsewhere (or $COLUMNS). What a reader copies, a path
or a command, is never cut: a word that is longer than the line is left whole.
"""

from __future__ import annotations

from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

GOOD, BAD, MOVING, OLD, TITLE = "green", "bold red", "yellow", "bright_black", "bold"
GAP = 2


class Item(NamedTuple):
    """Text with a mark before it, its further lines below its first."""

    mark: Text
    text: Text
    indent: int = GAP

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines. On a screen that cuts what is too long (Live) long words are folded."""
        start = self.indent + (self.mark.cell_len + 1 if self.mark else 0)
        room = max(options.max_width - start, 1)
        text = self.text.copy()
        text.overflow = options.overflow or "fold"  # given to wrap, "ignore" would wrap nothing
        lines = text.wrap(console, room)
        for number, line in enumerate(lines or [Text()]):
            line.rstrip()
            mark = (self.mark, " ") if self.mark else ()
            before = (" " * self.indent, *mark) if number == 0 else (" " * start,)
            yield Text.assemble(*before, line, no_wrap=True, overflow="ignore")


def wrong(text: Text) -> Item:
    """Return something that is wrong."""
    return Item(Text("*", BAD), text)


def remedy(text: str, indent: int = 2 * GAP) -> Item:
    """Return what to do about it."""
    return Item(Text("->", MOVING), Text(text), indent)


def plain(text: Text | str) -> Item:
    """Return indented text without a mark."""
    return Item(Text(), Text(text) if isinstance(text, str) else text)


def table(*heads: str | Text) -> Table:
    """Return an empty table with these columns; what does not fit a cell is folded."""
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=TITLE)
    for head in heads:
        made.add_column(head, overflow="fold")
    return made


def show(page: RenderableType, console: Console | None = None) -> None:
    """Print a page; in a pipe or a file without blanks at the ends of its lines."""
    console = console or Console(highlight=False)
    if console.is_terminal:
        console.print(page, overflow="ignore", crop=False)
        return
    with console.capture() as captured:
        console.print(page, overflow="ignore", crop=False)
    lines = captured.get().rstrip("\n").split("\n")
    # Not by click.echo: it writes UTF-8 where the terminal is said to have ASCII alone.
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
