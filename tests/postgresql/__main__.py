"""`make postgresql`: PostgreSQL on a volume of three nodes that are killed, hung and moved.

Clients insert rows all the time, and note outside each one whose commit was acknowledged. Each of
them has to be there in the end, and never may two nodes have the volume mounted at once. For each
fault the longest time without an acknowledged row is told. Needs root, iproute2, PostgreSQL 15 and
resource-agents.

Exit status: 0 all went as it should; 1 it did not; 2 wrong usage, or this machine lacks something.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import statistics
import sys
from collections.abc import Sequence
from types import FrameType

from rich.console import Console
from rich.table import Table

from mosha.cli.demo.narrator import RichNarrator
from tests.postgresql.faults import FAULTS, Result, suffer
from tests.postgresql.site import FORMS, Site, look_for_what_is_needed
from tests.web.network import CannotRunError

GONE_WRONG, CANNOT_RUN, INTERRUPTED = 1, 2, 130
TIMEOUT_S = 5.0


def main(words: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(words)
    if unknown := set(given.faults) - FAULTS.keys():
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    people = Console(highlight=False, soft_wrap=True)
    results: list[Result] = []
    wrong: list[str] = []
    try:
        look_for_what_is_needed()
        with Site(given.timeout, given.form) as site:
            try:
                _run(site, given.faults or list(FAULTS), given.failovers, results, people)
                wrong += site.lost()
                wrong += site.damaged()
            except AssertionError as failure:
                wrong.append(str(failure))
                logs = [node.log for node in site.cluster.nodes.values()]
                RichNarrator(people, len(logs), 1).failed(str(failure), logs)
            wrong += site.mounts.together
            rows = len(site.rows())
    except CannotRunError as lack:
        people.print(f"postgresql: {lack}")
        return CANNOT_RUN
    except KeyboardInterrupt:
        people.print("interrupted")
        return INTERRUPTED
    people.print(_table(results))
    for line in wrong:
        people.print(f"WRONG: {line}", style="bold red")
    if wrong:
        return GONE_WRONG
    people.print(
        f"{failovers(results)} failovers: all {rows} acknowledged rows are there, the volume was"
        " never mounted twice, file system and pages are sound",
        style="green",
    )
    return 0


def failovers(results: Sequence[Result]) -> int:
    """Return how often another node had the database afterwards."""
    return sum(result.before != result.after for result in results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.postgresql", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--failovers", type=int, default=3, help="go on until so many were seen")
    parser.add_argument("--form", choices=list(FORMS), default="agents", help="the entries")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="of the cluster, seconds")
    return parser


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(
    site: Site, names: Sequence[str], wanted: int, results: list[Result], people: Console
) -> None:
    """Let one fault follow the other, at least each once, until enough failovers were seen."""
    people.print(f"three nodes, timeout {site.timeout_s:g} s")
    site.start()
    for count, name in enumerate(itertools.cycle(names)):
        if count >= len(names) and failovers(results) >= wanted:
            return
        results.append(result := suffer(site, name))
        way = f"node {result.before} -> {result.after}"
        people.print(f"{FAULTS[name].told}, {way}: {result.gap_s:.2f} s", style="dim")


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("to the node that has the database", no_wrap=True)
    for head in ("times", "gap, median", "worst"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, fault in FAULTS.items():
        if gaps := [result.gap_s for result in results if result.fault == name]:
            median = statistics.median(gaps)
            table.add_row(fault.told, str(len(gaps)), f"{median:.1f} s", f"{max(gaps):.1f} s")
    return table


if __name__ == "__main__":
    sys.exit(main())
