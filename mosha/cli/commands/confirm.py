"""`mosha confirm`: the operator vouches that a node is dead."""

from __future__ import annotations

import sys

import click

from mosha.cli.answer import tell, tell_reply
from mosha.cli.ask import ask, ask_report
from mosha.cli.completion import node_argument
from mosha.cli.config import config_option
from mosha.cli.exits import NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.settings import settings_to_ask
from mosha.control.protocol import Confirm
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import Policy
from mosha.core.cluster.wording import said
from mosha.errors import UsageError
from mosha.formats.hastat import Report


@click.command("confirm", cls=Command, short_help="Vouch that a node is dead.")
@config_option
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@node_argument()
def command(config: str | None, *, yes: bool, as_json: bool, node: int) -> int:
    """Vouch that a node is dead.

    Where fencing is required, the groups of a silent node start elsewhere only when it is
    certain that they no longer run: the fencing method reports it, or you do. Look first: the
    machine must be switched off, or none of its groups may be running.
    If you are wrong, two nodes run the same group.

    Examples:
        mosha confirm 3
        mosha confirm 3 --yes

    Exit status: 0 accepted; 1 refused (NODE is alive, or was never seen); 2 wrong usage, or no
    terminal to ask on, and no --yes; 3 no monitor answers.
    """
    settings = settings_to_ask(config)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"no terminal to ask on: if node {node} is dead, use --yes")
        report, _data = ask_report(settings)
        problem = _not_to_confirm(report, node)
        if problem:
            return tell(problem, ok=False, as_json=as_json)
        if not report.quorum.has:
            click.echo(f"note: {_effect(report)}", err=True)
        question = f"Is node {node} switched off, and nothing of it running any more?"
        if not click.confirm(question, err=True):
            click.echo("mosha: nothing was confirmed", err=True)
            return NOT_AS_WANTED
    reply = ask(settings, Confirm(node=node))
    return tell_reply(reply, as_json=as_json)


def _effect(report: Report) -> str:
    """Return what a confirmation does without a quorum: half of an even cluster goes on alone."""
    quorum = report.quorum
    if quorum.policy == Policy.MAJORITY and 2 * quorum.seen == len(quorum.electorate):
        more = "if one of them runs after all, groups run twice"
        return f"this half goes on alone when every node of the other is certainly off; {more}"
    return "this node has no quorum; what is confirmed here moves nothing until it has"


def _not_to_confirm(report: Report, node: int) -> str:
    """Return why no confirmation is needed or possible, or ""."""
    if node == report.node:
        return f"node {node} is this one, and alive"
    seen = next((each for each in report.nodes if each.node == node), None)
    if seen is None:
        others = ", ".join(str(each.node) for each in report.nodes)
        return f"there is no node {node}; the nodes are {others}"
    if seen.state == "fresh":
        age = f" {seen.age_s:.1f} s ago" if seen.age_s is not None else ""
        return f"node {node} is alive: it was heard{age}"
    if seen.state == "left":
        return f"node {node} {said(Standing.LEFT)}: nothing waits for a confirmation"
    return ""
