"""Judges files for `mosha check`: the kind of each, its mistakes, and whether they agree."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from mosha.core.tables import Cltab, Hactl
from mosha.formats.agreement import Doubt, against_cltab, against_nodes
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import hactl_warnings, parse_hactl
from mosha.formats.mistakes import BLANKS, Mistake, Mistakes
from mosha.formats.settings import Settings, SettingsReading, read_settings

GUESS_BYTES = 1 << 16
"""How much of a file is read to tell its kind."""


class Kind(enum.StrEnum):
    """The files that people write."""

    SETTINGS = "mosha.toml"
    CLTAB = "cltab"
    HACTL = "hactl"


Level = Literal["mistake", "warning", "ok"]


class Finding(Struct, frozen=True):
    """A finding that is not about the text of one file."""

    level: Level
    where: str
    text: str
    remedy: str


class FileVerdict(Struct, frozen=True):
    """One file: its mistakes (`total` of them), its warnings, and its content if it has none.

    For settings with mistakes, `reading` has what could be read nevertheless. For a table, `rest`
    is its content without the lines that have mistakes, and `warnings` are those of the rest; the
    lines with mistakes name the groups `doubtful`.
    """

    file: str
    kind: Kind
    value: Settings | Cltab | Hactl | None
    mistakes: tuple[Mistake, ...] = ()
    total: int = 0
    warnings: tuple[Mistake, ...] = ()
    reading: SettingsReading | None = None
    rest: Cltab | Hactl | None = None
    doubtful: frozenset[str] = frozenset()


def judge(file: str, data: bytes, kind: Kind) -> FileVerdict:
    """Read a file as one of its kind; `file` is its name in messages."""
    if kind is Kind.SETTINGS:
        reading = read_settings(data, file)
        good = None if reading.total else reading.settings
        return FileVerdict(file, kind, good, reading.mistakes, reading.total, reading=reading)
    value: Cltab | Hactl
    try:
        value = parse_cltab(data, file) if kind is Kind.CLTAB else parse_hactl(data, file)
    except Mistakes as found:
        left, rest, doubtful = _rest(data, kind, found)
        return FileVerdict(
            file,
            kind,
            None,
            found.mistakes,
            found.total,
            warnings=_warnings(left, file, kind, doubtful),
            rest=rest,
            doubtful=doubtful,
        )
    return FileVerdict(file, kind, value, warnings=_warnings(data, file, kind), rest=value)


def _warnings(
    data: bytes, file: str, kind: Kind, doubtful: frozenset[str] = frozenset()
) -> tuple[Mistake, ...]:
    return hactl_warnings(data, file, doubtful) if kind is Kind.HACTL else ()


def _rest(
    data: bytes, kind: Kind, found: Mistakes
) -> tuple[bytes, Cltab | Hactl | None, frozenset[str]]:
    """Blank the lines of a table that have mistakes.

    Return its text then, its content if it can be read, and the groups of those lines.
    """
    lines, doubtful = data.split(b"\n"), set[str]()
    for _round in range(REST_ROUNDS_MAX):
        for number in {mistake.line for mistake in found.mistakes if mistake.line <= len(lines)}:
            text = lines[number - 1].decode("utf-8", "replace").strip(BLANKS)
            doubtful.add(_FIRST_WORD.split(text, maxsplit=1)[0])
            lines[number - 1] = b""
        try:
            left = b"\n".join(lines)
            rest = parse_cltab(left, "") if kind is Kind.CLTAB else parse_hactl(left, "")
        except Mistakes as more:
            found = more
        else:
            return left, rest, frozenset(doubtful)
    return b"", None, frozenset(doubtful)


REST_ROUNDS_MAX = 10
"""One pass finds so many mistakes that a table worth comparing needs one or two passes."""

_FIRST_WORD = re.compile(r"[:\s]")

_UNIT_ENDS = (".service", ".socket", ".target", ".mount", ".automount", ".timer", ".path", ".slice")


def foreign(name: str, data: bytes) -> str:
    """Return what a file that does not belong to mosha is, "" if it may belong to mosha."""
    if data.startswith(b"#!"):
        return "a script"
    return "a unit of systemd" if name.endswith(_UNIT_ENDS) else ""


_ENTRY = re.compile(r"[^:=\s]*:[^:]*:[^:]*:[^:]*:|:::")
_WISH = re.compile(r"[\w.-]+\s+[\w.-]+(\s+(#.*|\w+=.*))?")
_SETTING = re.compile(r"""\[|["'\w.-]+\s*=""")


def kind_of(name: str, data: bytes) -> Kind | None:
    """Return the kind of a file by its name, else by its first line that is not empty or a comment.

    None if that line fits no kind.
    """
    for kind in Kind:
        if kind.value in name:
            return kind
    if name.endswith(".toml"):
        return Kind.SETTINGS
    for line in data[:GUESS_BYTES].decode("utf-8", "replace").split("\n"):
        text = line.strip(BLANKS)
        if text and not text.startswith("#"):
            if _ENTRY.match(text):
                return Kind.CLTAB
            if _SETTING.match(text):
                return Kind.SETTINGS
            return Kind.HACTL if _WISH.fullmatch(text) else None
    return None


# --- whether files agree -------------------------------------------------------------------


def table_findings(judged: Sequence[FileVerdict], settings: Settings | None) -> list[Finding]:
    """Compare a hactl with a cltab and with `nodes`, as far as they exist and can be read."""
    found: list[Finding] = []
    for item in judged:
        if isinstance(item.value, Cltab) and not item.value.entries:
            text = "names no group: nothing runs, and what runs is stopped"
            found.append(Finding("warning", item.file, text, "write entries, or remove the file"))
        if isinstance(item.value, Hactl) and not item.value.wishes:
            text = "names no group: every group is stopped"
            found.append(Finding("warning", item.file, text, "write GROUP LEVEL lines"))
    cltab = next((item for item in judged if isinstance(item.rest, Cltab)), None)
    hactl = next((item for item in judged if isinstance(item.rest, Hactl)), None)
    if hactl is None or not isinstance(hactl.rest, Hactl):
        return found
    for wish in hactl.rest.wishes.values():
        where = f"{hactl.file}:{wish.line}"
        # A group whose only line has a mistake exists, but its levels are not known.
        if cltab and isinstance(cltab.rest, Cltab) and wish.group not in cltab.doubtful:
            doubt = against_cltab(wish, cltab.rest)
            found += [_finding(doubt, where)] if doubt else []
        if settings is not None:
            found += [_finding(doubt, where) for doubt in against_nodes(wish, settings.nodes)]
    return found


def renamed_groups(before: Cltab, after: Cltab, file: str) -> Iterator[Finding]:
    """Find groups that have a new name: the new one starts while the old one stops."""
    gone = {entry.tag: entry.group for entry in before.entries} if before else {}
    kept, told = set(after.groups()), set()
    for entry in after.entries:
        old = gone.get(entry.tag)
        if old is None or old in kept or (old, entry.group) in told:
            continue
        told.add((old, entry.group))
        text = f"{entry.group} takes over entries of {old}, which is not in this table any more"
        remedy = f"`mosha set {old} stop` first: else {entry.group} starts while {old} stops"
        yield Finding("warning", f"{file}:{entry.line}", text, remedy)


def _finding(doubt: Doubt, where: str) -> Finding:
    return Finding("mistake" if doubt.grave else "warning", where, doubt.text, doubt.remedy)
