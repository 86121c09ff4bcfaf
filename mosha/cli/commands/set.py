"""`mosha set`: moves a group to a level, by an edit of hactl that wins everywhere."""

from __future__ import annotations

import click

from mosha.cli.answer import see_through, tell_reply
from mosha.cli.ask import ask
from mosha.cli.completion import group_argument
from mosha.cli.config import config_option
from mosha.cli.help_text import Command
from mosha.cli.progress import Goal
from mosha.cli.settings import settings_to_ask
from mosha.cli.wait_options import limit_option, wait_option
from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import SetWish
from mosha.core.replication.judging import spread_limit_s
from mosha.core.wish_options import OPTIONS
from mosha.formats.hactl import parse_change


class _Set(Command):
    """The command; says how options of a group are written where one is mistyped as its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name.lstrip("-")
            form = next((option.form for option in OPTIONS if option.name == name), None)
            if form is None:
                raise
            problem = f"{error.option_name} is an option of the group: write {form}, without dashes"
            raise click.UsageError(problem, ctx) from error


@click.command("set", cls=_Set, short_help="Move a group to a level, everywhere.")
@config_option
@click.option("--force", is_flag=True, help="Accept a level, a node or a group that is not known.")
@wait_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@group_argument()
@click.argument("level")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
def command(
    config: str | None,
    *,
    force: bool,
    wait: bool,
    limit_s: float,
    as_json: bool,
    group: str,
    level: str,
    options: tuple[str, ...],
) -> int:
    """Move a group to a level, everywhere.

    Rewrites the line of GROUP in hactl; the rest of the file stays as it is. All nodes
    adopt the new hactl, and the group moves: to LEVEL where it runs, or, if OPTION says so, to
    another node. Options that are not named stay as they are. The answer lists the nodes on
    which the edit is in force.

    Options of a group:
        prefer=2,3      these nodes first, in this order; prefer=any: none
        only=1,2        no other nodes; only=any: all
        failback=yes    back to a preferred node as soon as it has returned
        on-failure=move:3/10m   to another node after 3 failures in 10 min
        on-failure=restart:3/10m,move:2/1h,stop
                        3 restarts in 10 min, 2 moves in 1 h, then a stop
        after=db        once group db is at its level; after=none: at once
        with=db         on the node of group db
        apart=db        not on the node of group db
        priority=10     before groups with a lower priority
        weight=2048     takes so much of the capacity of its node
        on=all          an instance on each node

    Examples:
        mosha set web start
        mosha set web start prefer=2,3 failback=yes
        mosha set web start only=any
        mosha set web stop --wait

    Exit status: 0 in force, with --wait reached; 1 refused, or not reached, with the reason; 2
    wrong usage; 3 no monitor answers.
    """
    parse_change([group, level, *options])  # all mistakes at once, without asking the monitor
    request = SetWish(group=group, level=level, options=options, force=force)
    return edit_wish(config, request, limit_s=limit_s if wait else None, as_json=as_json)


def edit_wish(config: str | None, request: SetWish, *, limit_s: float | None, as_json: bool) -> int:
    """Edit a wish, print the answer, and wait up to `limit_s` for the group if it is given."""
    settings = settings_to_ask(config)
    answer_s = CALL_LIMIT_S + spread_limit_s(settings.timing.heartbeat_s)
    reply = ask(settings, request, answer_s)
    if limit_s is None:
        return tell_reply(reply, as_json=as_json)
    return see_through(
        settings, reply, Goal(request.group, request.level), limit_s, as_json=as_json
    )
