"""What becomes of an exception in clinit: contained, or the end of clinit.

A clinit that lives on without supervising is the worst there is: its groups run past their
deadlines, and nobody ends them. asyncio logs an exception of a callback and goes on, so each
one is judged here, by this table:

| raised by | what becomes of it |
|---|---|
| what tells of an order that was carried out: a report, a log line | contained: logged |
| the removal of an empty cgroup | contained: logged |
| the connection of a client (asyncio names its transport or protocol) | contained: logged |
| a question that nobody waits for any more, answered by an OSError | contained: logged |
| asyncio itself, with words and no exception | contained: logged |
| the engine: a step of the supervisor, or an effect | ends clinit |
| any other callback (an alarm, a pipe, a pidfd, a signal) | ends clinit |
| a task of clinit | ends clinit: its task group ends with it |

What can fail in an ordinary way is an answer where it happens and never gets here: one process
that may not be signalled, a look into a cgroup without a descriptor, a file that cannot be read.

To end means: the fork server, which is the guard, kills all groups of this node at once, and
clinit exits with what was raised. The next clinit begins with nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

from mosha.host import logs


class Faults:
    """The one place where exceptions that nobody awaits arrive."""

    def __init__(self, kill_everything: Callable[[], None]) -> None:
        """Needs a running loop; `kill_everything` has the guard kill all groups, at once."""
        loop = asyncio.get_running_loop()
        self._kill_everything = kill_everything
        self._ended: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._judge)

    async def raise_first(self) -> None:
        """Wait until something ends clinit, and raise that."""
        await asyncio.shield(self._ended)

    def end(self, error: BaseException) -> None:
        """End clinit because of this error, its groups first; a second error changes nothing."""
        if self._ended.done():
            return
        self._kill_everything()
        self._ended.set_exception(error)
        logs.get().critical("clinit_broken", reason=f"{type(error).__name__}: {error}")

    @contextlib.contextmanager
    def contain(self, subject: str) -> Iterator[None]:
        """Go on after whatever is raised within: nothing but the telling of `subject` is lost."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - telling must never end a supervisor
            with contextlib.suppress(Exception):  # it may be the log that fails
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
