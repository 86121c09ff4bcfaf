"""Parses time spans as people write them: `30`, `30s`, `1.5m`, `2h`."""

from __future__ import annotations

import re

from mosha.core.durations import UNITS_S

SPAN_MAX_S = 31 * 86_400.0
"""Longer ones are typing errors, as in mosha.toml."""

SPAN_RULE = "a time is written 30s, 2m or 1h, at most 31d"

_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw]?)")


def seconds_in(text: str) -> float:
    """Return the seconds that a text means; a number without a unit is in seconds.

    Raises:
        ValueError: it is not a time, empty, or longer than SPAN_MAX_S.
    """
    found = _SPAN.fullmatch(text)
    seconds = round(float(found[1]) * UNITS_S[found[2] or "s"], 3) if found else 0.0
    if not 0 < seconds <= SPAN_MAX_S:
        raise ValueError("not a time")
    return seconds
