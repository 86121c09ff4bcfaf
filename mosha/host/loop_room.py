"""Whether an event loop can be made at all: asked before asyncio tries."""

from __future__ import annotations

import contextlib
import os

LOOP_DESCRIPTORS = 3
"""An epoll instance and a pair of sockets (asyncio.selector_events)."""


def require_loop_room() -> None:
    """Make sure that this process can open what an event loop needs.

    A loop that asyncio could make only in part prints a traceback when it is deleted, and the
    coroutine that it was to run a warning: nobody needs either to see what is missing.

    Raises:
        OSError: there are not enough descriptors.
    """
    with contextlib.ExitStack() as opened:
        for _ in range(LOOP_DESCRIPTORS):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
