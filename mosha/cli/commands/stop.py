"""`mosha stop`: stops a group on all nodes, or an entry where it runs."""

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
from mosha.core.tables import STOP_LEVEL
from mosha.formats.hactl import parse_change


@click.command("stop", cls=Command, short_help="Stop a group on all nodes, or one of its entries.")
@config_option
@wait_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
@tag_argument()
def command(
    config: str | None, *, wait: bool, limit_s: float, as_json: bool, group: str, tag: str
) -> int:
    """Stop a group on all nodes, or one of its entries.

    The same as `mosha set GROUP stop`: its `stop` entries run, and all processes that are left of
    it are ended. Its options stay as they are, for the next start.

    With TAG only that entry, where the group runs: all its processes are ended, and it stays
    stopped until `mosha start GROUP TAG`, or until the group is started anew: after a restart, a
    move, another level, an end of clinit. Until then the group is not as wanted (exit status 1 of
    `mosha status`). The tables are not touched. An agent, a unit or an address is not stopped
    while entries after it run, which may use it.

    Examples:
        mosha stop web
        mosha stop web --wait
        mosha stop web web-nginx

    Exit status: 0 written, or done, with --wait stopped; 1 refused, or not reached; 2 wrong usage;
    3 no monitor answers.
    """
    if tag:
        limit = limit_s if wait else None
        return order_entry(config, EntryVerb.STOP, group, tag, limit_s=limit, as_json=as_json)
    parse_change([group, STOP_LEVEL])
    request = SetWish(group=group, level=STOP_LEVEL)
    return edit_wish(config, request, limit_s=limit_s if wait else None, as_json=as_json)
