"""File operations that may hang for ever, in a thread that lasts no longer than they do.

For what is seldom asked of a file system: each subject (the cltab, the clstat) has at most one
thread at a time, none while nothing is asked, and while one hangs the next question is refused at
once (docs/explanation/architecture.md).
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import TypeVar

from mosha.host.workers import HungError, NoThreadError, Worker

ResultT = TypeVar("ResultT")

ANSWER_LIMIT_S = 5.0
"""A healthy file system answers in milliseconds, a hung one never."""


def within(
    question: Callable[[], ResultT], otherwise: ResultT, limit_s: float = ANSWER_LIMIT_S
) -> ResultT:
    """Return the answer, or `otherwise` if there is none in time: for programs without a loop."""
    answers: list[ResultT] = []
    asker = threading.Thread(target=lambda: answers.append(question()), daemon=True)
    asker.start()
    asker.join(limit_s)
    return answers[0] if answers else otherwise


async def ask(subject: str, question: Callable[[], ResultT], limit_s: float) -> ResultT:
    """Ask a file system something, for whoever asks it of this subject.

    Raises:
        NotRespondingError: as `Abandonable.run`.
        OSError: likewise.
    """
    asker = _ASKERS.setdefault(subject, Abandonable(subject))
    try:
        return await asker.run(question, limit_s)
    finally:
        if not asker.busy and _ASKERS.get(subject) is asker:
            del _ASKERS[subject]


class NotRespondingError(OSError):
    """The file system does not answer; or it did not the last time, and still does not."""


class Abandonable:
    """Runs functions in a thread, one at a time, and gives up on one that hangs."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._worker: Worker | None = None
        self._waiting = 0
        self._hung = False

    @property
    def busy(self) -> bool:
        """Whether its thread is in a call, given up or not."""
        return self._worker is not None and self._worker.busy is not None

    async def run(self, function: Callable[[], ResultT], limit_s: float) -> ResultT:
        """Return what `function` returns, or raise what it raises.

        One whose caller was cancelled is waited for: two never overlap.

        Raises:
            NotRespondingError: it takes longer than `limit_s` (and the grace of a worker), or an
                earlier one has not come back.
            OSError: no thread can be started, or what `function` raises.
        """
        worker = self._worker = self._worker or Worker(self._subject)
        if self._hung and worker.busy is not None:
            raise NotRespondingError(f"the file system does not answer: {self._subject}")
        self._hung = False
        self._waiting += 1
        try:
            return await worker.call(function, limit_s=limit_s)
        except NoThreadError as error:  # pids.max, TasksMax=, ulimit -u: an error like any other
            raise OSError(errno.EAGAIN, str(error)) from error
        except HungError:
            self._hung = True
            reason = f"the file system does not answer within {limit_s:g} s: {self._subject}"
            raise NotRespondingError(reason) from None
        finally:
            self._waiting -= 1
            if not self._waiting and worker.busy is None:
                worker.close()
                self._worker = None


_ASKERS: dict[str, Abandonable] = {}
"""Those of `ask` that are asked something, or hang."""
