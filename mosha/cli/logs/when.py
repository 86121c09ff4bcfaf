"""Parses a time as people write it: `10m`, `14:30`, `yesterday`, `2025-11-22 10:15`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mosha.core.durations import UNITS_S
from mosha.errors import UsageError

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhdw])(?:\s+ago)?")
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?")


def moment(text: str, now: datetime) -> datetime:
    """Return the moment that `text` means; `now` has a zone, in which the text is read.

    Raises:
        UsageError: it is not a time.
    """
    word = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if word in ("today", "yesterday"):
            return midnight - timedelta(days=word == "yesterday")
        if ago := _AGO.fullmatch(word):
            return now - timedelta(seconds=UNITS_S[ago[2]] * float(ago[1]))
        if clock := _CLOCK.fullmatch(word):
            hour, minute, second = (int(part or 0) for part in clock.groups())
            at = midnight.replace(hour=hour, minute=minute, second=second)
            return at if at <= now else at - timedelta(days=1)
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"not a time: {text!r}; write 10m, 2h, 3d, 14:30, today, yesterday,"
            " 2025-11-22 or 2025-11-22T10:15:00"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
