"""`mosha unstandby`: ends the standby of a node."""

from __future__ import annotations

import click

from mosha.cli.completion import node_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.order import give
from mosha.control.protocol import GiveOrder
from mosha.core.status import Verb


@click.command("unstandby", cls=Command, short_help="Let a node on standby run groups again.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@node_argument()
def command(config: str | None, *, as_json: bool, node: int) -> int:
    """Let a node on standby run groups again.

    No group moves there by itself, except with failback=yes.

    Examples:
        mosha unstandby 3

    Exit status: 0 done; 1 refused, or not obeyed in time; 2 wrong usage; 3 no monitor answers.
    """
    order = GiveOrder(verb=Verb.UNSTANDBY, node=node)
    return give(config, order, as_json=as_json)
