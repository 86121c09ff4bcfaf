"""Virtual time: a heap of what shall happen, and chance that comes from the seed alone."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

# A timer rings just after its time, as real ones do: rounding must not make it early.
EPSILON_S = 1e-9

Act = Callable[[], None]


def chance(seed: int, *purpose: object) -> random.Random:
    """Return a stream of chance of its own: what one part draws does not move another's."""
    return random.Random(f"{seed}:{':'.join(map(str, purpose))}")  # noqa: S311 - not a secret


class Agenda:
    """What shall happen, in order of true time (seconds), then in order of asking."""

    __slots__ = ("_count", "_heap", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self._heap: list[tuple[float, int, Act]] = []

    def at(self, when: float, act: Act) -> None:
        """Let something happen at a moment, at once if that has passed."""
        self._count += 1
        heapq.heappush(self._heap, (max(self.now, when), self._count, act))

    def run(self, until: float) -> None:
        """Let everything happen that is due up to and at `until`."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, act = pop(heap)
            act()
        self.now = max(self.now, until)


class Clock:
    """CLOCK_BOOTTIME of one machine: it counts from its boot, at a rate of its own."""

    __slots__ = ("_agenda", "base", "booted", "rate", "still")

    def __init__(self, agenda: Agenda, rate: float, base: float) -> None:
        self._agenda, self.booted, self.rate, self.base = agenda, agenda.now, rate, base
        self.still = False

    def stop(self) -> None:
        """Stand still from now on."""
        self.base, self.booted, self.still = self.now(), self._agenda.now, True

    def go_on(self) -> None:
        """Go on from where it stopped."""
        self.booted, self.still = self._agenda.now, False

    def now(self) -> float:
        """Return what this clock shows."""
        if self.still:
            return self.base
        return self.base + (self._agenda.now - self.booted) * self.rate

    def true(self, report: float) -> float:
        """Return the true moment at which this clock shows `local`, if it goes on at once."""
        return self.booted + (report - self.base) / self.rate
