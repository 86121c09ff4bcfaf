"""One due time per key; the earliest is found at once."""

from __future__ import annotations

import heapq
import math
from typing import Generic, TypeVar

K = TypeVar("K", int, str)


class Timers(Generic[K]):
    """One time for each key, in seconds of boottime; infinity is none. `due` is the earliest."""

    __slots__ = ("_at", "_heap", "due")

    def __init__(self) -> None:
        self.due = math.inf
        self._at: dict[K, float] = {}
        # An entry counts only while `_at` agrees: most times are moved before they come.
        self._heap: list[tuple[float, K]] = []

    def set(self, key: K, when: float) -> None:
        """Set the time of a key, replacing the one it had."""
        former = self._at.get(key, math.inf)
        if former == when:
            return
        if when == math.inf:
            del self._at[key]
        else:
            self._at[key] = when
            heapq.heappush(self._heap, (when, key))
        if when < self.due:
            self.due = when
        elif former == self.due:
            self._find_due()

    def take_due(self, now: float) -> list[K]:
        """Return the keys whose time has come, the earliest first; they have none afterwards."""
        found: list[K] = []
        while self.due <= now:
            key = heapq.heappop(self._heap)[1]
            del self._at[key]
            found.append(key)
            self._find_due()
        return found

    def _find_due(self) -> None:
        heap = self._heap
        while heap and self._at.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        self.due = heap[0][0] if heap else math.inf
