"""`mosha why`: the current decision about a group, rule by rule."""

from __future__ import annotations

import click

from mosha.cli.ask import ask
from mosha.cli.completion import group_argument
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.settings import settings_to_ask
from mosha.control.protocol import Explain
from mosha.core.explain.reasons import Explanation
from mosha.errors import HostError, UsageError
from mosha.formats.explanation import parse_explanation, render_explanation


@click.command("why", cls=Command, short_help="Why a group is where it is, rule by rule.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The explanation as JSON.")
@group_argument()
def command(config: str | None, *, as_json: bool, group: str) -> int:
    """Why a group is where it is, rule by rule.

    Prints whether GROUP is as hactl wants it, if not why not and what to do next, and then each
    rule behind the decision: the tables in force, the wish and its options, quorum, where it
    is, which nodes could take it, votes, leases, fences, and what this node does about it.
    Each fact has the node that reported it, and its age.

    Examples:
        mosha why web
        mosha why web --json | jq -r '.reasons[] | select(.holds == "no") | .said'

    Exit status: 0 as wanted; 1 not as wanted; 2 no node knows GROUP; 3 no monitor answers.
    """
    return show(explain(config, Explain(group=group)), as_json=as_json)


def explain(config: str | None, request: Explain) -> Explanation:
    """Ask the monitor for an explanation.

    Raises:
        UsageError: no node knows the group.
        NoDaemonError, HostError: as `ask`.
    """
    reply = ask(settings_to_ask(config), request)
    if not reply.ok:
        raise UsageError(reply.text)
    try:
        return parse_explanation(bytes(reply.report))
    except ValueError as error:
        raise HostError(f"the monitor's answer cannot be read: {error}") from error


def show(explanation: Explanation, *, as_json: bool) -> int:
    """Print an explanation; return the exit status."""
    if as_json:
        click.echo(render_explanation(explanation), nl=False)
    else:
        from mosha.cli.status import layout  # noqa: PLC0415 - --json does without
        from mosha.cli.status.explanation_page import explanation_page  # noqa: PLC0415

        layout.show(explanation_page(explanation))
    return AS_WANTED if explanation.ok else NOT_AS_WANTED
