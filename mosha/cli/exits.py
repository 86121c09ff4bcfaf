"""The exit statuses of every command, and how an error becomes one.

0 as wanted, 1 not as wanted (degraded, refused, failed), 2 wrong usage, 3 no daemon answers.
"""

from __future__ import annotations

from collections.abc import Callable

import click

from mosha.errors import BugError, HostError, MoshaError, UsageError

AS_WANTED = 0
NOT_AS_WANTED = 1
WRONG_USAGE = 2
NO_DAEMON = 3


class NoDaemonError(HostError):
    """Nothing answers on a socket; the message says on which, and what to start."""


def exit_status_of(command: Callable[[], object]) -> int:
    """Run a command and return its exit status; what went wrong is told on stderr.

    An error that is the user's or the host's is its message, one of ours keeps its traceback.
    """
    try:
        result = command()
    except click.ClickException as error:
        show_mistyped(error, "mosha")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("mosha: aborted", err=True)
        return NOT_AS_WANTED
    except BugError:
        raise
    except MoshaError as error:
        click.echo(f"mosha: {error}", err=True)
        return status_of_error(error)
    return result if isinstance(result, int) else AS_WANTED


def show_mistyped(error: click.ClickException, program: str) -> None:
    """Say what is wrong with a command line of `program`, after how it is used."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"{error.ctx.get_usage()}\nmore: {error.ctx.command_path} --help\n", err=True)
    message = error.format_message()
    click.echo(f"{program}: {message[:1].lower()}{message[1:]}", err=True)


def status_of_error(error: MoshaError) -> int:
    """Return the exit status that an error stands for."""
    if isinstance(error, NoDaemonError):
        return NO_DAEMON
    return WRONG_USAGE if isinstance(error, UsageError) else NOT_AS_WANTED
