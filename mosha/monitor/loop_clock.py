"""The clock of an agent on an event loop."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

from mosha.host.clock import boottime

# Longer waits are split: after a suspend, timers of the event loop are late.
WAIT_MAX_S = 60.0


class LoopClock:
    """Reads the boottime clock, and wakes with timers of the event loop."""

    def __init__(self) -> None:
        self._due = math.inf
        self._rung = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Return the time, in seconds of boottime."""
        return boottime()

    def chance(self) -> float:
        """Return a number in [0, 1): it only spreads the back-offs of several nodes."""
        return random.random()  # noqa: S311 - not a secret

    def wake_at(self, when: float) -> None:
        """Ring at a time, or before: the caller checks the time again."""
        if when >= self._due or self._rung.is_set():
            return
        self._due = when
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s = when - boottime()
        if wait_s <= 0:
            self._rung.set()
        else:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(wait_s, WAIT_MAX_S), self._rung.set)

    async def run(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever it rings, until cancelled; its errors propagate to the caller."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            self._due = math.inf
            wake()
