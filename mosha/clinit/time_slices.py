"""Shares of the event loop: what comes by the thousand goes on in slices.

A level of a thousand entries ends with a thousand orders in one step, then with a thousand
exits in one turn of the loop. Who asks something meanwhile, or has a lease to renew, does not
wait for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_S = 0.005
"""Of CPU time."""


class TimeSlices:
    """How much of each turn of the loop such work may take, all of it together."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._earliest = 0.0
        self._put_off: deque[Callable[[], None]] = deque()

    @property
    def over(self) -> bool:
        """Whether the slice of this turn is used up; the first to ask in a turn begins it."""
        if self._until is None:
            self._until = time.thread_time() + SLICE_S
            self._earliest = time.monotonic() + SLICE_S
            asyncio.get_running_loop().call_soon(self._begin_anew)
            return False
        # Nobody uses more CPU time than has passed, and to ask for that takes no system call.
        return time.monotonic() > self._earliest and time.thread_time() > self._until

    def put_off(self, work: Callable[[], None]) -> None:
        """Do this as soon as what has been put off before is done, and a slice has time left."""
        self._put_off.append(work)
        _ = self.over  # at least one slice comes

    async def do(self, work: Callable[[], None]) -> None:
        """Do this now, or when its turn comes; return when it is done."""
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
