"""Runs file operations that may hang for ever, without hanging clinit.

A thread cannot be cancelled, and a process in state D cannot even be killed. So each subject (the
cltab, the clstat) has at most one thread at a time, and one that does not come back is abandoned
(docs/explanation/architecture.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from typing import TypeVar, cast

ResultT = TypeVar("ResultT")


class NotRespondingError(OSError):
    """The file system does not answer, or an earlier operation on it still hangs."""


class Abandonable:
    """Runs functions in a thread, one at a time, and gives up on one that hangs."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._busy = False
        self._hung = False
        self._free = asyncio.Event()

    async def run(self, function: Callable[[], ResultT], limit_s: float) -> ResultT:
        """Return what `function` returns, or raise what it raises if that is an OSError.

        A function whose caller was cancelled is waited for: two never overlap.

        Raises:
            OSError: no thread can be started, or what `function` raises.
            NotRespondingError: it takes longer than `limit_s`, or an earlier one has not come back.
        """
        if self._hung:
            raise NotRespondingError(f"the file system does not answer: {self._subject}")
        try:
            async with asyncio.timeout(limit_s):
                while self._busy:
                    await self._free.wait()
                return await self._start(function)
        except TimeoutError:
            self._hung = self._busy
            reason = f"the file system does not answer within {limit_s:g} s: {self._subject}"
            raise NotRespondingError(reason) from None

    def _start(self, function: Callable[[], ResultT]) -> asyncio.Future[ResultT]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[ResultT] = loop.create_future()
        self._busy = True
        self._free.clear()

        def deliver(result: ResultT | None, error: OSError | None) -> None:
            self._busy = self._hung = False
            self._free.set()
            if answer.done():
                return  # the caller has given up
            if error is None:
                answer.set_result(cast("ResultT", result))
            else:
                answer.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = function()
            except OSError as raised:
                error = raised
            # The loop is closed: the daemon has ended.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(deliver, result, error)

        try:
            threading.Thread(target=work, name=self._subject, daemon=True).start()
        except RuntimeError as error:  # pids.max, TasksMax=, ulimit -u: an ordinary error
            deliver(None, OSError(errno.EAGAIN, f"{error} ({self._subject})"))
        return answer
