"""`mosha fence`: has a node shot, or, with `--test`, finds out whether that would work."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import msgspec

from mosha.cli.answer import tell_reply
from mosha.cli.ask import ask, ask_report
from mosha.cli.completion import node_argument
from mosha.cli.config import config_option
from mosha.cli.drill_checks import without_quorum
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.output import go_on
from mosha.cli.settings import settings_to_ask
from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import AskFenceNodes, RunFenceTest, ShootNode
from mosha.core.cluster import shots
from mosha.errors import HostError, UsageError
from mosha.formats.fence_tests import FenceTest, FenceTests, parse_nodes, parse_tests
from mosha.formats.settings import Settings

BEGIN_LIMIT_S = shots.ASKED_S + shots.REPORTED_S
"""So long the monitor takes at most to begin a shot, and to report its end."""

WORDS = {"good": "good", "failed": "FAILED", "untested": "not tested"}


@click.command(
    "fence", cls=Command, short_help="Have a node shot, or test whether that would work."
)
@config_option
@click.option("--test", "is_test", is_flag=True, help="Test it. Nothing is switched off.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="The answer, or all tests, as one object.")
@node_argument(required=False)
def command(
    config: str | None, *, is_test: bool, yes: bool, as_json: bool, node: int | None
) -> int:
    """Have a node shot, or test whether that would work.

    Without `--test` this node shoots NODE now, dead or alive, whatever holds other shots back
    (`mosha disarm`, the brake, the budget). All that runs there ends at once. A node that was
    still heard counts as dead when it has been silent for `timeout`. If there is no quorum without
    NODE, the question says so.

    With `--test` nothing is switched off: the monitor of this node tests each method of mosha.toml
    that could shoot NODE, or, without NODE, each node that a method can shoot, dead or alive. A
    fence agent is run with the options and secrets of a shot: `monitor`, `status`, and `list` where
    it has that. The test fails if there is no answer, if the plug of a node that is alive is off,
    if the device does not list the plug, or if two nodes have the same one. A command is tested by
    its `test`. A line says what cannot be tested without a shot.

    Examples:
        mosha fence --test
        mosha fence --test 3
        mosha fence 3

    Exit status: 0 the node is off, no test failed; 1 refused, the shot or a test failed, or a shot
    is under way; 2 wrong usage, or no terminal to ask on, and no --yes; 3 no monitor answers.
    """
    if not is_test:
        return _shoot(config, node, yes=yes, as_json=as_json)
    found: list[FenceTest] = []
    for test in _tests(settings_to_ask(config), node or 0):
        found.append(test)
        if not as_json:
            click.echo(_line(test))
            go_on()
    ok = bool(found) and not any(test.outcome == "failed" for test in found)
    if as_json:
        click.echo(msgspec.json.encode(FenceTests(ok=ok, tests=found)))
    elif not found:
        whom = f"node {node}" if node else "any node"
        click.echo(f"mosha: no fencing method can shoot {whom}", err=True)
    return AS_WANTED if ok else NOT_AS_WANTED


def _shoot(config: str | None, node: int | None, *, yes: bool, as_json: bool) -> int:
    if node is None:
        raise click.UsageError("say which node to shoot, or: mosha fence --test")
    settings = settings_to_ask(config)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"no terminal to ask on: to have node {node} shot, use --yes")
        if text := without_quorum(ask_report(settings)[0], node):
            click.echo(f"mosha: {text}", err=True)
        if not click.confirm(f"Switch off node {node}, and all that runs there, now?", err=True):
            click.echo("mosha: nothing was shot", err=True)
            return NOT_AS_WANTED
    limit_s = settings.fencing.shot_limit_s + BEGIN_LIMIT_S + CALL_LIMIT_S
    return tell_reply(ask(settings, ShootNode(node), limit_s), as_json=as_json)


def _tests(settings: Settings, node: int) -> Iterator[FenceTest]:
    """Yield the tests of a node, or of all, as they end.

    Raises:
        UsageError: there is no such node.
        HostError: this node shoots, or the answer cannot be read.
        NoDaemonError: as `ask`.
    """
    reply = ask(settings, AskFenceNodes(node))
    if not reply.ok:
        raise UsageError(reply.text)
    try:
        for it in parse_nodes(bytes(reply.report)):
            reply = ask(settings, RunFenceTest(it.node), it.limit_s + CALL_LIMIT_S)
            if not reply.ok:
                raise HostError(reply.text)
            yield from parse_tests(bytes(reply.report))
    except ValueError as error:
        raise HostError(f"the monitor's answer cannot be read: {error}") from error


def _line(test: FenceTest) -> str:
    method = f"method {test.number} ({test.method})" if test.number else test.method
    return f"node {test.node}: {method}: {WORDS[test.outcome]}: {test.text}"
