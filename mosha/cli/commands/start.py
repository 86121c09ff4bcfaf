"""`mosha start`: runs a group, at the level it had or the one its entries are for, or an entry."""

from __future__ import annotations

import click

from mosha.cli.commands.set import edit_wish
from mosha.cli.completion import group_argument, tag_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.order import order_entry
from mosha.cli.wait_options import limit_option, wait_option
from mosha.control.protocol import SetWish
from mosha.core.status import EntryVerb
from mosha.formats.hactl import parse_change


@click.command("start", cls=Command, short_help="Run a group, or an entry that was stopped.")
@config_option
@wait_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
@tag_argument()
def command(
    config: str | None, *, wait: bool, limit_s: float, as_json: bool, group: str, tag: str
) -> int:
    """Run a group, or an entry that was stopped.

    The same as `mosha set GROUP start`, or whatever the one level of its entries is called. A
    group that has a level in hactl already keeps it. Its options stay as they are.

    With TAG only that entry, where the group runs: it ends what `mosha stop GROUP TAG` did. An
    entry that pauses after too many restarts starts at once. The answer comes when it has been
    started; with `ready=` when it is ready, or has ended before that.

    Examples:
        mosha start web
        mosha start web --wait
        mosha start web web-nginx

    Exit status: 0 written, or done, with --wait running; 1 refused, or not reached; 2 wrong usage;
    3 no monitor answers.
    """
    if tag:
        limit = limit_s if wait else None
        return order_entry(config, EntryVerb.START, group, tag, limit_s=limit, as_json=as_json)
    parse_change([group, "start"])
    request = SetWish(group=group, level="")
    return edit_wish(config, request, limit_s=limit_s if wait else None, as_json=as_json)
