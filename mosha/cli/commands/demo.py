"""`mosha demo`: a cluster of real processes on this machine loses a node."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec
from rich.console import Console

from mosha.cli.config import config_option
from mosha.cli.demo.cluster import DemoCluster
from mosha.cli.demo.narrator import RichNarrator
from mosha.cli.demo.overlaps import UnreadableWitness
from mosha.cli.demo.story import DemoFailed, Summary, tell_story
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command

NODES_MIN, NODES_MAX = 3, 9
GROUPS_MAX = 100


@click.command("demo", cls=Command, short_help="A cluster on this machine loses a node.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@click.option("--keep", is_flag=True, help="Keep the directory with its tables and logs.")
@click.option(
    "--nodes",
    type=click.IntRange(NODES_MIN, NODES_MAX),
    default=3,
    show_default=True,
    help="How many nodes.",
)
@click.option(
    "--groups",
    type=click.IntRange(1, GROUPS_MAX),
    default=6,
    show_default=True,
    help="How many groups.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    help="Keep it running this long before the end, to look around.",
)
def command(
    config: str | None, *, as_json: bool, keep: bool, nodes: int, groups: int, seconds: float
) -> int:
    """A cluster on this machine loses a node.

    Starts three nodes in a temporary directory, each with a monitor and a clinit of its own;
    kills one of them with all its processes; shows how its groups move; brings it back, lets
    another one leave, edits hactl. Every process of a group records in a file when
    it runs, and at the end that file shows whether two of one group ever ran together.

    Needs no root and no network, touches nothing outside the directory, and takes a few
    seconds. The settings of this machine (--config) are not used.

    Examples:
        mosha demo
        mosha demo --groups 10 --json | jq .failover_s
        mosha demo --seconds 60 --keep

    Exit status: 0 all went as it should; 1 it did not, or processes of one group overlapped.
    """
    del config
    console = Console(stderr=as_json, highlight=False)
    narrator = RichNarrator(console, nodes, groups)
    summary = Summary(nodes=nodes, groups=groups)
    with _signals_end_it():
        cluster = DemoCluster(nodes, groups)
        try:
            with narrator:
                tell_story(cluster, narrator, summary, seconds=seconds)
        except (DemoFailed, UnreadableWitness) as error:
            summary.error = str(error)
            narrator.failed(summary.error, [node.log for node in cluster.nodes.values()])
        finally:
            with _nothing_interrupts():
                cluster.close(keep=keep)
    narrator.sum_up(summary, cluster.base if keep else None)
    if as_json:
        if keep:
            summary.directory = str(cluster.base)
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    return AS_WANTED if summary.ok else NOT_AS_WANTED


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Make SIGTERM and SIGHUP act like Ctrl-C: everything is cleaned up."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    former = [signal.signal(number, _stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)


@contextmanager
def _nothing_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C while cleaning up, which takes a second at most."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)
