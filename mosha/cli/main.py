"""The command `mosha`: finds the subcommand, and turns errors into exit statuses.

A subcommand's module is imported only when it is used: `mosha --help` answers at once, and the
monitor loads nothing that only prints. Each module has one `command`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from mosha import __version__
from mosha.cli import output
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, exit_status_of
from mosha.cli.gc_tuning import end, kept
from mosha.cli.help_text import Command
from mosha.formats.names import nearest

COMMANDS = {
    "init": "A first mosha.toml for this node.",
    "run": "The monitor of this node, in the foreground.",
    "status": "What runs where, what is wrong, and what to do.",
    "check": "Every mistake in mosha.toml, cltab and hactl.",
    "set": "Move a group to a level, everywhere.",
    "start": "Run a group, or an entry that was stopped.",
    "stop": "Stop a group on all nodes, or one of its entries.",
    "restart": "Stop a group or an entry and start it again.",
    "move": "Move a group to another node, once.",
    "cleanup": "Let a group be tried again where it failed.",
    "fail": "Report that a group has failed on this node.",
    "standby": "Let a node run nothing, and vote.",
    "unstandby": "Let a node on standby run groups again.",
    "why": "Why a group is where it is, rule by rule.",
    "why-not": "What keeps a group from a node.",
    "fence": "Have a node shot, or test whether that would work.",
    "drill": "Rehearse the death of a node.",
    "disarm": "Let no node be shot for a while.",
    "arm": "Let stale nodes be shot again.",
    "views": "Where nodes disagree about each other.",
    "events": "What changes in the cluster, as it happens.",
    "logs": "The log, for people.",
    "confirm": "Vouch that a node is dead.",
    "shutdown": "Stop this node in an orderly way.",
    "ocf": "Resource agents: list, explain and test them.",
    "install-units": "The units for systemd.",
    "supervise": "The supervisor of this node, for a service manager.",
    "demo": "A cluster on this machine loses a node.",
}
"""Name -> the first line of its help (a test compares them), in the order of `--help`."""


def module_of(name: str) -> str:
    """Return the module of a subcommand."""
    return f"mosha.cli.commands.{name.replace('-', '_')}"


class Commands(Command, click.Group):
    """A group whose subcommands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand, None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        with kept():
            found: click.Command = importlib.import_module(module_of(cmd_name)).command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; the error for a mistyped one has a suggestion."""
        name = args[0]
        if name not in COMMANDS and name[:1].isalnum():
            ctx.fail(f"no such command: {name}; {nearest(name, COMMANDS)}see mosha --help")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the subcommands with this prefix, without importing any."""
        found = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a reader that goes away (``mosha logs | head``) is not an error."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except output.ReaderGoneError:
            return AS_WANTED
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    invoke_without_command=True,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@config_option
@click.pass_context
def root(ctx: click.Context, config: str | None) -> object:
    """An init for a whole cluster, without a head node.

    Every node runs the same program. cltab says which processes make up which group, hactl
    says which groups run, and mosha makes sure that each group runs on exactly one node.
    Without a command, `mosha` is `mosha run`.

    See it work, on this machine, as any user:
        mosha demo

    Operate a cluster:
        mosha status
        mosha set web start prefer=2,3
        mosha check

    Exit status: 0 as wanted; 1 not as wanted (degraded, refused, failed); 2 wrong usage; 3 no
    daemon answers.
    """
    if ctx.invoked_subcommand is not None:
        return None
    run = root.get_command(ctx, "run")
    return ctx.invoke(run, config=config) if run else None


def entry(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (of this process, if none is given); return its exit status."""

    def command() -> object:
        return root.main(args=arguments, prog_name="mosha", standalone_mode=False)

    return exit_status_of(command)


def main() -> None:
    """Run as the script `mosha`."""
    output.prepare()
    end(entry())


if __name__ == "__main__":
    main()
