"""The exit statuses of every command, and how an error becomes one.

0 as wanted, 1 not as wanted (degraded, refused, failed), 2 wrong usage, 3 no daemon answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from mosha.errors import BugError, HostError, MoshaError, UsageError, used_up

AS_WANTED = 0
NOT_AS_WANTED = 1
WRONG_USAGE = 2
NO_DAEMON = 3


class NoDaemonError(HostError):
    """No daemon answers on a socket; the message says on which, and what to start."""


def exit_status_of(command: Callable[[], object]) -> int:
    """Run a command and return its exit status; errors are printed on stderr.

    An error of the user's or the host's prints its message, one of ours keeps its traceback; the
    same goes for several at once, raised by a task group.
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
        return _told([error])
    except OSError as error:
        shortage = used_up(error)
        if shortage is None:
            raise
        return _told([shortage])
    except ExceptionGroup as group:
        errors = [used_up(error) or error for error in _leaves(group)]
        if any(
            not isinstance(error, MoshaError) or isinstance(error, BugError) for error in errors
        ):
            raise
        return _told(errors)
    return result if isinstance(result, int) else AS_WANTED


def show_mistyped(error: click.ClickException, program: str) -> None:
    """Print the usage of `program`, and what is wrong with its command line."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"{error.ctx.get_usage()}\nmore: {error.ctx.command_path} --help\n", err=True)
    message = error.format_message()
    click.echo(f"{program}: {message[:1].lower()}{message[1:]}", err=True)


def _told(errors: Sequence[Exception]) -> int:
    """Print each message once, in lines of their own; return the exit status of the first."""
    for text in dict.fromkeys(map(str, errors)):
        for line in text.split("\n"):
            click.echo(f"mosha: {line}", err=True)
    return status_of_error(errors[0])


def _leaves(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in _leaves(part)]


def status_of_error(error: Exception) -> int:
    """Return the exit status for an error."""
    if isinstance(error, NoDaemonError):
        return NO_DAEMON
    return WRONG_USAGE if isinstance(error, UsageError) else NOT_AS_WANTED
