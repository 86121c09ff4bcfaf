"""`mosha logs`: prints the JSON lines that mosha logs, for people."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click

from mosha.cli.colours import color_option, wants_colours
from mosha.cli.completion import group_option, node_option
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.logs.files import FileSource
from mosha.cli.logs.lines import LEVELS, Filter, key_of, last_key_of
from mosha.cli.logs.merge import LineSource, Record, blocks
from mosha.cli.logs.pipes import (
    UNITS,
    JournalSource,
    journal_command,
    journal_knows,
    standard_input,
)
from mosha.cli.logs.when import moment
from mosha.cli.output import go_on
from mosha.cli.settings import load_settings
from mosha.core.instance_names import single
from mosha.errors import UsageError
from mosha.formats.cltab import parse_cltab
from mosha.formats.names import nearest
from mosha.host.log_printer import Printer
from mosha.host.logfile import beside

STDIN = "-"


@click.command("logs", cls=Command, short_help="The log, for people.")
@config_option
@click.option("-f", "--follow", is_flag=True, help="Wait for more, also after a rotation.")
@click.option("-u", "--journal", is_flag=True, help="Read the units of mosha in the journal.")
@click.option("--unit", multiple=True, metavar="U", help="With --journal: these units instead.")
@group_option("Only what concerns this group.")
@node_option("Only lines of node N.")
@click.option("--event", multiple=True, metavar="E", help="Only this event, or prefix_*.")
@click.option("--since", metavar="WHEN", help="Only lines since: 10m, 14:30, 2025-11-22 …")
@click.option("--until", metavar="WHEN", help="Only lines until; not with --follow.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", help="Only the last N.")
@click.option("--level", type=click.Choice(LEVELS), help="Only this level and worse.")
@color_option
@click.option("--json", "as_json", is_flag=True, help="Pass the JSON lines through.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
def command(
    config: str | None,
    *,
    follow: bool,
    journal: bool,
    unit: tuple[str, ...],
    group: tuple[str, ...],
    node: tuple[int, ...],
    event: tuple[str, ...],
    since: str | None,
    until: str | None,
    lines: int | None,
    level: str | None,
    color: str,
    as_json: bool,
    files: tuple[str, ...],
) -> int:
    """The log, for people.

    Reads the JSON lines of each FILE, or the output of `journalctl -o json`; `-` is stdin. Without
    FILE: the `log_file` of the settings with its rotated files, or the journal if it has the units
    of mosha; never stdin, which ssh, cron and scripts have too. Lines of several sources are merged
    by time. An option that is given several times selects any of its values.

    Lines that are not JSON are printed as they are, unless an option selects by something that
    they do not have.

    Examples:
        mosha logs -f --group web
        mosha logs --since 10m --level warning node1.log node2.log node3.log
        journalctl -u mosha -o json -f | mosha logs --event 'claim_*' -
        mosha logs --journal --json | jq .event

    Exit status: 0 read; 1 could not be read; 2 wrong usage, no such file.
    """
    _check_events(event)
    start, end = _span(since, until)
    if follow and (end or lines is not None):
        raise UsageError("--follow waits for new lines: it takes neither --until nor --lines")
    sieve = Filter(groups=group, nodes=node, events=event, level=level)
    with contextlib.ExitStack() as stack:
        sources: list[LineSource] = []
        for source in _sources(config, files, unit, start, journal=journal, follow=follow):
            stack.callback(source.close)
            sources.append(source)
        found = blocks(sources, sieve, since=key_of(start) if start else "", follow=follow)
        try:
            count = _print(
                _part(found, end, lines), Printer(colours=wants_colours(color)), as_json=as_json
            )
        except KeyboardInterrupt:
            if not follow:
                raise
            return AS_WANTED
    if count == 0:
        _check_groups(group, config)
        _check_nodes(node, config)
    if count == 0 and not sieve.asks and lines != 0:
        _note_empty_journal(sources, unit or UNITS, span=bool(start or end))
    return AS_WANTED


def _span(since: str | None, until: str | None) -> tuple[datetime | None, str]:
    """Return when to begin, and the key of the last moment, "" for no end.

    Raises:
        UsageError: they are no times, or nothing lies between them.
    """
    now = datetime.now().astimezone()
    start = moment(since, now) if since else None
    end = last_key_of(moment(until, now)) if until else ""
    if start and end and key_of(start) > end:
        raise UsageError(f"nothing lies between --since {since} and --until {until}: swap them")
    return start, end


def _note_empty_journal(sources: Sequence[LineSource], units: Sequence[str], *, span: bool) -> None:
    """Say that the journal has nothing, if it was read: journalctl does not."""
    if any(isinstance(source, JournalSource) for source in sources):
        when = " at that time" if span else ""
        click.echo(f"mosha: the journal has no line of {', '.join(units)}{when}", err=True)


def _part(found: Iterator[list[Record]], end: str, lines: int | None) -> Iterator[list[Record]]:
    """Drop what is later than `end` (the key of a time), and all but the last `lines`."""
    if end:
        found = ([record for record in block if record[0] <= end] for block in found)
    if lines is not None:
        found = iter([list(deque(itertools.chain.from_iterable(found), lines))])
    return found


def _print(found: Iterator[list[Record]], printer: Printer, *, as_json: bool) -> int:
    """Print records as they come; return how many lines that were."""
    count = 0
    for block in found:
        if not block:
            continue
        count += len(block)
        if as_json:
            sys.stdout.buffer.write(b"\n".join([raw for _, raw, _ in block]) + b"\n")
        else:
            sys.stdout.write("".join([printer.told(raw, fields) for _, raw, fields in block]))
        go_on()
    return count


def _sources(
    config: str | None,
    files: Sequence[str],
    units: Sequence[str],
    since: datetime | None,
    *,
    journal: bool,
    follow: bool,
) -> Iterator[LineSource]:
    """Yield what to read: the named files, else the log of this node."""
    for file in files:
        yield standard_input() if file == STDIN else FileSource(Path(file), follow=follow)
    read_journal = journal or bool(units)
    if not files and not read_journal:
        own = _own_files(config)
        for path in own:
            yield FileSource(path, follow=follow, history=True)
        if own:
            return
        read_journal = journal_knows(UNITS)
        if not read_journal:
            if (named := load_settings(config).log_path) is not None:
                raise UsageError(f"nothing to read: {named} (log_file) is not there yet")
            raise UsageError(
                "nothing to read: name a file (mosha logs FILE), set log_file in mosha.toml,"
                " or send lines (journalctl -u mosha -o json | mosha logs -)"
            )
    if read_journal:
        yield JournalSource(journal_command(units or UNITS, follow=follow, since=since))


def _own_files(config: str | None) -> list[Path]:
    """Return the log files of this node's daemons, by its settings."""
    path = load_settings(config).log_path
    both = (path, beside(path, "clinit")) if path else ()
    return [path for path in both if path.exists()]


