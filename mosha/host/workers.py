"""Threads that can be abandoned, for calls that may never return.

Any operation on a cluster file system can hang for ever, in state D, where nothing cancels it. So
it runs in a thread that is abandoned when it is late: the caller goes on, the thread stays busy
until the kernel releases it, and its result is dropped. The threads are daemon threads outside any
pool, so the process ends without waiting for them.
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
from mosha.host.waking import set_within

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

GRACE_MAX_S = 0.25
"""The grace of a thread after its limit: see `Worker.call`."""


class HungError(HostError):
    """A call in a worker has not returned within its limit."""


class NoThreadError(HungError):
    """A call has not started: the host has no thread for it (pids.max, TasksMax=, ulimit -u).

    For its caller it is a call that has not returned, and the next call tries again.
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
        """Run the call, in the thread; not at all if its caller has given up."""
        if not self.dropped:
            try:
                self._value.append(self._work())
            # The outermost frame of the thread: every exception goes to the caller.
            except BaseException as error:  # noqa: BLE001
                self._error = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self.over = True
        self.wake.set()

    async def over_within(self, limit_s: float) -> bool:
        """Wait until the thread has returned, at most `limit_s`; return whether it has.

        Not with `asyncio.wait`, which costs another iteration of the loop: an idle monitor makes
        some eight calls a second.
        """
        until = boottime() + limit_s
        while not self.over and (left_s := until - boottime()) > 0:
            self.wake.clear()  # other waiters were woken too, and check themselves
            await set_within(self.wake, left_s)
        return self.over

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]


class Worker:
    """One daemon thread that runs one call at a time, started on first use.

    It belongs to one event loop. Callers wait for each other; `name` is in messages and is the
    name of the thread. The owner calls `close` when it is no longer needed.
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
        """Wait until the thread has returned from an abandoned call.

        Raises:
            HungError: it has not within `limit_s` and a short grace.
        """
        if self._job is not None:
            await self._within(self._job, limit_s)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts, limit_s: float) -> T:
        """Run `fn(*args)` in the thread and return its result or raise its exception.

        If the thread is still in an abandoned call, that gets `limit_s` to return first. A process
        that was stopped (SIGSTOP) finds its timer expired as soon as it continues, although its
        thread has had no chance to run: hence a grace, measured again, before a call counts as
        hung (O3).

        Raises:
            HungError: no result within `limit_s` and the grace. The call is abandoned: if it has
                started it may still take effect later, its result is dropped.
            NoThreadError: it has not started, since no thread can be started.
        """
        async with self._turn:
            await self.free(limit_s=limit_s)
            job = _Job(lambda: fn(*args))
            self._submit(job)
            try:
                await self._within(job, limit_s)
            finally:
                job.dropped = True  # no effect on a call that has started
            return job.outcome()

    def close(self) -> None:
        """End the thread, now or when it returns. No calls after this."""
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
        del job  # a waiting thread must not hold references


def reason(error: Exception) -> str:
    """Return why a call failed, in words that stay the same for the same failure."""
    if isinstance(error, NoThreadError):
        return "no thread can be started (pids.max, TasksMax=, ulimit -u)"
    if isinstance(error, HungError):
        return "no answer from the file system"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
