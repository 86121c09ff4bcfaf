"""`mosha fail`: a watcher reports that a group does not work on this node."""

from __future__ import annotations

import click

from mosha.cli.answer import tell_reply
from mosha.cli.ask import ask
from mosha.cli.completion import groups
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.settings import settings_to_ask
from mosha.control.protocol import FailGroup
from mosha.errors import UsageError
from mosha.formats.names import one_line

REASON = "reported by a watcher"


class _Fail(Command):
    """The command: a watcher that has no words for a failure still reports it."""

    may_be_empty = frozenset({"reason"})


@click.command("fail", cls=_Fail, short_help="Report that a group has failed on this node.")
@config_option
@click.option("--reason", default=REASON, show_default=True, help="Why, for status and log.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@click.argument("group", envvar="MOSHA_GROUP", required=False, shell_complete=groups)
def command(config: str | None, *, reason: str, as_json: bool, group: str | None) -> int:
    """Report that a group has failed on this node.

    For an entry that watches what the group needs: as after a failed test, the group is stopped
    here in good order, this node is banned from it for `ban` seconds, and another node takes it.
    In an entry of cltab, GROUP and the settings come from its environment (MOSHA_GROUP,
    MOSHA_CONFIG).

    Examples:
        mosha fail web
        mosha fail --reason "192.0.2.254 does not answer"

    Exit status: 0 accepted; 1 refused: it does not run here; 2 wrong usage; 3 no monitor answers.
    """
    if not group:
        raise UsageError("which group? write mosha fail GROUP; MOSHA_GROUP is not set")
    request = FailGroup(group=group, reason=one_line(reason) or REASON)
    reply = ask(settings_to_ask(config), request)
    return tell_reply(reply, as_json=as_json)
