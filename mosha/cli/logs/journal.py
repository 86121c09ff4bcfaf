"""Entries of systemd's journal as journalctl prints them in JSON, and the lines in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from mosha.host.journal import JSON_FIELD

# syslog(3) -> the levels of mosha
_LEVELS = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")

_MARK = b'"__REALTIME_TIMESTAMP":'


def is_entry(raw: bytes) -> bool:
    """Say whether a line is an entry of the journal; in a line of mosha the quotes are escaped."""
    return _MARK in raw


def journal_line(raw: bytes) -> bytes:
    """Return the line of mosha in an entry of the journal (journalctl -o json).

    Older daemons sent the line as the message, as do lines that journald did not accept at once.
    """
    try:
        entry = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return raw
    text = _text(entry.get("MESSAGE"))
    if line := _text(entry.get(JSON_FIELD)) or (text if text.startswith("{") else ""):
        return line.encode()
    told: dict[str, object] = {
        "timestamp": _time(entry.get("__REALTIME_TIMESTAMP")),
        "level": _level(entry.get("PRIORITY")),
        "unit": entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or "",
        "text": text,
    }
    return msgspec.json.encode(told)


def _text(value: object) -> str:
    """Return a field as text; a binary field is a list of byte values."""
    if isinstance(value, list):
        value = bytes(number & 255 for number in value if isinstance(number, int)).decode(
            "utf-8", "replace"
        )
    return value if isinstance(value, str) else ""


def _time(microseconds: object) -> str:
    digits = str(microseconds)
    when = int(digits) / 1e6 if digits.isdecimal() and len(digits) < 18 else 0.0
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _level(priority: object) -> str:
    digits = str(priority)
    return _LEVELS[int(digits)] if digits in {"0", "1", "2", "3", "4", "5", "6", "7"} else "info"
