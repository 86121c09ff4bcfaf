"""`mosha views`: compares what the nodes report about each other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import msgspec

from mosha.cli.ask import ask_report
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.settings import settings_to_ask
from mosha.errors import HostError, UsageError
from mosha.formats.hastat import REPORT_MAX_BYTES, Report, UnreadableReport, parse_hastat
from mosha.formats.names import node_number
from mosha.formats.settings import Settings
from mosha.formats.views import Views, compare
from mosha.host.files import read_file
from mosha.host.workers import HungError, Worker, reason
from mosha.monitor.files.cluster_fs import Layout

READ_LIMIT_S = 3.0
"""A local file takes a millisecond, a slow mount tenths of a second; anything longer hangs."""


@click.command("views", cls=Command, short_help="Where nodes disagree about each other.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="All views as one JSON object.")
def command(config: str | None, *, as_json: bool) -> int:
    """Where nodes disagree about each other.

    Reads the view (hastat) of every node from the cluster file system; that of this node
    comes from its monitor, if it answers. What two nodes report differently is printed first:
    which nodes are up, whether there is a quorum, where a group runs, which tables are in force.
    Just after a change that is normal; if it stays, look at the mounts and the network
    between the nodes that disagree.

    The view of a node that no other node hears is shown but not compared, nor is one that is
    several times older than its interval: its monitor is dead, hangs or cannot write. A node
    that hears no other node has nothing to compare, and says so.

    Examples:
        mosha views
        mosha views --json | jq '.disagreements[] | {subject, said}'

    Exit status: 0 all views were read and agree; 1 otherwise, also if there is nothing to
    compare; 2 no node is known.
    """
    settings = settings_to_ask(config)
    views = asyncio.run(_gather(settings))
    if as_json:
        data = msgspec.json.encode(msgspec.to_builtins(views, str_keys=True))
        click.echo(msgspec.json.format(data, indent=2))
    else:
        from rich.console import Console  # noqa: PLC0415 - --json does without

        from mosha.cli.status.layout import show  # noqa: PLC0415
        from mosha.cli.status.views_page import views_page  # noqa: PLC0415

        console = Console(highlight=False)
        show(views_page(views, console.width), console)
    return AS_WANTED if views.as_one else NOT_AS_WANTED


async def _gather(settings: Settings) -> Views:
    """Read all views concurrently; one that hangs holds up no other."""
    own = _own_view(settings)
    layout = Layout(Path(settings.mfsbase), settings.varpath)
    nodes = await _nodes(settings, own)
    me = own.node if own else settings.mynode or 0
    reports: dict[int, Report | str] = {}
    if own is not None:
        reports[me] = own
    others = [node for node in nodes if node not in reports]
    found = await asyncio.gather(*(_read(node, layout.hastat(node)) for node in others))
    reports |= dict(zip(others, found, strict=True))
    return compare(me, reports, _ages(reports))


def _own_view(settings: Settings) -> Report | None:
    try:
        return ask_report(settings, READ_LIMIT_S)[0]
    except HostError:
        return None


async def _nodes(settings: Settings, own: Report | None) -> list[int]:
    """Return all nodes: those of the settings, else of this node's view, else the directories."""
    if settings.nodes or own is not None:
        return sorted({*settings.nodes, *(seen.node for seen in (own.nodes if own else ()))})
    base = Path(settings.mfsbase)
    try:
        names = await Worker("directories").call(partial(_names, base), limit_s=READ_LIMIT_S)
    except (OSError, HungError) as error:
        raise UsageError(f"no node is known, and {base} cannot be read: {reason(error)}") from error
    found = sorted(node for name in names if (node := node_number(name)) is not None)
    if not found:
        raise UsageError(f"no node is known: none in the settings, no directory in {base}")
    return found


def _names(base: Path) -> list[str]:
    return [path.name for path in base.iterdir()]


async def _read(node: int, path: Path) -> Report | str:
    """Return a view, or why it cannot be read."""
    read = partial(read_file, path, REPORT_MAX_BYTES)
    try:
        return parse_hastat(await Worker(f"view of node {node}").call(read, limit_s=READ_LIMIT_S))
    except HungError:
        return f"no answer within {READ_LIMIT_S:g} s"
    except OSError as error:
        return error.strerror or str(error)
    except UnreadableReport as error:
        return f"cannot be read: {error}"


def _ages(reports: Mapping[int, Report | str]) -> dict[int, float | None]:
    now = datetime.now(UTC)
    ages: dict[int, float | None] = {}
    for node, report in reports.items():
        try:
            written = datetime.fromisoformat(report.time) if isinstance(report, Report) else None
            ages[node] = round((now - written).total_seconds(), 1) if written else None
        except (ValueError, TypeError):  # not a time, or one without a zone
            ages[node] = None
    return ages