def _check_events(names: Sequence[str]) -> None:
    if not names:
        return
    from mosha.host.logs import EVENTS  # noqa: PLC0415 - structlog, for this check alone

    for name in names:
        if name not in EVENTS and not set(name) & {"*", "?"}:
            hint = nearest(name, EVENTS) or "the manual lists them (reference, events); "
            raise UsageError(f"no event is called {name}; {hint}claim_* selects by a prefix")


def _check_groups(names: Sequence[str], config: str | None) -> None:
    """Complain about a group that has no line and is not in the cltab in force."""
    if not names:
        return
    try:
        table = load_settings(config).state_path / "cltab"
        known = parse_cltab(table.read_bytes(), str(table)).groups()
    except (OSError, UsageError):
        return  # not a node, or a log of another machine
    for name in names:
        if single(name) not in known:
            hint = nearest(name, known)
            raise UsageError(
                f"no line is about a group {name!r}; {hint}groups of this node are"
                f" {', '.join(known)}"
            )


def _check_nodes(numbers: Sequence[int], config: str | None) -> None:
    """Complain about a node that has no line and is not in the settings."""
    if not numbers:
        return
    try:
        known = load_settings(config).nodes
    except (OSError, UsageError):
        return  # not a node, or a log of another machine
    for number in numbers:
        if known and number not in known:
            raise UsageError(
                f"no line is about node {number}; nodes are {', '.join(map(str, known))}"
            )
