"""`mosha why-not`: what keeps a group from a node."""

from __future__ import annotations

import click

from mosha.cli.commands.why import explain, show
from mosha.cli.completion import group_argument, node_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.control.protocol import Explain


@click.command("why-not", cls=Command, short_help="What keeps a group from a node.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The explanation as JSON.")
@group_argument()
@node_argument()
def command(config: str | None, *, as_json: bool, group: str, node: int) -> int:
    """What keeps a group from a node.

    Goes through the rules in the order in which they are applied: is NODE alive and fit, do the
    tables and `only=` allow it, is GROUP banned there, is it free, and is NODE the first
    choice. The first rule that does not hold is the answer, with the next step.

    Examples:
        mosha why-not web 3
        mosha why-not web 3 --json | jq -r .verdict

    Exit status: 0 nothing keeps it from there, or it is there; 1 something does; 2 no node
    knows GROUP; 3 no monitor answers.
    """
    return show(explain(config, Explain(group=group, node=node)), as_json=as_json)
