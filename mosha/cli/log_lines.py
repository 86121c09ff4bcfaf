"""One line of the log: whether it is asked for, and how it looks to people.

Plain string work without rich: a log can have tens of thousands of lines a second, and what
is done for each of them is done here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec

LEVELS = ("debug", "info", "warning", "error", "critical")

_ORDER = {level: order for order, level in enumerate(LEVELS)}
_COLOURS = {"debug": "90", "warning": "33", "error": "31", "critical": "1;31"}
_OUTPUT = "output"
# Fields that have a place of their own in a line for people.
_PLACED = frozenset({"timestamp", "level", "event", "node", "group", "from", "to", "cause"})
_OUTPUT_PLACED = _PLACED | {"tag", "pid", "stream", "text"}
_TEXT_PLACED = _PLACED | {"text"}

# How mosha writes a time. Cut before its Z such stamps are ordered as text.
_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_decode = msgspec.json.Decoder().decode


def fields_of(raw: bytes) -> dict[str, Any] | None:
    """Return the fields of a line, None if it is no JSON object."""
    if not raw.startswith(b"{"):
        return None
    try:
        found = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def time_key(stamp: object) -> str:
    """Return the time of a line so that text order is time order (UTC), "" if it has none."""
    if not isinstance(stamp, str):
        return ""
    if _USUAL.fullmatch(stamp):
        return stamp[:-1]
    try:
        return key_of(datetime.fromisoformat(stamp))
    except (ValueError, OverflowError):
        return ""


def key_of(when: datetime) -> str:
    """Return the key of a moment; without a zone it is one of this machine's."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat()


def last_key_of(when: datetime) -> str:
    """Return the key that no stamp of that moment is greater than, however many digits it has."""
    return f"{when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}~"


class Filter:
    """What is asked for; None and empty ask for anything.

    `groups` and `nodes` are alternatives among themselves, `events` may have the wild cards
    `*` and `?`. A line that is no JSON passes only if nothing is asked for. `level` means it
    and worse.
    """

    def __init__(
        self,
        *,
        groups: Collection[str] = (),
        nodes: Collection[int] = (),
        events: Collection[str] = (),
        level: str | None = None,
    ) -> None:
        self._groups = frozenset(groups)
        self._nodes = frozenset(map(str, nodes))
        self._names = frozenset(name for name in events if not _is_pattern(name))
        self._patterns = tuple(name for name in events if _is_pattern(name))
        self._least = _ORDER[level] if level else None
        self.asks = bool(groups or nodes or events or level)
        # Names are never escaped in JSON: what does not have one need not be decoded.
        wanted = self._groups or (frozenset() if self._patterns else self._names)
        self._marks = tuple(f'"{name}"'.encode() for name in wanted)

    def may_take(self, raw: bytes) -> bool:
        """Say, without decoding it, whether a line can be asked for at all."""
        marks = self._marks
        if not marks:
            return True
        return any(mark in raw for mark in marks)

    def takes(self, fields: dict[str, Any]) -> bool:
        """Say whether a line is asked for."""
        if self._groups and fields.get("group") not in self._groups:
            return False
        if self._nodes and str(fields.get("node")) not in self._nodes:
            return False
        if (self._names or self._patterns) and not self._named(str(fields.get("event"))):
            return False
        return self._least is None or _ORDER.get(str(fields.get("level")), 0) >= self._least

    def _named(self, event: str) -> bool:
        return event in self._names or any(fnmatchcase(event, p) for p in self._patterns)

    def lets_through(self, raw: bytes) -> bool:
        """Say whether a line as it was read is asked for."""
        if not self.asks:
            return True
        fields = fields_of(raw) if self.may_take(raw) else None
        return fields is not None and self.takes(fields)


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


class Printer:
    """Makes lines for people. `colours`: by level, for a terminal."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._day = ""
        self._second = ""  # the one that the next two are of
        self._second_day = ""
        self._clock = ""

    def line(self, raw: bytes) -> str:
        """Return what to print for a line as it was read."""
        return self.told(raw, fields_of(raw))

    def told(self, raw: bytes, fields: dict[str, Any] | None) -> str:
        """Return what to print for a line, with its end; a new day gets a line before it."""
        if fields is None:
            return _safe(raw.decode("utf-8", "replace")) + "\n"
        clock = self._when(fields.get("timestamp"))
        news = ""
        if self._second_day != self._day:
            self._day = self._second_day
            news = f"--- {self._day}\n"
        level = str(fields.get("level", ""))
        node = f"{fields['node']!s:>3}" if "node" in fields else "   "
        sentence = _safe(_sentence(fields))
        colour = _COLOURS.get(level) if self._colours else None
        if level in ("warning", "error", "critical"):
            level = level.upper()
        if colour:
            level, sentence = f"\033[{colour}m{level:<8}", f"{sentence}\033[0m"
        return f"{news}{clock} {level:<8} {node} {sentence}\n"

    def _when(self, stamp: object) -> str:
        """Return the local time of day; a log has many lines of one second."""
        if isinstance(stamp, str) and _USUAL.fullmatch(stamp):
            if stamp[:19] != self._second:
                self._second = stamp[:19]
                self._take(datetime.fromisoformat(stamp[:19] + "+00:00"))
            return f"{self._clock}.{stamp[20:23].rstrip('Z'):0<3}"
        self._second = ""
        try:
            when = datetime.fromisoformat(str(stamp))
            self._take(when)
        except (ValueError, OverflowError):
            self._second_day = self._day
            return " " * 12
        return f"{self._clock}.{when.microsecond // 1000:03d}"

    def _take(self, when: datetime) -> None:
        here = when.astimezone()
        self._second_day, self._clock = f"{here:%Y-%m-%d}", f"{here:%H:%M:%S}"


def _sentence(fields: dict[str, Any]) -> str:
    event = fields.get("event", "")
    group = fields.get("group", "")
    if event == _OUTPUT:
        mark = "!" if fields.get("stream") == "stderr" else "|"
        place = f"{group}/{fields.get('tag', '')}[{fields.get('pid', '')}]"
        return f"{place} {mark} {fields.get('text', '')}{_rest(fields, _OUTPUT_PLACED)}"
    if not event and "text" in fields:
        return f"{fields['text']}{_rest(fields, _TEXT_PLACED)}"
    told = str(event).replace("_", " ")
    if group:
        told = f"{group}: {told}" if told else f"{group}:"
    if "to" in fields:
        told += (
            f" {fields['from']} -> {fields['to']}" if "from" in fields else f" to {fields['to']}"
        )
    elif "from" in fields:
        told += f" from {fields['from']}"
    if fields.get("cause"):
        told += f" ({fields['cause']})"
    return told + _rest(fields, _PLACED)


def _rest(fields: dict[str, Any], placed: frozenset[str]) -> str:
    if fields.keys() <= placed:
        return ""
    return "".join([f" {key}={value}" for key, value in fields.items() if key not in placed])


def _safe(text: str) -> str:
    """Return one line that a terminal does not obey: control characters are shown escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)
