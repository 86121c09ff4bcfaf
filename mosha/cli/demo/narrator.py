"""Prints the demo for people: a heading per step, its outcome, and where the groups are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mosha.cli.demo.cluster import TIMEOUT_S
from mosha.cli.demo.story import HOME, Places, Summary
from mosha.cli.status.layout import BAD, GOOD, MOVING, OLD, TITLE
from mosha.cli.status.page import page
from mosha.formats.hastat import Report
from mosha.host.log_printer import Printer

LAST_LINES = 8
INDENT = 3


class RichNarrator:
    """A narrator for a terminal, a file or a pipe. Use it as a context manager."""

    def __init__(self, console: Console, nodes: int, groups: int) -> None:
        self._console = console
        self._nodes = nodes
        self._groups = groups
        self._steps = 0
        self._status = console.status("")

    def __enter__(self) -> None:
        """Introduce the demo."""
        text = f"{self._nodes} nodes, {self._groups} groups, timeout {TIMEOUT_S:g} s"
        self._console.print(Text.assemble(("mosha demo", TITLE), f": {text}"))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the spinner."""
        self._status.stop()

    def step(self, title: str) -> None:
        """Begin a step."""
        self._status.stop()
        self._steps += 1
        self._console.print()
        self._console.print(Text.assemble((f"{self._steps}. ", OLD), (title, TITLE)))

    def note(self, text: str) -> None:
        """Print a remark during a step."""
        self._status.stop()
        self._say(Text(text))

    def waiting(self, what: str) -> None:
        """Show what is being waited for: on a terminal only, and only while it lasts."""
        if self._console.is_terminal:
            self._status.update(Text(what, OLD))
            self._status.start()

    def done(self, text: str, places: Places | None = None) -> None:
        """Print the outcome of a step."""
        self._status.stop()
        self._say(Text(text, GOOD))
        if places is not None:
            self._console.print(
                Padding(_table(places, self._nodes), (0, 0, 0, INDENT), expand=False)
            )

    def command(self, words: list[str], output: str) -> None:
        """Show a command and what it printed."""
        self._status.stop()
        self._say(Text(f"$ {' '.join(words)}", TITLE))
        if output:
            self._say(Text(output))

    def report(self, report: Report) -> None:
        """Show the status of the cluster."""
        self._status.stop()
        room = self._console.width - INDENT
        self._console.print(Padding(page(report, room), (0, 0, 0, INDENT), expand=False))

    def failed(self, why: str, logs: Iterable[Path]) -> None:
        """Print why it went wrong, with the last log lines of each node."""
        self._status.stop()
        self._say(Text(why, BAD))
        printer = Printer(colours=False)
        for log in logs:
            lines = log.read_bytes().splitlines() if log.exists() else []
            self._say(Text(f"last lines of the log of node {log.stem}:", OLD))
            for line in lines[-LAST_LINES:]:
                self._say(Text("  " + printer.line(line).rstrip("\n"), OLD))

    def sum_up(self, summary: Summary, kept: Path | None) -> None:
        """Print what was measured."""
        self._console.print()
        grid = Table.grid(padding=(0, 2, 0, 0))
        moved = f"its {plural(summary.moved, 'group')} moved"
        for name, value in (
            (f"{summary.groups} groups on {summary.nodes} nodes running", summary.all_running_s),
            (f"node killed, {moved} (timeout {TIMEOUT_S:g} s)", summary.failover_s),
            ("killed node back", summary.rejoin_s),
            ("node left, its groups moved", summary.leave_s),
            ("group stopped by mosha set", summary.stop_s),
        ):
            grid.add_row(name, f"{value:.2f} s" if value is not None else "-")
        found = summary.overlaps
        text = "-" if found is None else str(found)
        grid.add_row(
            f"processes of one group that ran together (of {summary.instances})",
            Text(text, GOOD if found == 0 else BAD),
        )
        self._console.print(grid)
        for line in summary.together:
            self._say(Text(line, BAD))
        if kept is not None:
            self._console.print(f"kept: {kept}", soft_wrap=True)

    def _say(self, text: Text) -> None:
        self._console.print(Padding(text, (0, 0, 0, INDENT), expand=False))


def plural(count: int, word: str) -> str:
    """Return `1 group`, `2 groups`."""
    return f"{count} {word}{'s' * (count != 1)}"


def _table(places: Places, nodes: int) -> Table:
    """Return a line per node with its groups: settled ones in green, moving ones in yellow."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for node in range(1, nodes + 1):
        here = [
            Text(group, GOOD if lines[node] == HOME else MOVING)
            for group, lines in places.items()
            if node in lines
        ]
        grid.add_row(f"node {node}", Text("  ").join(here) if here else Text("-", OLD))
    return grid
