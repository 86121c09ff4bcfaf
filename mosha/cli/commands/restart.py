"""`mosha restart`: stops a group, or one entry, and starts it again where it runs."""

from __future__ import annotations

import click

from mosha.cli.completion import group_argument, tag_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.order import give, order_entry
from mosha.cli.wait_options import limit_option, wait_option
from mosha.control.protocol import GiveOrder
from mosha.core.status import EntryVerb, Verb


@click.command("restart", cls=Command, short_help="Stop a group or an entry and start it again.")
@config_option
@wait_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
@tag_argument()
def command(
    config: str | None, *, wait: bool, limit_s: float, as_json: bool, group: str, tag: str
) -> int:
    """Stop a group or an entry and start it again.

    It is restarted where it runs: its `stop` entries run, all its processes are ended, and its
    tests and its level are started again, with what cltab says now. The node keeps its claim
    meanwhile, so no other node takes it; if its test fails, it moves. hactl is not touched.

    With TAG only that entry: all its processes are ended as by a stop, and it is started again, as
    it was started before. That is not a failure. A `once` or `wait` entry runs once more, and
    nothing waits for it. What comes after an agent, a unit or an address may use it: that is
    stopped first, and started again after it. The answer comes when it has been started; with
    `ready=` when it is ready, or has ended before that.

    Examples:
        mosha restart web
        mosha restart web --wait
        mosha restart web web-nginx

    Exit status: 0 ordered, with --wait running again; 1 refused, or not reached; 2 wrong usage; 3
    no monitor answers.
    """
    if tag:
        limit = limit_s if wait else None
        return order_entry(config, EntryVerb.RESTART, group, tag, limit_s=limit, as_json=as_json)
    order = GiveOrder(verb=Verb.RESTART, group=group, wait=wait, limit_s=limit_s if wait else 0.0)
    return give(config, order, limit_s=limit_s if wait else None, as_json=as_json)
