"""`mosha restart`: stops a group and starts it again where it runs."""

from __future__ import annotations

import click

from mosha.cli.completion import group_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.order import give
from mosha.cli.progress import limit_option, wait_option
from mosha.control.protocol import GiveOrder
from mosha.core.status import Verb


@click.command("restart", cls=Command, short_help="Stop a group and start it again where it runs.")
@config_option
@wait_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
def command(config: str | None, *, wait: bool, limit_s: float, as_json: bool, group: str) -> int:
    """Stop a group and start it again where it runs.

    Its `stop` entries run, all its processes are ended, and its tests and its level are started
    again, with what cltab says now. The node keeps its claim meanwhile, so no other node takes it;
    if its test fails, it moves. hactl is not touched.

    Examples:
        mosha restart web
        mosha restart web --wait

    Exit status: 0 ordered, with --wait running again; 1 refused, or not reached; 2 wrong usage; 3
    no monitor answers.
    """
    order = GiveOrder(verb=Verb.RESTART, group=group, wait=wait, limit_s=limit_s if wait else 0.0)
    return give(config, order, limit_s=limit_s if wait else None, as_json=as_json)
