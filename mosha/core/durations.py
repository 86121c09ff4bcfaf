"""Spans of time as tables and messages write them: `30s`, `10m`, `2h`."""

from __future__ import annotations

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def span_text(seconds: float) -> str:
    """Return a time span, to the millisecond, in the greatest unit that needs no fraction."""
    for unit in "dhm":
        if seconds % UNITS_S[unit] == 0:
            return f"{seconds / UNITS_S[unit]:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
