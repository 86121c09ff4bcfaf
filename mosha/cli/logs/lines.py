"""One line of the log: its time, and whether a filter selects it.

`mosha.host.log_printer` formats it for people.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from mosha.core.instance_names import INSTANCE_MARK, single
from mosha.host.log_printer import USUAL_STAMP, fields_of

LEVELS = ("debug", "info", "warning", "error", "critical")

_ORDER = {level: order for order, level in enumerate(LEVELS)}


def time_key(stamp: object) -> str:
    """Return the time of a line so that text order is time order (UTC), "" if it has none."""
    if not isinstance(stamp, str):
        return ""
    if USUAL_STAMP.fullmatch(stamp):
        return stamp[:-1]
    try:
        return key_of(datetime.fromisoformat(stamp))
    except (ValueError, OverflowError):
        return ""


def key_of(when: datetime) -> str:
    """Return the key of a moment; without a zone it is in this machine's."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat()


def last_key_of(when: datetime) -> str:
    """Return the greatest key of a moment, however many digits its stamps have."""
    return f"{when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}~"


class Filter:
    """Which lines are selected; None and empty select all.

    `groups` and `nodes` each list alternatives; a group stands for its instances, too. `events` may
    have the wild cards `*` and `?`.
    A line that is not JSON passes only if nothing is filtered. `level` means that level and
    worse.
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
        # Names are never escaped in JSON: a line without one need not be decoded.
        wanted = self._groups or (frozenset() if self._patterns else self._names)
        ends = ('"', INSTANCE_MARK) if self._groups else ('"',)
        self._marks = tuple(f'"{name}{end}'.encode() for name in wanted for end in ends)

    def may_take(self, raw: bytes) -> bool:
        """Say, without decoding it, whether a line can be selected at all."""
        marks = self._marks
        if not marks:
            return True
        return any(mark in raw for mark in marks)

    def takes(self, fields: dict[str, Any]) -> bool:
        """Say whether a line is selected."""
        group = str(fields.get("group"))
        if self._groups and self._groups.isdisjoint({group, single(group)}):
            return False
        if self._nodes and str(fields.get("node")) not in self._nodes:
            return False
        if (self._names or self._patterns) and not self._named(str(fields.get("event"))):
            return False
        return self._least is None or _ORDER.get(str(fields.get("level")), 0) >= self._least

    def _named(self, event: str) -> bool:
        return event in self._names or any(fnmatchcase(event, p) for p in self._patterns)

    def lets_through(self, raw: bytes) -> bool:
        """Say whether an undecoded line is selected."""
        if not self.asks:
            return True
        fields = fields_of(raw) if self.may_take(raw) else None
        return fields is not None and self.takes(fields)


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name
