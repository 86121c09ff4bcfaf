"""Threads that can be abandoned, for calls that may never return.

Any operation on a cluster file system can hang for ever, in state D, where nothing cancels
it. So it is done in a thread that is given up when it is late: the caller goes on, the
thread stays busy until the kernel lets go of it, and what it then returns is dropped. The
threads are daemons and in no pool, so the process ends without waiting for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, TypeVarTuple

from mosha.errors import BugError, HostError
from mosha.host.clock import boottime
from mosha.monitor.waking import set_within

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

GRACE_MAX_S = 0.25
"""How long a thread gets once more after its limit: see `Worker.call`."""


class HungError(HostError):
    """A call in a worker has not come back within its limit."""


class NoThreadError(HungError):
    """A call has not begun: the host has no thread for it (pids.max, TasksMax=, ulimit -u).

    To its caller it is one that has not come back, and the next call tries again.
    """


class _Job(Generic[T]):
    """One call. `over` and `wake` belong to the loop; the rest is written before they are set."""

    __slots__ = ("_error", "_loop", "_value", "_work", "began", "dropped", "over", "wake")

    def __init__(self, work: Callable[[], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.began = boottime()
        self.dropped = False
        self.over = False
        self.wake = asyncio.Event()

    def run(self) -> None:
        """Do the call, in the thread. Not at all if nobody waits for it any more."""
        if not self.dropped:
            try:
                self._value.append(self._work())
            # The outermost frame of the thread: whatever it is belongs to the caller.
            except BaseException as error:  # noqa: BLE001
                self._error = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self.over = True
        self.wake.set()

    async def over_within(self, limit_s: float) -> bool:
        """Wait until the thread has come back, not longer than that; say whether it has.

        Not by `asyncio.wait`, which takes another turn of the loop to tell: a monitor that
        has nothing to do makes some eight calls a second all its life.
        """
        until = boottime() + limit_s
        while not self.over and (left_s := until - boottime()) > 0:
            self.wake.clear()  # whoever else waits was woken, and looks for himself
            await set_within(self.wake, left_s)
        return self.over

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]


class Worker:
    """One daemon thread that does one call at a time, made when it is first needed.

    Belongs to one event loop. Callers wait for each other; `name` is in messages and is
    the name of the thread. Whoever made it calls `close` when it is needed no more.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._queue: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._job: _Job[object] | None = None
        self._turn = asyncio.Lock()
        self._started = False
        self._closed = False

    @property
    def busy(self) -> float | None:
        """Since when (boottime) the thread is in a call, abandoned or not; None if it is not."""
        job = self._job
        return None if job is None or job.over else job.began

    async def free(self, *, limit_s: float) -> None:
        """Wait until the thread has come back from an abandoned call.

        Raises:
            HungError: it has not within `limit_s` and a short grace.
        """
        if self._job is not None:
            await self._within(self._job, limit_s)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts, limit_s: float) -> T:
        """Return what `fn(*args)` returns or raises, done in the thread.

        If the thread is still in an abandoned call, that gets `limit_s` to come back first.
        A process that was stopped (SIGSTOP) finds its timer expired at once when it goes
        on, though its thread has had no chance to run: hence a grace, measured anew,
        before a call counts as hung (O3).

        Raises:
            HungError: no answer within `limit_s` and the grace. The call is abandoned: if
                it has begun it may still take effect later, its result is dropped.
            NoThreadError: it has not begun, since no thread can be started.
        """
        async with self._turn:
            await self.free(limit_s=limit_s)
            job = _Job(lambda: fn(*args))
            self._submit(job)
            try:
                await self._within(job, limit_s)
            finally:
                job.dropped = True  # no effect on a call that has begun
            return job.outcome()

    def close(self) -> None:
        """Let the thread end, now or when it comes back. No calls after this."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)

    def _submit(self, job: _Job[T]) -> None:
        if self._closed:
            raise BugError(f"{self.name}: called after close")
        if not self._started:
            thread = threading.Thread(
                target=_serve, args=(self._queue,), name=self.name, daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                raise NoThreadError(f"{self.name}: {error}") from error
            self._started = True
        self._job = job  # type: ignore[assignment]
        self._queue.put(job)  # type: ignore[arg-type]

    async def _within(self, job: _Job[T], limit_s: float) -> None:
        for patience_s in (limit_s, min(limit_s, GRACE_MAX_S)):
            if await job.over_within(patience_s):
                if self._job is job:
                    self._job = None
                return
        raise HungError(f"{self.name}: no answer for {boottime() - job.began:.1f} s")


def _serve(jobs: queue.SimpleQueue[_Job[object] | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # while the thread waits it holds on to nothing


def reason(error: Exception) -> str:
    """Return why a call failed, in words that stay the same when it fails so again."""
    if isinstance(error, HungError):
        return "no answer from the file system"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
