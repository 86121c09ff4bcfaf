"""`mosha drill`: drains a node, has it shot, waits for its return, and scores each step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import click
import msgspec

from mosha.cli.ask import ask, ask_report
from mosha.cli.commands.fence import BEGIN_LIMIT_S
from mosha.cli.completion import node_argument
from mosha.cli.config import config_option
from mosha.cli.drill_checks import concerns, homeless, owned, waits_for
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.output import go_on
from mosha.cli.settings import settings_to_ask
from mosha.cli.wait_options import Span
from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import GiveOrder, MonitorReply, MonitorRequest, ShootNode
from mosha.core.explain.problems import ProblemKind
from mosha.core.replication.judging import spread_limit_s
from mosha.core.status import Verb
from mosha.errors import UsageError
from mosha.formats.hastat import NodeReport, Report
from mosha.formats.settings import Settings

LOOK_S = 0.2
LIMIT_TEXT = "10m"


class DrillStep(msgspec.Struct, frozen=True):
    """One step: whether it succeeded, how many seconds it took, and what it came to."""

    step: str
    ok: bool
    took_s: float
    text: str


class Drill(msgspec.Struct, frozen=True):
    """All steps of a drill, as `--json` prints them; `left` is what it leaves to be done."""

    ok: bool
    node: int
    steps: list[DrillStep]
    left: str = ""


@click.command("drill", cls=Command, short_help="Rehearse the death of a node.")
@config_option
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option(
    "--limit",
    "limit_s",
    type=Span(),
    default=LIMIT_TEXT,
    show_default=True,
    metavar="TIME",
    help="How long its groups may take to leave, and the node to return.",
)
@click.option("--json", "as_json", is_flag=True, help="All steps as one JSON object.")
@node_argument()
def command(config: str | None, *, yes: bool, limit_s: float, as_json: bool, node: int) -> int:
    """Rehearse the death of a node.

    Puts NODE on standby and waits until each of its groups is at its level on another node; has it
    shot from this node; waits until it has started again and is heard; and ends its standby. Each
    step is a line with its time. The machine has to start by itself after a shot, or you switch it
    on. If a step fails, or you interrupt it, the drill ends there, and says what it leaves: NODE
    stays on standby, and a shot that has begun goes on.

    What speaks against it is said before it asks; with --yes the drill fails before anything is
    done. That is: no other node may take one of its groups; there is no quorum without NODE; its
    last test of fencing failed; or it would be shot by poison, which restarts nothing.

    Examples:
        mosha drill 3

    Exit status: 0 all steps succeeded; 1 one did not; 2 wrong usage, or no terminal to ask on, and
    no --yes; 3 no monitor answers.
    """
    settings = settings_to_ask(config)
    report = ask_report(settings)[0]
    before = _node(report, node)
    steps = _Steps(settings, report, node, limit_s, quiet=as_json)
    against = list(concerns(report, settings.fencing, node))
    if not (yes or _is_agreed(node, against)):
        return NOT_AS_WANTED
    agreed = [] if yes else against
    ok = False
    try:
        ok = steps.check(agreed) and _rehearse(steps, before, report, agreed)
    finally:
        left = steps.left()
        if as_json:
            click.echo(msgspec.json.encode(Drill(ok, node, steps.done, left)))
        elif left:
            click.echo(f"mosha: {left}", err=True)
    return AS_WANTED if ok else NOT_AS_WANTED


def _is_agreed(node: int, against: Sequence[str]) -> bool:
    """Ask whether to begin, having said what speaks against it.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"no terminal to ask on: to have node {node} shot, use --yes")
    for text in against:
        click.echo(f"mosha: {text}", err=True)
    if not click.confirm(f"Drain node {node}, and switch it off?", err=True):
        click.echo("mosha: nothing was done", err=True)
        return False
    return True


def _rehearse(steps: _Steps, before: NodeReport, report: Report, agreed: Sequence[str]) -> bool:
    """Do all steps until one fails. Groups that can run nowhere else need only leave the node."""
    node = before.node
    moving = owned(report, node) - homeless(report, node).keys()

    def undrained(now: Report) -> str:
        return waits_for(now, node, moving)

    def away(now: Report) -> str:
        is_back = any(_is_back(it, before) for it in now.nodes if it.node == node)
        return "" if is_back else f"node {node} was not heard of after a restart"

    return (
        steps.order("standby", GiveOrder(verb=Verb.STANDBY, node=node))
        and steps.wait("drained", undrained, "its groups run elsewhere")
        and steps.check(agreed)
        and steps.order("shot", ShootNode(node), steps.shot_limit_s)
        and steps.wait("returned", away, "it is heard again")
        and steps.order("unstandby", GiveOrder(verb=Verb.UNSTANDBY, node=node))
    )


