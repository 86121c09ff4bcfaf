"""`mosha supervise`: this node's clinit, started and ended by a service manager."""

from __future__ import annotations

import os
import re
import select
import time

import click

from mosha.cli.config import config_option, hand_down
from mosha.cli.exits import AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.settings import load_settings
from mosha.control.address import answers
from mosha.control.calls import NoAnswerError, call
from mosha.control.protocol import Hello, Shutdown
from mosha.errors import HostError
from mosha.formats.settings import Settings
from mosha.host import notify
from mosha.monitor.clinit_link import RESTORE_LOOKS, RESTORE_POLL_S
from mosha.monitor.clinit_place import ClinitPlace, living_clinit
from mosha.monitor.files.membership import own_number

# A machine that stalls for a moment must not cost all services.
WATCHDOG_MIN_S = 1.0
CALL_LIMIT_S = 5.0
_PID = re.compile(r"clinit (\d+) ")


@click.command(
    "supervise", cls=Command, short_help="The supervisor of this node, for a service manager."
)
@config_option
@click.option("--stop", is_flag=True, help="End it: halt all groups, and wait until it is gone.")
def command(config: str | None, *, stop: bool) -> int:
    """The supervisor of this node, for a service manager.

    Becomes the clinit that `mosha run` would start: the same program with the same socket,
    tables and state, from the settings. `mosha run --no-clinit` waits for it. This is what
    mosha-clinit.service runs; you do not need it by hand. It ignores SIGTERM, SIGINT, SIGQUIT
    and SIGHUP, so that its groups end only as its monitor decides: --stop ends it.

    Examples:
        mosha supervise
        mosha supervise --stop

    Exit status: that of clinit; with --stop: 0 it is gone, also if there was none.
    """
    settings = load_settings(config)
    if stop:
        _stop(settings)
    else:
        hand_down(config)
        words = ClinitPlace.of(settings, own_number(settings)).command()
        environment = {**os.environ, **_fitting_watchdog(settings)}
        os.execve(words[0], words, environment)  # noqa: S606 - to become it is the point
    return AS_WANTED


def _fitting_watchdog(settings: Settings) -> dict[str, str]:
    """Make the watchdog act within the stop budget; return the environment that sets it.

    A clinit that stalls at `stop_at` is ended with all its processes by `kill_at`: the promise
    holds as if it had not stalled (docs/explanation/protocol.md).
    """
    # The notify socket of the service manager stays in the environment, for clinit.
    notifier = notify.take(dict(os.environ))
    if notifier.watchdog_s is None:
        return {}
    notifier.watch(min(notifier.watchdog_s, max(settings.timing.stop_budget_s, WATCHDOG_MIN_S)))
    return notify.watchdog_environment(notifier.watchdog_s)


def _wait_for_socket(settings: Settings) -> None:
    """Wait until a clinit whose socket was removed has made it again."""
    for _ in range(RESTORE_LOOKS):
        if answers(settings.socket_path) or not living_clinit(settings.state_path):
            return
        time.sleep(RESTORE_POLL_S)


def _stop(settings: Settings) -> None:
    """Halt all groups and wait until the process has ended, however long that takes."""
    path = settings.socket_path
    try:
        _wait_for_socket(settings)
        found = _PID.match(call(path, Hello(), CALL_LIMIT_S).text)
        if found is None:
            raise HostError(f"what answers at {path} is not clinit")
        process = os.pidfd_open(int(found[1]))
    except (NoAnswerError, ProcessLookupError):
        return
    try:
        reply = call(path, Shutdown(), CALL_LIMIT_S)
        click.echo(reply.text, err=True)
        select.select([process], [], [])
    except NoAnswerError:
        return  # it was ending already
    finally:
        os.close(process)
