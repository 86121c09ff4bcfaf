"""One line of the log: whether it is asked for, and how it looks to people.

Plain string work without rich: a log can have tens of thousands of lines a second.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

LEVELS = ("debug", "info", "warning", "error", "critical")

_ORDER = {level: order for order, level in enumerate(LEVELS)}
_COLOURS = {"debug": "90", "warning": "33", "error": "31", "critical": "1;31"}
_OUTPUT = frozenset({"output"})
# Fields that have a place of their own in a line for people.
_PLACED = frozenset({"timestamp", "level", "event", "node", "group", "from", "to", "cause"})
_OUTPUT_PLACED = frozenset({"tag", "pid", "stream", "text"})


def fields_of(raw: bytes) -> dict[str, Any] | None:
    """Return the fields of a line, None if it is no JSON object."""
    if not raw.startswith(b"{"):
        return None
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Filter:
    """What is asked for; None asks for anything.

    A line that is no JSON passes only if nothing is asked for; `level` means it and worse.
    """

    def __init__(
        self, *, group: str | None = None, node: int | None = None, level: str | None = None
    ) -> None:
        self._group = group
        self._node = node
        self._least = _ORDER[level] if level else None

    def lets_through(self, raw: bytes) -> bool:
        """Say whether a line is asked for."""
        if self._group is None and self._node is None and self._least is None:
            return True
        fields = fields_of(raw)
        if fields is None:
            return False
        if self._group is not None and fields.get("group") != self._group:
            return False
        if self._node is not None and str(fields.get("node")) != str(self._node):
            return False
        order = _ORDER.get(str(fields.get("level")), 0)
        return self._least is None or order >= self._least


class Printer:
    """Makes lines for people, or passes them through (`as_json`)."""

    def __init__(self, *, colours: bool, as_json: bool = False) -> None:
        self._colours = colours
        self._as_json = as_json
        self._day = ""

    def line(self, raw: bytes) -> str:
        """Return what to print for a line, with its end; a new day gets a line before it."""
        text = raw.decode("utf-8", "replace")
        if self._as_json:
            return text + "\n"
        fields = fields_of(raw)
        if fields is None:
            return _safe(text) + "\n"
        when = _when(fields.get("timestamp"))
        day = f"{when:%Y-%m-%d}" if when else self._day
        news = f"--- {day}\n" if day != self._day else ""
        self._day = day
        return news + self._told(fields, when) + "\n"

    def _told(self, fields: dict[str, Any], when: datetime | None) -> str:
        level = str(fields.get("level", ""))
        clock = f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}" if when else " " * 12
        node = f"{fields['node']!s:>3}" if "node" in fields else "   "
        word = level.upper() if level in {"warning", "error", "critical"} else level
        head = f"{clock} {self._paint(f'{word:<8}', level)} {node} "
        return head + self._paint(_safe(_sentence(fields)), level)

    def _paint(self, text: str, level: str) -> str:
        colour = _COLOURS.get(level)
        return f"\033[{colour}m{text}\033[0m" if self._colours and colour else text


def _sentence(fields: dict[str, Any]) -> str:
    group = str(fields.get("group", ""))
    event = str(fields.get("event", ""))
    if event in _OUTPUT:
        place = f"{group}/{fields.get('tag', '')}[{fields.get('pid', '')}]"
        mark = "!" if fields.get("stream") == "stderr" else "|"
        rest = _rest(fields, _PLACED | _OUTPUT_PLACED)
        return f"{place} {mark} {fields.get('text', '')}{rest}"
    words = [f"{group}:" if group else "", event.replace("_", " ")]
    if "from" in fields or "to" in fields:
        words.append(f"{fields['from']} -> {fields['to']}" if _both(fields) else _one(fields))
    cause = f"({fields['cause']})" if fields.get("cause") else ""
    return " ".join(word for word in (*words, cause) if word) + _rest(fields, _PLACED)


def _both(fields: dict[str, Any]) -> bool:
    return "from" in fields and "to" in fields


def _one(fields: dict[str, Any]) -> str:
    return f"to {fields['to']}" if "to" in fields else f"from {fields['from']}"


def _rest(fields: dict[str, Any], placed: frozenset[str]) -> str:
    return "".join(f" {key}={value}" for key, value in fields.items() if key not in placed)


def _safe(text: str) -> str:
    """Return one line that a terminal does not obey: control characters are shown escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


def _when(stamp: object) -> datetime | None:
    if not isinstance(stamp, str):
        return None
    try:
        return datetime.fromisoformat(stamp).astimezone()
    except ValueError:
        return None
