"""Which ends of a process are failures, and for how long they are remembered."""

from __future__ import annotations

STEADY_S = 60.0
"""Who has run for so long has come up: what ends it afterwards is a failure of its own."""

REMEMBERED_MAX = 20
"""So many failures of an entry are remembered: `on-failure=` of hactl cannot ask for more."""


def remembered(before: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return when an entry has failed, with the failure of now."""
    return (*before, now)[-REMEMBERED_MAX:]


def in_a_row(before: int, last_start: float | None, now: float) -> int:
    """Return how many failures in a row there are with that of a run that ends badly now."""
    steady = last_start is not None and now - last_start >= STEADY_S
    return 1 if steady else before + 1
