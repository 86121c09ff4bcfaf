"""`make demo-web`: nginx and a floating address on three nodes that are killed, stopped, upgraded.

A client in a network namespace of its own asks for the page every 50 ms. For each event the
longest time without an answer is told. Needs root, iproute2, nginx and arping.

Exit status: 0 all went as it should; 1 it did not, or two nodes had group or address at once;
2 wrong usage, or this machine lacks something.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mosha.cli.demo.narrator import RichNarrator
from tests.bench import machine
from tests.e2e.cluster import TIMEOUT_S
from tests.web.client import INTERVAL_S, LIMIT_S
from tests.web.events import EVENTS, Result, measure, measure_act
from tests.web.keepalived import ACTS, ADVERT_S, KeepalivedSite
from tests.web.network import CannotRunError, look_for_what_is_needed
from tests.web.site import Site

GONE_WRONG, CANNOT_RUN, INTERRUPTED = 1, 2, 130


def main(words: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(words)
    if unknown := set(given.events) - EVENTS.keys():
        parser.error(f"no such event: {', '.join(sorted(unknown))}; there are {', '.join(EVENTS)}")
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGHUP, _interrupted)
    people = Console(stderr=given.json, highlight=False, soft_wrap=True)
    names = given.events or list(EVENTS)
    results: list[Result] = []
    together: list[str] = []
    error = ""
    try:
        look_for_what_is_needed()
        if given.peer:
            try:
                return _measure_peer(given.events or list(ACTS), given.rounds, people)
            except AssertionError as failure:
                people.print(Text(f"WRONG: {failure}", "bold red"))
                return GONE_WRONG
        with Site(given.timeout) as site:
            try:
                _run(site, names, given.rounds, results, people)
                together = site.together()
            except AssertionError as failure:
                error = str(failure)
                logs = [node.log for node in site.cluster.nodes.values()]
                RichNarrator(people, len(logs), 1).failed(error, logs)
    except CannotRunError as lack:
        people.print(f"demo-web: {lack}")
        return CANNOT_RUN
    except KeyboardInterrupt:
        people.print("interrupted")
        return INTERRUPTED
    people.print(_table(names, results))
    _tell_the_rest(people, together, error)
    if given.json:
        told = _as_json(given.timeout, names, results, together, error)
        sys.stdout.write(json.dumps(told) + "\n")
    return GONE_WRONG if error or together else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.web", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("events", nargs="*", metavar="EVENT", help=f"of {', '.join(EVENTS)}")
    parser.add_argument("--rounds", type=int, default=1, help="how often each; the median counts")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="of the cluster, seconds")
    parser.add_argument("--peer", choices=["keepalived"], help="measure this instead of mosha")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on stdout")
    return parser


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(
    site: Site, names: Sequence[str], rounds: int, results: list[Result], people: Console
) -> None:
    people.print(
        f"three nodes, timeout {site.timeout_s:g} s; a request every {INTERVAL_S * 1000:g} ms,"
        f" given up after {LIMIT_S * 1000:g} ms"
    )
    site.start()
    for _ in range(rounds):
        for name in names:
            results.append(result := measure(site, name))
            people.print(f"{EVENTS[name].told}: {_seconds(result.gap_s)}", style="dim")


def _measure_peer(names: Sequence[str], rounds: int, people: Console) -> int:
    """Do to keepalived what it has a counterpart of; return the exit status."""
    results = []
    with KeepalivedSite() as site:
        people.print(f"keepalived on three nodes, advert_int {ADVERT_S:g} s")
        site.start()
        for _ in range(rounds):
            for name in filter(ACTS.__contains__, names):
                result = measure_act(site, name, partial(ACTS[name], site))
                results.append(result)
                people.print(f"{EVENTS[name].told}: {_seconds(result.gap_s)}", style="dim")
        together = site.together()
    people.print(_table(names, results))
    for line in together:
        people.print(line)
    return 0


def _table(names: Sequence[str], results: Sequence[Result]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("to the node that serves", "longest gap", "failed requests", "served by"):
        table.add_column(head, justify="left" if head[0] in "ts" else "right", no_wrap=True)
    for name in names:
        if own := [result for result in results if result.event == name]:
            gap = statistics.median(result.gap_s for result in own)
            failed = statistics.median(result.failed for result in own)
            requests = statistics.median(result.requests for result in own)
            way = " -> ".join(map(str, own[-1].served))
            count = f"{failed:g} of {requests:g}"
            table.add_row(EVENTS[name].told, _seconds(gap), count, way)
    return table


def _tell_the_rest(people: Console, together: Sequence[str], error: str) -> None:
    good = "never did two nodes run the group or have the address at the same time"
    for line in together:
        people.print(Text(f"WRONG: {line}", "bold red"))
    if error:
        people.print(Text(f"WRONG: {error}", "bold red"))
    elif not together:
        people.print(Text(good, "green"))


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _as_json(
    timeout_s: float,
    names: Sequence[str],
    results: Sequence[Result],
    together: Sequence[str],
    error: str,
) -> dict[str, object]:
    events = []
    for name in names:
        if own := [result for result in results if result.event == name]:
            gaps = [result.gap_s for result in own]
            events.append(
                {
                    "event": name,
                    "told": EVENTS[name].told,
                    "gap_s": statistics.median(gaps),
                    "gaps_s": gaps,
                    "requests": [result.requests for result in own],
                    "failed": [result.failed for result in own],
                    "served": [result.served for result in own],
                }
            )
    return {
        "format": 1,
        "machine": machine.describe(),
        "timeout_s": timeout_s,
        "interval_s": INTERVAL_S,
        "events": events,
        "together": list(together),
        "error": error,
        "ok": not error and not together,
    }


if __name__ == "__main__":
    sys.exit(main())
