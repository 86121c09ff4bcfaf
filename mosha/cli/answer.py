"""What a command prints after a request to the monitor: the reply, and what came of it."""

from __future__ import annotations

import click
import msgspec
from msgspec.structs import replace

from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.progress import Goal, wait_for
from mosha.control.protocol import MonitorReply
from mosha.formats.settings import Settings


class Answer(msgspec.Struct, frozen=True):
    """What the monitor answered, as `--json` prints it."""

    ok: bool
    text: str


def tell(text: str, *, ok: bool, as_json: bool, tried: bool = False) -> int:
    """Print what the monitor answered, and return the exit status.

    To stderr if the monitor refused, or `tried` and did not succeed; with `as_json` as the one
    JSON object that programs get.
    """
    if as_json:
        click.echo(msgspec.json.encode(Answer(ok, text)))
    elif text:
        trouble = f"mosha: {text}" if tried else f"mosha: refused: {text}"
        click.echo(text if ok else trouble, err=not ok)
    return AS_WANTED if ok else NOT_AS_WANTED


def tell_reply(reply: MonitorReply, *, as_json: bool) -> int:
    """Print the monitor's reply, and return the exit status."""
    return tell(reply.text, ok=reply.ok, as_json=as_json, tried=reply.tried)


def see_through(
    settings: Settings, reply: MonitorReply, goal: Goal, limit_s: float, *, as_json: bool
) -> int:
    """Print a reply, wait until the request has taken effect, and print whether it has.

    People read the reply at once; a program gets one object at the end, which is true by then.
    """
    if not reply.ok:
        return tell_reply(reply, as_json=as_json)
    if not as_json:
        tell(reply.text, ok=True, as_json=False)
    ordered = replace(goal, level=reply.level or goal.level)
    outcome = wait_for(settings, ordered, limit_s)
    if as_json:
        return tell(f"{reply.text}; {outcome.text}", ok=outcome.reached, as_json=True)
    click.echo(outcome.text if outcome.reached else f"mosha: {outcome.text}", err=True)
    return AS_WANTED if outcome.reached else NOT_AS_WANTED
