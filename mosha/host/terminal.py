"""The controlling terminal of a daemon in the foreground, and what a SIGHUP means there.

For a daemon SIGHUP means: read the settings again. Closing a terminal, a tmux pane or an ssh
session sends the same signal, from the kernel or from the shell, and the user expects what runs
there to end. The terminal tells the two apart: it went away at that moment. With SIGHUP ignored
(nohup) the daemon stays, and likewise if it was taken from the shell's job list (disown): then no
SIGHUP comes with the end of the terminal, and a later one means what it always does.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import time

TTY = "/dev/tty"
CLOSING_S = 10.0
"""On a busy machine a shell may send its SIGHUP this long after the end of the terminal."""

# A shell that exits may send it a moment before the terminal is gone.
LOOKS = 10
LOOK_S = 0.02


class Terminal:
    """The controlling terminal at the start of this process; needs a running loop.

    Create it before signals are reset (`signals.py`): it matters whether SIGHUP was ignored.
    """

    def __init__(self) -> None:
        self._watch: select.epoll | None = None
        self._fd = -1
        self._gone_at: float | None = None
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            self._fd = _open()
        if self._fd >= 0:
            # Its hangup, not input, which is for the shell.
            self._watch = select.epoll()
            self._watch.register(self._fd, 0)
            asyncio.get_running_loop().add_reader(self._watch.fileno(), self._gone)

    async def was_closed(self) -> bool:
        """Say whether a SIGHUP that has just come means that the terminal was closed."""
        if self._fd < 0 and self._gone_at is None:
            return False
        for _ in range(LOOKS):
            if self._gone_at is not None:
                return time.monotonic() - self._gone_at < CLOSING_S
            if _is_gone():
                return True
            await asyncio.sleep(LOOK_S)
        return False

    def close(self) -> None:
        """Close the descriptors."""
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch.fileno())
            self._watch.close()
            os.close(self._fd)
        self._watch, self._fd = None, -1

    def _gone(self) -> None:
        self._gone_at = time.monotonic()
        self.close()


def _open() -> int:
    """Open the controlling terminal; -1 if there is none, or it cannot be opened."""
    try:
        return os.open(TTY, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1


def _is_gone() -> bool:
    try:
        os.close(os.open(TTY, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in (
            errno.ENXIO,
            errno.EIO,
        )  # tty(4): none; or it is just going away
    return False
