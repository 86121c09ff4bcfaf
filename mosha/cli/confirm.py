"""`mosha confirm`: the operator vouches that a node is dead."""

from __future__ import annotations

import sys

import click

from mosha.cli.ask import ask
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.set import tell
from mosha.cli.settings import load_settings
from mosha.control.protocol import Confirm
from mosha.errors import UsageError
from mosha.formats.names import NODE_MAX


@click.command("confirm", cls=Command, short_help="Vouch that a node is dead.")
@config_option
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@click.argument("node", type=click.IntRange(1, NODE_MAX))
def command(config: str | None, *, yes: bool, as_json: bool, node: int) -> int:
    """Vouch that a node is dead.

    Where fencing is required, the groups of a node that is not heard from start elsewhere
    only when it is certain that they run no more: the fencing method says so, or you do.
    Look first: the machine must be switched off, or none of its groups may be running.
    If you are wrong, two nodes run the same group.

    Examples:
        mosha confirm 3
        mosha confirm 3 --yes

    Exit status: 0 taken; 1 refused (node NODE is alive, or was never seen); 3 no monitor answers.
    """
    settings = load_settings(config)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"nobody to ask: if node {node} is dead, say so with --yes")
        question = f"Is node {node} switched off, and nothing of it running any more?"
        if not click.confirm(question, err=True):
            click.echo("nothing was confirmed", err=True)
            return NOT_AS_WANTED
    reply = ask(settings, Confirm(node=node))
    tell(reply.text, ok=reply.ok, as_json=as_json)
    return AS_WANTED if reply.ok else NOT_AS_WANTED
