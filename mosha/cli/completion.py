"""What the shell proposes for a group or a node: what the monitor of this node knows.

A completion that cannot ask is silent: it stands in the middle of somebody's command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)

COMPLETION_LIMIT_S = 5.0
"""A monitor answers in some ms; on a busy machine a tab may take as long as a command."""


def groups(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the groups of cltab and hactl that begin so; for `shell_complete`."""
    del param
    return [name for name in _known(ctx)[0] if name.startswith(incomplete)]


def nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the nodes of the cluster that begin so; for `shell_complete`."""
    del param
    return [name for name in _known(ctx)[1] if name.startswith(incomplete)]


def group_option(text: str) -> Callable[[FC], FC]:
    """Return `--group G`, which can be given several times; `text` is its help."""
    return click.option("--group", multiple=True, shell_complete=groups, metavar="G", help=text)


def node_option(text: str) -> Callable[[FC], FC]:
    """Return `--node N`, which can be given several times; `text` is its help."""
    return click.option(
        "--node", multiple=True, type=int, shell_complete=nodes, metavar="N", help=text
    )


def _known(ctx: click.Context) -> tuple[list[str], list[str]]:
    """Return the groups and the nodes of the cluster, nothing if the monitor does not say."""
    # A command that is run, not completed, does without these.
    from mosha.cli.ask import ask_report  # noqa: PLC0415
    from mosha.cli.settings import load_settings  # noqa: PLC0415
    from mosha.errors import MoshaError  # noqa: PLC0415

    given = ctx.params.get("config") or ctx.find_root().params.get("config")
    try:
        report, _data = ask_report(load_settings(given), COMPLETION_LIMIT_S)
    except MoshaError:
        return [], []
    return [group.group for group in report.groups], [str(each.node) for each in report.nodes]
