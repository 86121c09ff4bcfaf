"""`mosha shutdown`: stops this node in an orderly way."""

from __future__ import annotations

import select
import socket

import click
import msgspec

from mosha.cli.answer import tell_reply
from mosha.cli.ask import no_daemon
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.progress import follow_stop
from mosha.cli.settings import settings_to_ask
from mosha.control.calls import NoAnswerError
from mosha.control.protocol import Leave, MonitorReply
from mosha.errors import HostError
from mosha.formats.settings import Settings

ANSWER_LIMIT_S = 1.0
"""How long to wait for an answer without --wait."""


@click.command("shutdown", cls=Command, short_help="Stop this node in an orderly way.")
@config_option
@click.option("--wait", is_flag=True, help="Return when the node has left; print the progress.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
def command(config: str | None, *, wait: bool, as_json: bool) -> int:
    """Stop this node in an orderly way.

    All groups here are stopped, then clinit and the monitor end, and the node is marked as
    having left: the others take its groups at once, and it is not fenced. The same as
    SIGTERM to the monitor. How long it takes depends on the groups' stop entries.

    Examples:
        mosha shutdown
        mosha shutdown --wait && systemctl poweroff

    Exit status: 0 under way, with --wait done; 1 refused, or ended
    without leaving, because clinit was lost; 2 wrong usage; 3 no monitor answers.
    """
    reply = _leave(settings_to_ask(config), wait=wait)
    return tell_reply(reply, as_json=as_json)


def _leave(settings: Settings, *, wait: bool) -> MonitorReply:
    """Ask the monitor to leave; it closes the connection when it has left."""
    path = settings.monitor_socket_path
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(None if wait else ANSWER_LIMIT_S)
        try:
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(Leave()) + b"\n")
            if wait:
                follow_stop(settings, lambda limit_s: _readable(connection, limit_s))
            with connection.makefile("rb") as stream:
                said = stream.readline()
                reply = msgspec.json.decode(said, type=MonitorReply) if said else None
                while wait and reply is not None and reply.ok and stream.read(1):
                    pass
        except TimeoutError:  # the request has arrived; the answer comes when the node has left
            return MonitorReply(ok=True, text="this node is leaving")
        except (FileNotFoundError, ConnectionError) as error:
            raise no_daemon(path, error) from error
        except OSError as error:
            raise HostError(f"cannot talk to {path}: {error.strerror or error}") from error
        except msgspec.MsgspecError as error:
            raise HostError(f"cannot talk to {path}: {error}") from error
    if reply is None:
        raise no_daemon(path, NoAnswerError(f"the monitor at {path} closed the connection"))
    return reply


def _readable(connection: socket.socket, limit_s: float) -> bool:
    return bool(select.select([connection], [], [], limit_s)[0])
