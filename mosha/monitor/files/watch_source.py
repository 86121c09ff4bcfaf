"""Sources of directory changes: watchfiles, by its private class or its public function.

The private class accepts another step each time, and our thread can wait for it; the public
`awatch` uses a thread of anyio for each batch of changes: three iterations of the event loop and a
task group for every status of every node, a third of what an idle monitor costs. But it is private
and may disappear or change with any release. Then the public `watch` does the same in our thread,
always with its first step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

import watchfiles

# The default is 1.6 s: how long a change may be withheld while others follow.
DEBOUNCE_MS = 50

Batch = set[tuple[int, str]]
"""Changes as watchfiles reports them: the kind (`Change`) and the path."""


class ChangeSource(Protocol):
    """Changes in some directories, not below them; one thread waits for them."""

    def wait(self, step_ms: int, limit_ms: int) -> Batch:
        """Wait for changes, checking once per step; return none at the limit, or when stopped.

        Raises:
            OSError, RuntimeError: watchfiles gives up.
        """

    def close(self) -> None:
        """Release its kernel resources."""


THREADS_TRIED = 3
"""One is what notify needs; others on this host may take one between the trial and its start."""

MakeSource = Callable[[Iterable[str], int, threading.Event], ChangeSource]
"""Makes a source from paths, the initial step (in ms), and the event that stops it.

Raises OSError if a path does not exist or inotify refuses, RuntimeError if watchfiles refuses or
there is no free thread; or the first `wait` does.
"""


class DirectSource:
    """The private class of watchfiles."""

    def __init__(self, paths: Iterable[str], step_ms: int, stop: threading.Event) -> None:
        del step_ms
        # May be missing: then this class is not used.
        from watchfiles._rust_notify import RustNotify  # noqa: PLC0415

        self._stop = stop
        require_threads()
        # No debug output, no polling, not recursive; unreadable directories were left out before.
        self._notify = RustNotify(list(paths), False, False, 0, False, False)

    def wait(self, step_ms: int, limit_ms: int) -> Batch:
        """See `ChangeSource`."""
        batch = self._notify.watch(DEBOUNCE_MS, step_ms, limit_ms, self._stop)
        return set() if isinstance(batch, str) else batch

    def close(self) -> None:
        """See `ChangeSource`."""
        self._notify.close()


class PublicSource:
    """The public function of watchfiles; its step cannot be changed."""

    def __init__(self, paths: Iterable[str], step_ms: int, stop: threading.Event) -> None:
        require_threads()  # for the first `wait`
        self._batches = watchfiles.watch(
            *paths,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=step_ms,
            stop_event=stop,
            rust_timeout=0,
            debug=False,
            force_polling=False,
            recursive=False,
            ignore_permission_denied=False,
        )

    def wait(self, step_ms: int, limit_ms: int) -> Batch:
        """See `ChangeSource`; without the step and the limit."""
        del step_ms, limit_ms
        return {(int(change), path) for change, path in next(self._batches, ())}

    def close(self) -> None:
        """See `ChangeSource`."""
        self._batches.close()


def require_threads() -> None:
    """Make sure that this process can start threads.

    The library below watchfiles, notify, starts one for each source, takes no notice if it cannot,
    and then ends the whole process (a panic within a panic: SIGABRT).

    Raises:
        RuntimeError: no thread can be started.
    """
    end = threading.Event()
    begun: list[threading.Thread] = []
    try:
        for _ in range(THREADS_TRIED):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            begun.append(thread)
    finally:
        end.set()
        for thread in begun:
            thread.join()


def source_here() -> tuple[MakeSource, str]:
    """Return the source that this host's watchfiles has, and why if it is the public one."""
    try:
        trial = DirectSource((), 1, threading.Event())
        trial.wait(1, 1)
        trial.close()
    except (ImportError, AttributeError, TypeError) as error:
        return PublicSource, str(error)
    except (OSError, RuntimeError):  # inotify refuses: not a problem of the class
        pass
    return DirectSource, ""
