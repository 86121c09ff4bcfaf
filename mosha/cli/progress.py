"""Waits until a group is where a command wants it, and says meanwhile how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from mosha.cli.ask import ask_report
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.core.tables import STOP_LEVEL
from mosha.formats.hastat import GroupView
from mosha.formats.settings import Settings

LOOK_EVERY_S = 0.3
WAIT_LIMIT_S = 300.0

Reached = Callable[[GroupView], bool]

wait_option = click.option("--wait", is_flag=True, help="Return only when that has come about.")
limit_option = click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(0.0, 86_400.0),
    default=WAIT_LIMIT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long --wait waits.",
)


def as_wanted(group: GroupView) -> bool:
    """Say whether a group is as hactl wants it: at its level on a node, or stopped."""
    if group.wanted == STOP_LEVEL:
        return group.ok and not group.where
    return group.ok and bool(group.where)


def wait_for(settings: Settings, group: str, reached: Reached, limit_s: float) -> int:
    """Wait for a group; return the exit status that says whether it came about.

    Each change of what is known of it is a line on stderr.
    """
    deadline, told = time.monotonic() + limit_s, ""
    while True:
        report, _ = ask_report(settings)
        view = next((view for view in report.groups if view.group == group), None)
        if view is not None and reached(view):
            click.echo(f"{group}: {_places(view)}", err=True)
            return AS_WANTED
        now = f"{group}: {_places(view)}" + (f"; {view.why}" if view and view.why else "")
        if now != told:
            click.echo(told := now, err=True)
        if time.monotonic() >= deadline:
            click.echo(f"{group}: not reached within {limit_s:g} s", err=True)
            return NOT_AS_WANTED
        time.sleep(LOOK_EVERY_S)


def _places(view: GroupView | None) -> str:
    found = view.instances if view is not None else []
    at = [f"{item.level} {item.state} on node {item.node}" for item in found]
    return ", ".join(at) or "on no node"
