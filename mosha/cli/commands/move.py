"""`mosha move`: moves a group to another node, once."""

from __future__ import annotations

import click

from mosha.cli.completion import group_argument, node_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.order import give
from mosha.cli.wait_options import limit_option, wait_option
from mosha.control.protocol import GiveOrder
from mosha.core.status import Verb


@click.command("move", cls=Command, short_help="Move a group to another node, once.")
@config_option
@wait_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
@node_argument(required=False)
def command(
    config: str | None, *, wait: bool, limit_s: float, as_json: bool, group: str, node: int | None
) -> int:
    """Move a group to another node, once.

    In good order: it is stopped where it runs, and only then started on NODE, or without NODE on
    the next node in its order. hactl is not touched: the group stays there until it has to be
    placed again. If it cannot run there, it comes back. A group with failback=yes goes back to the
    node it prefers.

    Examples:
        mosha move web 3
        mosha move web --wait

    Exit status: 0 it is leaving, with --wait it runs there; 1 refused, or not reached; 2 wrong
    usage; 3 no monitor answers.
    """
    order = GiveOrder(verb=Verb.MOVE, group=group, node=node or 0)
    return give(config, order, limit_s=limit_s if wait else None, as_json=as_json)
