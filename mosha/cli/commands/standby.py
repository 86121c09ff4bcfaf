"""`mosha standby`: moves all groups off a node that goes on voting."""

from __future__ import annotations

import click

from mosha.cli.completion import node_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.order import give
from mosha.control.protocol import GiveOrder
from mosha.core.status import Verb


@click.command("standby", cls=Command, short_help="Let a node run nothing, and vote.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@node_argument()
def command(config: str | None, *, as_json: bool, node: int) -> int:
    """Let a node run nothing, and vote.

    Its groups move to other nodes, in good order. Unlike after `mosha shutdown` the node is still
    part of the quorum: of three nodes one more may fail meanwhile. It stays on standby across
    restarts, until `mosha unstandby`.

    Examples:
        mosha standby 3

    Exit status: 0 done; 1 refused, or not obeyed in time; 2 wrong usage; 3 no monitor answers.
    """
    order = GiveOrder(verb=Verb.STANDBY, node=node)
    return give(config, order, as_json=as_json)
