"""`mosha arm`: ends `mosha disarm`."""

from __future__ import annotations

import click

from mosha.cli.answer import tell_reply
from mosha.cli.ask import ask
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.settings import settings_to_ask
from mosha.control.protocol import DisarmAll


@click.command("arm", cls=Command, short_help="Let stale nodes be shot again.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
def command(config: str | None, *, as_json: bool) -> int:
    """Let stale nodes be shot again.

    Ends `mosha disarm` on all nodes before its time.

    Examples:
        mosha arm

    Exit status: 0 done; 1 refused; 2 wrong usage; 3 no monitor answers.
    """
    return tell_reply(ask(settings_to_ask(config), DisarmAll(0.0)), as_json=as_json)
