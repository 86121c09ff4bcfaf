"""Formats log lines for people: on the terminal of a daemon, and for `mosha logs`.

Plain string work without rich: a log can have tens of thousands of lines a second, and this is
done for each of them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

_COLOURS = {"debug": "90", "warning": "33", "error": "31", "critical": "1;31"}
_OUTPUT = "output"
# Fields that have a fixed place in a line for people.
_PLACED = frozenset({"timestamp", "level", "event", "node", "group", "from", "to", "cause"})
_OUTPUT_PLACED = _PLACED | {"tag", "pid", "stream", "text"}
_TEXT_PLACED = _PLACED | {"text"}

USUAL_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
"""mosha's time stamps. Without the Z they sort as text."""

_decode = msgspec.json.Decoder().decode


def fields_of(raw: bytes) -> dict[str, Any] | None:
    """Return the fields of a line, None if it is not a JSON object."""
    if not raw.startswith(b"{"):
        return None
    try:
        found = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Printer:
    """Formats lines for people. `colours`: by level, for a terminal.

    A new day gets a line, and so does the first unless it is `day` (as in 2025-11-22).
    """

    def __init__(self, *, colours: bool, day: str = "") -> None:
        self._colours = colours
        self._day = day
        self._second = ""  # the second that the next two belong to
        self._second_day = ""
        self._clock = ""

    def line(self, raw: bytes) -> str:
        """Return the text to print for an undecoded line."""
        return self.told(raw, fields_of(raw))

    def told(self, raw: bytes, fields: dict[str, Any] | None) -> str:
        """Return the text to print for a line, with its end; a new day gets a line before it."""
        if fields is None:
            return _safe(raw.decode("utf-8", "replace")) + "\n"
        clock = self._when(fields.get("timestamp"))
        news = ""
        if self._second_day != self._day:
            self._day = self._second_day
            news = f"--- {self._day}\n"
        level = str(fields.get("level", ""))
        node = f"{fields['node']!s:>3}" if "node" in fields else "   "
        text = sentence(fields)
        colour = _COLOURS.get(level) if self._colours else None
        if level in ("warning", "error", "critical"):
            level = level.upper()
        if colour:
            level, text = f"\033[{colour}m{level:<8}", f"{text}\033[0m"
        return f"{news}{clock} {level:<8} {node} {text}\n"

    def _when(self, stamp: object) -> str:
        """Return the local time of day, cached per second: a log has many lines of one second."""
        if isinstance(stamp, str) and USUAL_STAMP.fullmatch(stamp):
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


def sentence(fields: dict[str, Any]) -> str:
    """Return a line in words, without time, level and node, and without control characters."""
    return _safe(_sentence(fields))


def _sentence(fields: dict[str, Any]) -> str:
    event = fields.get("event", "")
    group = fields.get("group", "")
    if event == _OUTPUT:
        mark = "!" if fields.get("stream") == "stderr" else "|"
        place = f"{group}/{fields.get('tag', '')}[{fields.get('pid', '')}]"
        return f"{place} {mark} {fields.get('text', '')}{_rest(fields, _OUTPUT_PLACED)}"
    if not event and "text" in fields:
        return f"{fields['text']}{_rest(fields, _TEXT_PLACED)}"
    text = str(event).replace("_", " ")
    if group:
        text = f"{group}: {text}" if text else f"{group}:"
    if "to" in fields:
        text += (
            f" {fields['from']} -> {fields['to']}" if "from" in fields else f" to {fields['to']}"
        )
    elif "from" in fields:
        text += f" from {fields['from']}"
    if fields.get("cause"):
        text += f" ({fields['cause']})"
    return text + _rest(fields, _PLACED)


def _rest(fields: dict[str, Any], placed: frozenset[str]) -> str:
    if fields.keys() <= placed:
        return ""
    return "".join([f" {key}={value}" for key, value in fields.items() if key not in placed])


def _safe(text: str) -> str:
    """Return one line that is safe for a terminal: control characters are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)
