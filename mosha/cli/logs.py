"""`mosha logs`: reads the JSON lines that mosha writes, and prints them for people."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click

from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.log_lines import LEVELS, Filter, Printer
from mosha.errors import HostError, UsageError

LOOK_S = 0.2
"""How often a followed file is looked at: not felt by people, and next to no work."""

CHUNK_BYTES = 1 << 16

LINE_MAX_BYTES = 1 << 20
"""What is longer without a line end is printed in parts: a log is no place for a gigabyte."""


@click.command("logs", cls=Command, short_help="The log, for people.")
@config_option
@click.option("-f", "--follow", is_flag=True, help="Wait for more, also after a rotation.")
@click.option("--group", metavar="G", help="Only what concerns this group.")
@click.option("--node", type=int, metavar="N", help="Only what node N says.")
@click.option("--level", type=click.Choice(LEVELS), help="Only this level and worse.")
@click.option("--json", "as_json", is_flag=True, help="Pass the JSON lines through.")
@click.argument("file", required=False)
def command(
    config: str | None,
    *,
    follow: bool,
    group: str | None,
    node: int | None,
    level: str | None,
    as_json: bool,
    file: str | None,
) -> int:
    """The log, for people.

    Reads the JSON lines of FILE, or of stdin if FILE is missing or `-`. Lines that are no
    JSON are printed as they are, unless something is asked for that they cannot tell.

    Examples:
        mosha logs -f /var/log/mosha.log
        journalctl -u mosha -o cat -f | mosha logs --group web
        mosha logs --level warning --json mosha.log | jq .event
    """
    del config  # taken, as everywhere; the log is wherever stderr was sent
    sieve = Filter(group=group, node=node, level=level)
    printer = Printer(colours=sys.stdout.isatty(), as_json=as_json)
    try:
        for block in _blocks(file, follow=follow):
            told = "".join(printer.line(raw) for raw in block if sieve.lets_through(raw))
            if told:
                sys.stdout.write(told)
                sys.stdout.flush()
    except KeyboardInterrupt:
        if not follow:
            raise
    return AS_WANTED


def _blocks(file: str | None, *, follow: bool) -> Iterator[list[bytes]]:
    if file not in (None, "-"):
        return _lines(_follow(Path(str(file))) if follow else _read(Path(str(file))))
    if file is None and sys.stdin.isatty():
        raise UsageError(
            "nothing to read: name a file (mosha logs FILE),"
            " or send lines (journalctl -u mosha -o cat | mosha logs)"
        )
    return _lines(_chunks(sys.stdin.buffer))


def _lines(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield whole lines, in the portions they come in; a last one without end counts."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > LINE_MAX_BYTES:
            whole, rest = [*whole, rest], b""
        yield whole
    if rest:
        yield [rest]


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := os.read(file.fileno(), CHUNK_BYTES):
        yield chunk


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except OSError as error:
        raise HostError(f"{path}: cannot be read: {error.strerror}") from error


def _read(path: Path) -> Iterator[bytes]:
    with _open(path) as file:
        yield from _chunks(file)


def _follow(path: Path) -> Iterator[bytes]:
    """Yield what is in a file and what comes, across rotation and truncation."""
    file = _open(path)
    while True:
        with file:
            yield from _until_replaced(file, path)
        file = _open(path)


def _until_replaced(file: IO[bytes], path: Path) -> Iterator[bytes]:
    while True:
        replaced = _is_replaced(file, path)  # before reading: what came until then is read
        yield from _chunks(file)
        if replaced:
            return
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)  # truncated: what is there now is new
            continue
        time.sleep(LOOK_S)


def _is_replaced(file: IO[bytes], path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:  # between the two steps of a rotation
        return False
    here = os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)
