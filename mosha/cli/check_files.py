"""What `mosha check` makes of files: which kind each is, its mistakes, and whether they agree."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from mosha.core.tables import STOP_LEVEL, TEST_LEVEL, Cltab, Hactl, Wish, level_matches
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import hactl_warnings, parse_hactl
from mosha.formats.mistakes import Mistake, Mistakes
from mosha.formats.names import nearest
from mosha.formats.settings import Settings, parse_settings

GUESS_BYTES = 1 << 16
"""So much of a file is looked at to tell its kind."""


class Kind(enum.StrEnum):
    """The files that people write."""

    SETTINGS = "mosha.toml"
    CLTAB = "cltab"
    HACTL = "hactl"


class Finding(NamedTuple):
    """Something that is not the matter of one file's text. `level`: mistake, warning or ok."""

    level: str
    where: str
    text: str
    remedy: str


class Judged(Struct, frozen=True):
    """One file: its mistakes (`total` of them) and warnings, and what it says if it has none."""

    file: str
    kind: Kind
    value: Settings | Cltab | Hactl | None
    mistakes: tuple[Mistake, ...] = ()
    total: int = 0
    warnings: tuple[Mistake, ...] = ()

    def plain(self) -> dict[str, object]:
        """Return it as `--json` prints it."""
        return {
            "file": self.file,
            "kind": self.kind.value,
            "ok": self.total == 0,
            "total": self.total,
            "mistakes": [_plain(mistake) for mistake in self.mistakes],
            "warnings": [_plain(warning) for warning in self.warnings],
        }


def _plain(mistake: Mistake) -> dict[str, object]:
    return {
        "line": mistake.line,
        "column": mistake.column,
        "text": mistake.text,
        "problem": mistake.problem,
        "remedy": mistake.remedy,
    }


def judge(file: str, data: bytes, kind: Kind) -> Judged:
    """Read a file as one of its kind; `file` is its name in messages."""
    value: Settings | Cltab | Hactl
    try:
        if kind is Kind.SETTINGS:
            value = parse_settings(data, file)
        elif kind is Kind.CLTAB:
            value = parse_cltab(data, file)
        else:
            value = parse_hactl(data, file)
    except Mistakes as found:
        return Judged(file, kind, None, found.mistakes, found.total)
    warnings = hactl_warnings(data, file) if kind is Kind.HACTL else ()
    return Judged(file, kind, value, warnings=warnings)


_ENTRY = re.compile(r"[^:=\s]*:[^:]*:[^:]*:[^:]*:|:::")
_SETTING = re.compile(r"""\[|["'\w.-]+\s*=""")


def kind_of(name: str, data: bytes) -> Kind:
    """Tell the kind of a file by its name, else by the first line that says something."""
    for kind in Kind:
        if kind.value in name:
            return kind
    if name.endswith(".toml"):
        return Kind.SETTINGS
    for line in data[:GUESS_BYTES].decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            if _ENTRY.match(text):
                return Kind.CLTAB
            return Kind.SETTINGS if _SETTING.match(text) else Kind.HACTL
    return Kind.HACTL


# --- whether files agree -------------------------------------------------------------------


def table_findings(judged: Sequence[Judged], settings: Settings | None) -> list[Finding]:
    """Compare a hactl with a cltab and with `nodes`, as far as they are there and readable."""
    cltab = next((item for item in judged if isinstance(item.value, Cltab)), None)
    hactl = next((item for item in judged if isinstance(item.value, Hactl)), None)
    if hactl is None or not isinstance(hactl.value, Hactl):
        return []
    found: list[Finding] = []
    for wish in hactl.value.wishes.values():
        where = f"{hactl.file}:{wish.line}"
        if cltab is not None and isinstance(cltab.value, Cltab):
            found += _against_cltab(wish, cltab.value, where)
        if settings is not None and settings.nodes:
            found += _against_nodes(wish, settings.nodes, where)
    return found


def _against_cltab(wish: Wish, cltab: Cltab, where: str) -> Iterator[Finding]:
    entries = cltab.entries_of(wish.group)
    if wish.level == STOP_LEVEL:
        return
    if not entries:  # H4.6
        guess = nearest(wish.group, cltab.groups())
        remedy = f"{guess}add it to cltab, or take it out of hactl"
        yield Finding("mistake", where, f"cltab has no group {wish.group}", remedy)
    elif not any(level_matches(entry.level, wish.level) for entry in entries):
        levels = dict.fromkeys(entry.level for entry in entries)
        usual = [level for level in levels if level not in (STOP_LEVEL, TEST_LEVEL)]
        told = f"no entry of {wish.group} is for level {wish.level}: nothing of it would run"
        remedy = f"{nearest(wish.level, usual)}its levels are {', '.join(levels)}"
        yield Finding("warning", where, told, remedy)


def _against_nodes(wish: Wish, nodes: Sequence[int], where: str) -> Iterator[Finding]:
    for option, named in (("prefer", wish.prefer), ("only", wish.only)):
        strange = [str(node) for node in named if node not in nodes]
        if strange:
            told = f"{option}= of {wish.group} names {', '.join(strange)}"
            yield Finding("warning", where, told, f"nodes are {', '.join(map(str, nodes))}")
