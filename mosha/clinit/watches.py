"""Waits until processes that were ended are gone: the open questions of a group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mosha.core.supervision.group import GroupEmptied
from mosha.core.supervision.supervisor import EntryEvent

# The end of a process may be reported shortly before its cgroup is empty.
FIRST_LOOK_S = 0.002
LAST_LOOK_S = 0.1

Answer = GroupEmptied | EntryEvent


class Watches:
    """The open questions "is it empty?" of a group.

    Each is checked again when a child of clinit has ended: what is left of an entry whose
    leader is dead has been adopted by clinit, or its parents have. Polling is the fallback.

    With timers: a coroutine for each of a thousand groups costs more than all their questions.
    """

    def __init__(self, happen: Callable[[Answer], object], asking: set[Watches]) -> None:
        """Report answers to `happen`; be in the set `asking` while there are open questions."""
        self._happen = happen
        self._asking = asking
        self._open: dict[Answer, Callable[[], bool]] = {}
        self._pause_s = FIRST_LOOK_S
        self._next: asyncio.Handle | None = None

    def ask(self, answer: Answer, is_empty: Callable[[], bool]) -> None:
        """Report `answer` as soon as `is_empty()`; at once if it already is."""
        if is_empty():
            self._happen(answer)
            return
        self._open[answer] = is_empty
        self._asking.add(self)
        self._pause_s = FIRST_LOOK_S
        self._look_later()

    def look(self) -> None:
        """Check again in this iteration of the loop: something has ended."""
        self._pause_s = FIRST_LOOK_S
        self._plan(asyncio.get_running_loop().call_soon(self._look))

    def close(self) -> None:
        """Drop all questions."""
        self._open.clear()
        self._asking.discard(self)
        self._plan(None)

    def _look_later(self) -> None:
        self._plan(asyncio.get_running_loop().call_later(self._pause_s, self._look))

    def _plan(self, handle: asyncio.Handle | None) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = handle

    def _look(self) -> None:
        self._next = None
        for answer, is_empty in list(self._open.items()):
            # An answer may be the end of the group, and of its other questions.
            if answer in self._open and is_empty():
                self._open.pop(answer, None)
                self._happen(answer)
        if not self._open:
            self._asking.discard(self)
        elif self._next is None:  # else an answer has led to another question
            self._pause_s = min(self._pause_s * 2, LAST_LOOK_S)
            self._look_later()
