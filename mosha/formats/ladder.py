"""Reads `on-failure=` of hactl: `stay`, `move:3/10m`, `restart:3/10m,move:2/1h,stop`."""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec.structs import replace

from mosha.core.ladder import Ladder, move_after
from mosha.core.supervision.failures import REMEMBERED_MAX
from mosha.core.tables import STAY
from mosha.formats.durations import SPAN_RULE, seconds_in

RULE = (
    f"write {STAY}, or move:3/10m, or restart:3/10m,move:2/1h,stop: the numbers are at most"
    f" {REMEMBERED_MAX - 1} restarts and 1 to {REMEMBERED_MAX} moves, {SPAN_RULE}"
)
ORDER = "the rungs are restart:N/TIME, then move or move:N/TIME, then stop, each at most once"

MOVE, STOP = "move", "stop"

_RATE = re.compile(r"(restart|move):([0-9]{1,4})/(.+)")


class LadderMistake(NamedTuple):
    """What is wrong with a ladder: how many characters in, which word, and the remedy."""

    place: int
    word: str
    problem: str
    remedy: str


class _Rate(NamedTuple):
    name: str
    number: int
    within_s: float


def read_ladder(text: str) -> Ladder | LadderMistake | None:
    """Return what a value of `on-failure=` means, None for `stay`, or its first mistake."""
    if text == STAY:
        return None
    first, *rest = text.split(",")
    rate = _rate(first)
    if rate is None:
        return LadderMistake(0, first, f"neither {STAY}, move:N/TIME nor restart:N/TIME", RULE)
    if rate.name == MOVE:
        if not rest:
            return move_after(rate.number, rate.within_s)
        fault = "nothing may follow move:N/TIME at the beginning"
        longer = f"restart:{rate.number - 1}/{first.partition('/')[2]},move,stop"
        return LadderMistake(len(first) + 1, ",".join(rest), fault, f"write {longer}")
    return _climb(Ladder(rate.number, rate.within_s, moves=0), rest, len(first) + 1)


def _climb(ladder: Ladder, rest: list[str], place: int) -> Ladder | LadderMistake:
    """Add the rungs after the first one."""
    for at, word in enumerate(rest):
        rate = _rate(word)
        if word == STOP and at == len(rest) - 1:
            ladder = replace(ladder, stops=True)
        elif word == MOVE and not at:
            ladder = replace(ladder, moves=None)
        elif rate is not None and rate.name == MOVE and not at:
            ladder = replace(ladder, moves=rate.number, moves_within_s=rate.within_s)
        elif word in (MOVE, STOP) or rate is not None:
            return LadderMistake(place, word, "a rung in the wrong place", ORDER)
        else:
            return LadderMistake(place, word, "neither move, move:N/TIME nor stop", RULE)
        place += len(word) + 1
    return ladder


def _rate(word: str) -> _Rate | None:
    """Return a rung that is counted, None if it is not written as one, or out of bounds."""
    found = _RATE.fullmatch(word)
    if found is None:
        return None
    try:
        within_s = seconds_in(found[3])
    except ValueError:
        return None
    name, count = found[1], int(found[2])
    least = 1 if name == MOVE else 0
    return _Rate(name, count, within_s) if least <= count < REMEMBERED_MAX + least else None
