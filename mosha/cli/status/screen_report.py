"""The report printed once, or after each change in a pipe."""

from __future__ import annotations

import time

from rich.console import Console

from mosha.cli.ask import ask_report
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED, NoDaemonError
from mosha.cli.output import go_on
from mosha.cli.status.group_page import group_page
from mosha.cli.status.layout import show
from mosha.cli.status.page import page
from mosha.cli.status.watch_page import shape
from mosha.formats.hastat import Report
from mosha.formats.settings import Settings

LOOK_EVERY_S = 0.5
"""Fast enough for people; it costs the monitor a few milliseconds."""


def print_report(report: Report, group: str = "") -> None:
    """Print a report for people, or one group of it, as wide as the console."""
    console = Console(highlight=False)
    show(group_page(report, group) if group else page(report, console.width), console)


def watch_report(settings: Settings) -> int:
    """Keep showing the report until Ctrl-C or q; return the exit status."""
    report, _ = ask_report(settings)  # no monitor at the start is an error, not something to watch
    if Console().is_terminal and not Console().is_dumb_terminal:
        from mosha.cli.status.watch import watch  # noqa: PLC0415 - an event loop, for this alone

        return watch(settings, report)
    return _print_changes(settings, report)


def _print_changes(settings: Settings, report: Report) -> int:
    """Print a page at each change, where lines cannot be redrawn: in a pipe, a log, an editor."""
    shown: object = None
    trouble = ""
    try:
        while True:
            if shown != (now := (trouble, shape(report))):
                print_report(report) if not trouble else print(trouble)  # noqa: T201
                print()  # noqa: T201 - a line between pages
                shown = now
            go_on()
            time.sleep(LOOK_EVERY_S)
            try:
                report, _ = ask_report(settings)
                trouble = ""
            except NoDaemonError as error:
                trouble = str(error)
    except KeyboardInterrupt:
        return AS_WANTED if report.as_wanted and not trouble else NOT_AS_WANTED
