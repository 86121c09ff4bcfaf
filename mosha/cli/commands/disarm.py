"""`mosha disarm`: no node is shot for a while, for planned work on the network."""

from __future__ import annotations

import click

from mosha.cli.answer import tell_reply
from mosha.cli.ask import ask
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.settings import settings_to_ask
from mosha.cli.wait_options import Span
from mosha.control.protocol import DisarmAll
from mosha.errors import UsageError


@click.command("disarm", cls=Command, short_help="Let no node be shot for a while.")
@config_option
@click.option("--for", "for_s", type=Span(), required=True, metavar="TIME", help="For how long.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; all nodes show it.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
def command(config: str | None, *, for_s: float, reason: str, as_json: bool) -> int:
    """Let no node be shot for a while.

    For planned work on the network, the file system or the fencing devices. All nodes that are
    heard follow, and it ends by itself on all of them, or with `mosha arm`. Groups of a node that
    goes silent meanwhile wait if they ask for a receipt. `mosha fence NODE` still shoots.

    Examples:
        mosha disarm --for 30m --reason "switch 3 is replaced"

    Exit status: 0 done; 1 refused; 2 wrong usage; 3 no monitor answers.
    """
    if not for_s:
        raise UsageError("--for 0: to arm fencing again: mosha arm")
    return tell_reply(ask(settings_to_ask(config), DisarmAll(for_s, reason)), as_json=as_json)
