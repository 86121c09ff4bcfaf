"""`mosha run`: runs the monitor of this node, in the foreground."""

from __future__ import annotations

import signal
from typing import TextIO, cast

import anyio
import click

from mosha.cli.config import config_option, hand_down
from mosha.cli.help_text import Command
from mosha.cli.settings import load_settings
from mosha.formats.settings import Settings
from mosha.host import logs
from mosha.host.journal import Journal
from mosha.host.log_stream import take_stderr
from mosha.host.logfile import LogFile
from mosha.host.loop_room import require_loop_room
from mosha.monitor.run import HAND_OVER_SIGNAL, run_monitor


@click.command("run", cls=Command, short_help="The monitor of this node, in the foreground.")
@config_option
@click.option("--debug", is_flag=True, help="Log everything, for people.")
@click.option(
    "--no-clinit",
    is_flag=True,
    help="Do not start or end clinit: wait until it answers (for systemd).",
)
def command(config: str | None, *, debug: bool = False, no_clinit: bool = False) -> int:
    """The monitor of this node, in the foreground.

    It publishes what runs here, watches the other nodes, and makes sure that each group of
    hactl runs on exactly one of them. It starts clinit, the supervisor of the processes, if
    none answers; clinit and the processes survive the death of the monitor, and the next
    monitor takes them over.

    The log goes to stderr: JSON lines, which `mosha logs` reads, or on a terminal and with
    --debug short lines of its own, in UTC; with `log_file` in the settings the JSON lines go
    there. SIGTERM, SIGINT and SIGQUIT stop all groups here and leave the cluster; SIGUSR1 ends
    the monitor and keeps the groups running, for the next monitor to take over; SIGHUP reads
    the settings and both tables again. A monitor whose terminal is closed leaves as well, unless
    it was started with nohup.

    Examples:
        mosha run
        mosha run --config ./node1.toml --debug
        mosha run 2>> /var/log/mosha.log

    Exit status: 0 left as asked; 1 could not run, or had to stop; 2 wrong settings: a mistake in
    them, or the rundir or the node number of another running monitor.
    """
    settings = load_settings(config)
    hand_down(config)
    level = "debug" if debug else settings.log_level
    file = _log_file(settings)
    stream = take_stderr()
    people = debug or stream.isatty()
    journal = Journal.behind(stream.fileno(), "mosha")
    logs.configure(
        people=people, level=level, stream=cast("TextIO", stream), file=file, journal=journal
    )

    async def run() -> int:
        return await run_monitor(
            settings, read_settings=lambda: load_settings(config), starts_clinit=not no_clinit
        )

    try:
        require_loop_room()
        status = anyio.run(run)
    finally:
        if file is not None:
            file.close()
    if status == -HAND_OVER_SIGNAL:
        stream.drain()  # this process prints nothing after the signal
        # By the signal itself: the parent sees that the node was not asked to leave.
        signal.signal(HAND_OVER_SIGNAL, signal.SIG_DFL)
        signal.raise_signal(HAND_OVER_SIGNAL)
    return status


def _log_file(settings: Settings) -> LogFile | None:
    if settings.log_path is None:
        return None
    return LogFile(
        settings.log_path, max_bytes=settings.log_file_max_bytes, keep=settings.log_file_keep
    )
