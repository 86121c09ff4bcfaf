"""`mosha status`: what runs where, what is wrong, and what to do."""

from __future__ import annotations

import sys
import time

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.segment import Segment, Segments
from rich.text import Text

from mosha.cli.ask import ask_report
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED, NoDaemonError
from mosha.cli.help_text import Command
from mosha.cli.settings import load_settings
from mosha.cli.status_page import BAD, OLD, age_text, is_as_wanted, page
from mosha.errors import UsageError
from mosha.formats.hastat import Report, render_hastat, render_perl
from mosha.formats.settings import Settings

WATCH_EVERY_S = 0.5
"""Fast enough for people; the monitor's part of it is a few milliseconds."""

WATCH_LIMIT_S = 2.0
"""A watched monitor that takes longer is shown as silent; it is asked again."""


@click.command("status", cls=Command, short_help="What runs where, what is wrong, and what to do.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON (hastat).")
@click.option("--watch", is_flag=True, help="Go on showing it, until Ctrl-C.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["people", "json", "perl"]),
    default="people",
    help="perl: as hastat of OpenMosix::HA.",
)
def command(config: str | None, *, as_json: bool, watch: bool, form: str) -> int:
    """What runs where, what is wrong, and what to do.

    Shows the cluster as the monitor of this node sees it: first what is wrong, then each
    group on each node, as that node says it, with the age of the news. Grey is old or of
    no account, green is as wanted, yellow is on its way, red has failed.

    Examples:
        mosha status
        mosha status --watch
        mosha status --json | jq '.groups[] | select(.ok | not) | .why'

    Exit status: 0 all groups as wanted and no problem; 1 otherwise; 3 no monitor answers.
    """
    if as_json and form == "perl":
        raise UsageError("--json and --format perl exclude each other")
    settings = load_settings(config)
    if watch:
        if as_json or form != "people":
            raise UsageError("--watch is for people; programs ask again, or read hastat")
        return _watch(settings)
    report, _ = ask_report(settings)
    if as_json or form == "json":
        sys.stdout.write(render_hastat(report).decode())
    elif form == "perl":
        sys.stdout.write(render_perl(report))
    else:
        print_report(report, Console(highlight=False))
    return AS_WANTED if is_as_wanted(report) else NOT_AS_WANTED


def print_report(report: Report, console: Console) -> None:
    """Print a report for people, as wide as the console is."""
    console.print(page(report, console.width))


def _watch(settings: Settings) -> int:
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
                time.sleep(WATCH_EVERY_S)
                try:
                    report, _ = ask_report(settings, WATCH_LIMIT_S)
                    heard, trouble = time.monotonic(), ""
                except NoDaemonError as error:
                    trouble = str(error).partition(";")[0]
    except KeyboardInterrupt:
        return AS_WANTED if is_as_wanted(report) and not trouble else NOT_AS_WANTED


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
