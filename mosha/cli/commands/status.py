"""`mosha status`: what runs where, what is wrong, and what to do."""

from __future__ import annotations

import click

from mosha.cli.ask import ask_report
from mosha.cli.completion import groups
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.settings import settings_to_ask
from mosha.errors import UsageError
from mosha.formats.hastat import render_hastat
from mosha.formats.hastat_perl import render_perl


@click.command("status", cls=Command, short_help="What runs where, what is wrong, and what to do.")
@config_option
@click.argument("group", shell_complete=groups, required=False, default="")
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON (hastat).")
@click.option("--watch", is_flag=True, help="Keep showing it, until q.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["people", "json", "perl"]),
    default="people",
    help="perl: as hastat of OpenMosix::HA.",
)
def command(config: str | None, *, group: str, as_json: bool, watch: bool, form: str) -> int:
    """What runs where, what is wrong, and what to do.

    Shows the cluster as the monitor of this node sees it: first what is wrong, then each
    group on each node, as that node reports it, with the age of the report. Grey is old or
    does not matter, green is as wanted, yellow is on its way, red has failed.

    With GROUP: each of its entries on this node with its pid, since when it runs, its restarts, its
    last exit and the last lines that it printed, and what the other nodes report about it.

    With --watch: what is wrong first, then the groups, those with problems before the others;
    nodes, quorum and lease stay on the screen. The arrows, PgUp, PgDn, Home and End scroll, `/`
    shows groups by a part of their names (Esc: all), `?` shows the keys, `q` quits. In a pipe a
    page is printed after each change.

    Examples:
        mosha status
        mosha status web
        mosha status --watch
        mosha status --json | jq '.groups[] | select(.ok | not) | .why'

    Exit status: 0 all groups (or GROUP) as wanted and no problem; 1 otherwise; 2 no node
    knows GROUP; 3 no monitor answers.
    """
    if as_json and form == "perl":
        raise UsageError("--json and --format perl exclude each other")
    settings = settings_to_ask(config)
    if watch:
        if group:
            raise UsageError("--watch shows all groups; leave GROUP out")
        if as_json or form != "people":
            raise UsageError("--watch is for people; programs ask again, or read hastat")
        from mosha.cli.status.screen_report import watch_report  # noqa: PLC0415 - as below

        return watch_report(settings)
    report, _ = ask_report(settings, group=group)
    if as_json or form == "json":
        click.echo(render_hastat(report), nl=False)
    elif form == "perl":
        click.echo(render_perl(report).encode(), nl=False)
    else:
        from mosha.cli.status.screen_report import print_report  # noqa: PLC0415 - --json does without

        print_report(report, group)
    return AS_WANTED if report.as_wanted else NOT_AS_WANTED
