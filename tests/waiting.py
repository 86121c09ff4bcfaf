"""How tests wait: for a condition with a deadline, never for time to pass.

The only place in the tests that may sleep (tests/test_tidy.py): a condition that
announces itself (an event, a subscription) is better, this is for those that cannot.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from mosha.host.clock import boottime

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

STEP_S = 0.01
LIMIT_S = 30.0


def _expired(condition: Callable[[], object], limit_s: float) -> AssertionError:
    name = getattr(condition, "__qualname__", repr(condition))
    return AssertionError(f"{name} did not come true within {limit_s} s")


def wait_until(
    condition: Callable[[], T], limit_s: float = LIMIT_S, *, step_s: float = STEP_S
) -> T:
    """Return the first true value of `condition`; AssertionError after `limit_s`.

    Between two looks there are `step_s`, or as long as a look took: what starts a process to
    look must not take the processor from what it is waiting for.
    """
    deadline = time.monotonic() + limit_s
    while True:
        began = time.monotonic()
        if value := condition():
            return value
        now = time.monotonic()
        if now > deadline:
            raise _expired(condition, limit_s)
        time.sleep(max(step_s, now - began))


def pass_until(when: float) -> None:
    """Let time pass up to a moment of CLOCK_BOOTTIME.

    For a time limit that shall pass while what it limits is stopped, for a span that something is
    measured over, for the plan of a storm: time is the cause there. Never to wait for an effect,
    which may take longer or come sooner.
    """
    while (left_s := when - boottime()) >= 0.0:
        time.sleep(left_s + STEP_S / 10)


async def until(condition: Callable[[], T], limit_s: float = LIMIT_S) -> T:
    """Do as `wait_until` does, without blocking the event loop; a look starts no process here."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise _expired(condition, limit_s)
        await asyncio.sleep(STEP_S)
    return value