def _node(report: Report, node: int) -> NodeReport:
    """Return a node that can be drilled from here.

    Raises:
        UsageError: it is this one, or not heard.
    """
    if node == report.node:
        raise UsageError(f"node {node} is this one: ask another node")
    found = next((each for each in report.nodes if each.node == node), None)
    if found is None or found.state != "fresh":
        raise UsageError(f"node {node} is not heard: a drill is for a node that is well")
    return found


def _outlived(report: Report, node: int) -> str:
    """Return in words that a node has outlived its shot, "" if it has not."""
    kind, subjects = ProblemKind.SHOT_OUTLIVED.value, [str(node)]
    found = (it for it in report.problem_list if (it.kind, it.subjects) == (kind, subjects))
    return next((it.text for it in found), "")


def _is_back(now: NodeReport, before: NodeReport) -> bool:
    """Say whether a later life of the node is heard."""
    return now.state == "fresh" and now.inc > before.inc and now.run != before.run


class _Steps:
    """The steps that were done, each printed when it ends."""

    def __init__(
        self, settings: Settings, report: Report, node: int, limit_s: float, *, quiet: bool
    ) -> None:
        self.done: list[DrillStep] = []
        self._report = report  # the newest one
        self._settings, self._node, self._limit_s = settings, node, limit_s
        self._quiet = quiet
        self._running: tuple[str, float] | None = None
        self._begun: set[str] = set()

    def check(self, agreed: Sequence[str]) -> bool:
        """Say whether nothing speaks against it but what was agreed to; else record a failure."""
        began = time.monotonic()
        against = concerns(self._report, self._settings.fencing, self._node)
        new = [text for text in against if text not in agreed]
        return not new or self.ended("checked", began, "; ".join(new), ok=False)

    def left(self) -> str:
        """End what was broken off, and return what is left to be done; "" if nothing is."""
        step = self._running[0] if self._running else ""
        if self._running:
            self.ended(*self._running, "broken off", ok=False)
        ended = any(it.step == "unstandby" and it.ok for it in self.done)
        if "standby" not in self._begun or ended:
            return ""
        shot = "if the shot has begun, it goes on: mosha status; " if step == "shot" else ""
        return f"{shot}node {self._node} stays on standby until: mosha unstandby {self._node}"

    def _begins(self, step: str) -> float:
        self._begun.add(step)
        self._running = (step, time.monotonic())
        return self._running[1]

    def order(self, step: str, request: MonitorRequest, more_s: float = 0.0) -> bool:
        """Send an order, and record what came of it."""
        began = self._begins(step)
        limit_s = CALL_LIMIT_S + spread_limit_s(self._settings.timing.heartbeat_s) + more_s
        reply: MonitorReply = ask(self._settings, request, limit_s)
        return self.ended(step, began, reply.text, ok=reply.ok)

    @property
    def shot_limit_s(self) -> float:
        """How long a shot takes at most, from its order to its report."""
        return self._settings.fencing.shot_limit_s + BEGIN_LIMIT_S

    def wait(self, step: str, lacking: Callable[[Report], str], text: str) -> bool:
        """Wait until nothing is lacking in the report, and record it."""
        began = self._begins(step)
        while True:
            self._report = report = ask_report(self._settings)[0]
            if not (missing := lacking(report)):
                return self.ended(step, began, text, ok=True)
            if outlived := _outlived(report, self._node):
                return self.ended(step, began, outlived, ok=False)
            if time.monotonic() - began >= self._limit_s:
                late = f"not within {self._limit_s:g} s: {missing}"
                return self.ended(step, began, late, ok=False)
            time.sleep(LOOK_S)

    def ended(self, step: str, began: float, text: str, *, ok: bool) -> bool:
        """Record a step that ends now, and print it."""
        done = DrillStep(step, ok, round(time.monotonic() - began, 3), text)
        self.done.append(done)
        self._running = None
        if not self._quiet:
            click.echo(f"{'ok' if ok else 'FAILED':6} {step:9} {done.took_s:6.1f} s  {text}")
            go_on()
        return ok
