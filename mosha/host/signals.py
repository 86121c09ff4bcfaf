"""Resets signals for a daemon, whatever its parent has blocked or ignored.

A process inherits both (signal(7)): from nohup, from a shell that starts it in the background, from
a program that blocks what it waits for. A daemon that does not get SIGTERM has to be killed; one
whose SIGCHLD is ignored never learns an exit status, and takes a failed fencing for a success.
"""

from __future__ import annotations

import contextlib
import signal
from types import FrameType

_PYTHONS = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""What Python itself ignores; code that starts children resets these."""


def reset() -> None:
    """Unblock all signals and ignore none, for this process and its children.

    An ignored SIGHUP (nohup) does nothing until the daemon has installed its handler: the terminal
    may be closed before that. Children do not inherit a handler.
    """
    for number in signal.valid_signals() - _PYTHONS:
        if signal.getsignal(number) is signal.SIG_IGN:
            action = _do_nothing if number == signal.SIGHUP else signal.SIG_DFL
            with contextlib.suppress(OSError, ValueError):  # reserved by the C library
                signal.signal(number, action)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame
