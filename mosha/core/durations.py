"""Spans of time and numbers as tables and messages write them: `30s`, `10m`, `2h`; `2678400`."""

from __future__ import annotations

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SMALLEST, _GREATEST = 0.001, 1e15


def span_text(seconds: float) -> str:
    """Return a time span, to the millisecond, in the greatest unit that needs no fraction."""
    for unit in "dhm":
        if seconds % UNITS_S[unit] == 0:
            return f"{seconds / UNITS_S[unit]:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def times_text(count: int) -> str:
    """Return how often something happened: `1 time`, `3 times`."""
    return f"{count} time{'s' * (count != 1)}"


def number_text(value: float) -> str:
    """Return a number for people: to the thousandth, without an exponent unless absurd."""
    if value and not _SMALLEST <= abs(value) < _GREATEST:  # infinite, or not a number, too
        return f"{value:g}"
    return f"{value:.3f}".rstrip("0").rstrip(".")
