"""The report on a screen: once, or again and again in place."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.segment import Segment, Segments
from rich.text import Text

from mosha.cli.ask import ask_report
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED, NoDaemonError
from mosha.cli.group_page import group_page
from mosha.cli.layout import BAD, OLD, show
from mosha.cli.output import go_on
from mosha.cli.status_page import age_text, page
from mosha.formats.hastat import Report
from mosha.formats.settings import Settings

WATCH_EVERY_S = 0.5
"""Fast enough for people; the monitor's part of it is a few milliseconds."""

WATCH_LIMIT_S = 2.0
"""A watched monitor that takes longer is shown as silent; it is asked again."""


def print_report(report: Report, group: str = "") -> None:
    """Print a report for people, or one group of it, as wide as the console is."""
    console = Console(highlight=False)
    show(group_page(report, group) if group else page(report, console.width), console)


def watch_report(settings: Settings) -> int:
    """Show the report again and again, until Ctrl-C; returns the exit status."""
    report, _ = ask_report(settings)  # nobody there at all is an error, not something to watch
    console = Console(highlight=False)
    heard, trouble = time.monotonic(), ""
    try:
        # Written over in place, in one go: nothing is cleared, so nothing flickers.
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                told = page(report, console.width)
                if trouble:
                    told = _outdated(console, told, trouble, time.monotonic() - heard)
                live.update(_fitted(console, told), refresh=True)
                go_on()
                time.sleep(WATCH_EVERY_S)
                try:
                    report, _ = ask_report(settings, WATCH_LIMIT_S)
                    heard, trouble = time.monotonic(), ""
                except NoDaemonError as error:
                    trouble = str(error).partition(";")[0]
    except KeyboardInterrupt:
        return AS_WANTED if report.as_wanted and not trouble else NOT_AS_WANTED


def _outdated(console: Console, told: RenderableType, trouble: str, age_s: float) -> RenderableType:
    """Return the last page, all of it grey: nobody vouches for it any more."""
    lines = console.render_lines(told, pad=False)
    grey = Text("\n".join("".join(part.text for part in line) for line in lines), OLD)
    return Group(Text(f"{trouble}; what follows is {age_text(age_s)} old", BAD), Text(), grey)


def _fitted(console: Console, told: RenderableType) -> RenderableType:
    """Return a page as high as the screen at most; what does not fit is counted."""
    height = console.size.height
    lines = console.render_lines(told, pad=False)
    if not console.is_terminal or len(lines) <= height:
        return told
    shown = Segments([part for line in lines[: height - 1] for part in (*line, Segment.line())])
    more = len(lines) - height + 1
    return Group(shown, Text(f"… {more} more lines: mosha status", OLD))
