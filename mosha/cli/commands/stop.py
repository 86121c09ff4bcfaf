"""`mosha stop`: stops a group on all nodes."""

from __future__ import annotations

import click

from mosha.cli.commands.set import edit_wish
from mosha.cli.completion import group_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.progress import limit_option, wait_option
from mosha.control.protocol import SetWish
from mosha.core.tables import STOP_LEVEL
from mosha.formats.hactl import parse_change


@click.command("stop", cls=Command, short_help="Stop a group on all nodes.")
@config_option
@wait_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
def command(config: str | None, *, wait: bool, limit_s: float, as_json: bool, group: str) -> int:
    """Stop a group on all nodes.

    The same as `mosha set GROUP stop`: its `stop` entries run, and all processes that are left of
    it are ended. Its options stay as they are, for the next start.

    Examples:
        mosha stop web
        mosha stop web --wait

    Exit status: 0 written, with --wait stopped; 1 refused, or not reached; 2 wrong usage; 3 no
    monitor answers.
    """
    parse_change([group, STOP_LEVEL])
    request = SetWish(group=group, level=STOP_LEVEL)
    return edit_wish(config, request, limit_s=limit_s if wait else None, as_json=as_json)
