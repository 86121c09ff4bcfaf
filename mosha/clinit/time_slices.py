"""Time slices of the event loop for work that comes by the thousand.

A level of a thousand entries ends with a thousand orders in one step, then with a thousand exits
in one iteration of the loop. Requests and lease renewals must not wait for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_S = 0.005
"""Of CPU time."""


class TimeSlices:
    """How much of each iteration of the loop all such work together may take."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._earliest = 0.0
        self._put_off: deque[Callable[[], None]] = deque()

    @property
    def over(self) -> bool:
        """Whether the slice of this iteration is used up; the first query starts it."""
        if self._until is None:
            self._until = time.thread_time() + SLICE_S
            self._earliest = time.monotonic() + SLICE_S
            asyncio.get_running_loop().call_soon(self._begin_anew)
            return False
        # CPU time is at most the time that has passed, and reading that takes no system call.
        return time.monotonic() > self._earliest and time.thread_time() > self._until

    def put_off(self, work: Callable[[], None]) -> None:
        """Do this as soon as earlier deferred work is done and a slice has time left."""
        self._put_off.append(work)
        _ = self.over  # makes sure that a slice follows

    async def do(self, work: Callable[[], None]) -> None:
        """Do this now or in a later slice; return when it is done."""
        if not self._put_off and not self.over:
            work()
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def catch_up() -> None:
            work()
            done.set_result(None)

        self.put_off(catch_up)
        await done

    def _begin_anew(self) -> None:
        self._until = None
        while self._put_off and not self.over:
            self._put_off.popleft()()
