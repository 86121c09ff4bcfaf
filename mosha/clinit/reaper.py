"""Children that are no leaders: adopted orphans that end, and the fork server.

Leaders are waited for by their pidfd, one descriptor each. For all others SIGCHLD says that
something has ended; then those who wait for emptiness look at once, and the dead are buried
a little later, many at a time.
"""

from __future__ import annotations

import asyncio
import os
import signal

from mosha.clinit.descendants import Descendants
from mosha.clinit.engine import Engine
from mosha.clinit.forker import Forker

REAP_DELAY_S = 0.05


class Reaper:
    """Reaps what nobody else waits for."""

    def __init__(self, engine: Engine, forker: Forker) -> None:
        self._engine = engine
        self._forker = forker
        self._family = Descendants()
        self._timer: asyncio.TimerHandle | None = None
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._ended)

    def close(self) -> None:
        """Reap no more."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        if self._timer is not None:
            self._timer.cancel()
        self._family.close()

    def _ended(self) -> None:
        self._engine.something_ended()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REAP_DELAY_S, self._reap_later)

    def _reap_later(self) -> None:
        self._timer = None
        if self._forker.busy:
            # A child whose pid is not known yet would be taken for an orphan.
            self._timer = asyncio.get_running_loop().call_later(REAP_DELAY_S, self._reap_later)
            return
        try:
            children = self._family.children()
        except OSError:  # no descriptor is left: the dead can wait, and clinit must not end by that
            self._timer = asyncio.get_running_loop().call_later(REAP_DELAY_S, self._reap_later)
            return
        # Each of them, not only up to the first that has ended.
        buried = [pid for pid in set(children) - self._engine.leaders if _reaped(pid)]
        if buried:  # the numbers of living processes in reports have changed
            self._engine.news.touch(self._engine.supervisor.units)


def _reaped(pid: int) -> bool:
    """Take the exit status of a child that has ended; say whether it had."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:  # somebody else has waited for it
        return False
