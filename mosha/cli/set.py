"""`mosha set`: moves a group to a level, by an edit of hactl that wins everywhere."""

from __future__ import annotations

import json

import click

from mosha.cli.ask import ask
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.settings import load_settings
from mosha.control.protocol import SetWish
from mosha.formats.hactl import parse_wish


@click.command("set", cls=Command, short_help="Move a group to a level, everywhere.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@click.argument("group")
@click.argument("level")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
def command(
    config: str | None, *, as_json: bool, group: str, level: str, options: tuple[str, ...]
) -> int:
    """Move a group to a level, everywhere.

    Writes the line of GROUP in hactl anew; the rest of the file stays as it is. All nodes
    take the new hactl over, and the group moves: to LEVEL where it runs, or, if OPTION
    says so, on another node. Options that are not named go back to their defaults.

    Options of a group:
        prefer=2,3      these nodes first, in this order
        only=1,2        no other nodes
        failback=yes    back to a preferred node as soon as it has returned

    Examples:
        mosha set web start
        mosha set web start prefer=2,3 failback=yes
        mosha set web stop

    Exit status: 0 written; 1 refused, with the reason; 2 wrong usage; 3 no monitor answers.
    """
    parse_wish([group, level, *options])  # all mistakes at once, without asking anybody
    reply = ask(load_settings(config), SetWish(group=group, level=level, options=options))
    tell(reply.text, ok=reply.ok, as_json=as_json)
    return AS_WANTED if reply.ok else NOT_AS_WANTED


def tell(text: str, *, ok: bool, as_json: bool) -> None:
    """Print what the monitor answered: to stderr if it refused, as JSON if asked for."""
    if as_json:
        click.echo(json.dumps({"ok": ok, "text": text}, ensure_ascii=False))
    elif text:
        click.echo(text if ok else f"refused: {text}", err=not ok)
