"""`mosha cleanup`: lets a group be tried again where it failed."""

from __future__ import annotations

import click

from mosha.cli.completion import group_argument, node_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.order import give
from mosha.control.protocol import GiveOrder
from mosha.core.status import Verb


@click.command("cleanup", cls=Command, short_help="Let a group be tried again where it failed.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
@node_argument(required=False)
def command(config: str | None, *, as_json: bool, group: str, node: int | None) -> int:
    """Let a group be tried again where it failed.

    Forgets the failures and moves that on-failure= counts, and lifts the bans of GROUP, on NODE or
    on all nodes, and the pauses after a failback that failed (failback=yes). A group that was
    stopped for good starts again. Where its `stop` entries failed, its `plan` and `stop` are run
    again; if they fail again nothing is forgotten, and `mosha why GROUP` says so. First repair what
    failed: if it fails again, it is banned again. Nodes that are not heard do not get the order;
    the answer names them.

    Examples:
        mosha cleanup web
        mosha cleanup web 3

    Exit status: 0 done; 1 refused, or not obeyed in time; 2 wrong usage; 3 no monitor answers.
    """
    order = GiveOrder(verb=Verb.CLEANUP, group=group, node=node or 0)
    return give(config, order, as_json=as_json)
