"""What happens to an exception in clinit: it is contained, or it ends clinit.

The worst case is a clinit that keeps running without supervising: its groups run past their
deadlines, and nothing ends them. asyncio logs an exception of a callback and goes on, so each
one is judged here, by this table:

| raised by | result |
|---|---|
| a report or a log line about an order that was carried out | contained: logged |
| the removal of an empty cgroup | contained: logged |
| the connection of a client (asyncio names its transport or protocol) | contained: logged |
| an abandoned file operation that ends with an OSError | contained: logged |
| asyncio itself, with a message and no exception | contained: logged |
| the engine: a step of the supervisor, or an effect | ends clinit |
| any other callback (an alarm, a pipe, a pidfd, a signal) | ends clinit |
| a task of clinit | ends clinit: its task group ends with it |

Ordinary failures are handled where they happen and never get here: a process that may not be
signalled, a cgroup that cannot be read for lack of a descriptor, a file that cannot be read.

To end means: the fork server, which is the guard, kills all groups of this node at once, and
clinit exits with the exception. The next clinit starts with nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

from mosha.host import logs


class Faults:
    """The one place where unawaited exceptions arrive."""

    def __init__(self, kill_everything: Callable[[], None]) -> None:
        """Install in the running loop; `kill_everything` makes the guard kill all groups."""
        loop = asyncio.get_running_loop()
        self._kill_everything = kill_everything
        self._ended: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._judge)

    async def raise_first(self) -> None:
        """Wait for the error that ends clinit, and raise it."""
        await asyncio.shield(self._ended)

    def end(self, error: BaseException) -> None:
        """End clinit because of this error, its groups first; later errors change nothing."""
        if self._ended.done():
            return
        self._kill_everything()
        self._ended.set_exception(error)
        logs.get().critical("clinit_broken", reason=f"{type(error).__name__}: {error}")

    @contextlib.contextmanager
    def contain(self, subject: str) -> Iterator[None]:
        """Contain any exception raised within: only the report of `subject` is lost."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - telling must never end a supervisor
            with contextlib.suppress(Exception):  # the log itself may fail
                reason = f"{type(error).__name__}: {error}"
                logs.get().error("fault_contained", subject=subject, reason=reason)

    def _judge(self, _: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException) and not _contained(error, context):
            self.end(error)
            return
        reason = str(context.get("message", "")) + (f": {error}" if error is not None else "")
        logs.get().error("fault_contained", reason=reason)


def _contained(error: BaseException, context: Mapping[str, object]) -> bool:
    if "transport" in context or "protocol" in context:
        return True
    return "future" in context and isinstance(error, OSError)
