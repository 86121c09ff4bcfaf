"""One coroutine for each group: waits until what shall be gone is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio

from mosha.core.group import GroupEmptied
from mosha.core.supervisor import EntryEvent

EventT = TypeVar("EventT")

# The end of a process can be told some moments before its cgroup is empty.
FIRST_LOOK_S = 0.002
LAST_LOOK_S = 0.1

Answer = GroupEmptied | EntryEvent


class Watches:
    """The questions "is it empty?" of a group that have not been answered yet.

    Each is asked again when a child of clinit has ended: what is left of an entry whose
    leader is dead has been adopted by clinit, or its parents have. Time is the second string.
    """

    def __init__(self, happen: Callable[[Answer], object]) -> None:
        self._happen = happen
        self._open: dict[Answer, Callable[[], bool]] = {}
        self._wake = asyncio.Event()

    def ask(self, answer: Answer, is_empty: Callable[[], bool]) -> None:
        """Report `answer` as soon as `is_empty()`; at once if it is so already."""
        if is_empty():
            self._happen(answer)
            return
        self._open[answer] = is_empty
        self._wake.set()

    def look(self) -> None:
        """Ask again: something has ended."""
        if self._open:
            self._wake.set()

    async def run(self) -> None:
        """Ask again and again, until cancelled; without questions it only waits."""
        pause_s = FIRST_LOOK_S
        while True:
            with anyio.move_on_after(pause_s if self._open else None) as scope:
                await self._wake.wait()
            pause_s = pause_s * 2 if scope.cancelled_caught else FIRST_LOOK_S
            pause_s = min(pause_s, LAST_LOOK_S)
            self._wake.clear()
            for answer, is_empty in list(self._open.items()):
                if is_empty():
                    del self._open[answer]
                    self._happen(answer)
