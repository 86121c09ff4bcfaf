"""`mosha shutdown`: stops this node in an orderly way."""

from __future__ import annotations

import socket
from pathlib import Path

import click
import msgspec

from mosha.cli.ask import ask
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.set import tell
from mosha.cli.settings import load_settings
from mosha.control.protocol import Leave, MonitorReply
from mosha.errors import HostError

ANSWER_LIMIT_S = 10.0


@click.command("shutdown", cls=Command, short_help="Stop this node in an orderly way.")
@config_option
@click.option("--wait", is_flag=True, help="Return only when the node has left.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
def command(config: str | None, *, wait: bool, as_json: bool) -> int:
    """Stop this node in an orderly way.

    All groups here are stopped, then clinit and the monitor end, and the node is marked as
    having left: the others take its groups at once, and nobody shoots it. The same as
    SIGTERM to the monitor. How long it takes is a matter of the groups' stop entries.

    Examples:
        mosha shutdown
        mosha shutdown --wait && systemctl poweroff

    Exit status: 0 under way, with --wait done; 1 refused; 3 no monitor answers.
    """
    settings = load_settings(config)
    path = settings.monitor_socket_path
    reply = _leave_and_wait(path) if wait else None
    if reply is None:  # not asked to wait; or nobody there, and `ask` says it best
        reply = ask(settings, Leave())
    tell(reply.text, ok=reply.ok, as_json=as_json)
    return AS_WANTED if reply.ok else NOT_AS_WANTED


def _leave_and_wait(path: Path) -> MonitorReply | None:
    """Ask the monitor to leave, and wait until it closes the connection: then it has left.

    None if nobody listens.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_LIMIT_S)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        with connection.makefile("rwb") as stream:
            try:
                stream.write(msgspec.json.encode(Leave()) + b"\n")
                stream.flush()
                reply = msgspec.json.decode(stream.readline(), type=MonitorReply)
                connection.settimeout(None)  # a group may take any time to stop
                while reply.ok and stream.read(1):
                    pass
            except (OSError, msgspec.MsgspecError) as error:
                raise HostError(f"the monitor at {path} did not leave: {error}") from error
    return reply
