"""`mosha run`: the monitor of this node, in the foreground."""

from __future__ import annotations

import sys

import anyio
import click

from mosha import logs
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.settings import load_settings
from mosha.monitor.run import run_monitor


@click.command("run", cls=Command, short_help="The monitor of this node, in the foreground.")
@config_option
@click.option("--debug", is_flag=True, help="Log everything, for people.")
def command(config: str | None, *, debug: bool = False) -> int:
    """The monitor of this node, in the foreground.

    It publishes what runs here, watches the other nodes, and sees to it that each group of
    hactl runs on exactly one of them. It starts clinit, the supervisor of the processes, if
    none answers; clinit and the processes survive the death of the monitor, and the next
    one takes them over.

    The log goes to stderr: JSON lines, or lines for people on a terminal and with --debug
    (`mosha logs` makes the former into the latter). SIGTERM, SIGINT and SIGQUIT stop all
    groups here and leave; SIGHUP reads the settings and both tables again.

    Examples:
        mosha run
        mosha run --config ./node1.toml --debug
        mosha run 2>> /var/log/mosha.log

    Exit status: 0 left as asked; 1 could not run, or had to stop; 2 wrong settings.
    """
    settings = load_settings(config)
    level = "debug" if debug else settings.log_level
    logs.configure(people=debug or sys.stderr.isatty(), level=level)

    async def run() -> int:
        return await run_monitor(settings, read_settings=lambda: load_settings(config))

    return anyio.run(run)
