"""Reaps children that are not leaders: adopted orphans, and the fork server.

Leaders are waited for by their pidfd, one descriptor each. For all others SIGCHLD says that
something has ended; then what waits for emptiness checks at once, and the dead are reaped a
little later, many at a time; before an agent is started, at once.
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
    """Reaps what no entry waits for."""

    def __init__(self, engine: Engine, forker: Forker) -> None:
        self._engine = engine
        self._forker = forker
        self._family = Descendants()
        self._timer: asyncio.TimerHandle | None = None
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._ended)
        engine.bury = self._reap_now

    def close(self) -> None:
        """Stop reaping."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        if self._timer is not None:
            self._timer.cancel()
        self._family.close()

    def _ended(self) -> None:
        self._engine.something_ended()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REAP_DELAY_S, self._reap_later)

    def _reap_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._reap_later()

    def _reap_later(self) -> None:
        self._timer = None
        if self._forker.busy:
            # A child whose pid is not known yet would count as an orphan.
            self._timer = asyncio.get_running_loop().call_later(REAP_DELAY_S, self._reap_later)
            return
        try:
            children = self._family.children()
        except OSError:  # no descriptor is left: the dead can wait, clinit must not end for that
            self._timer = asyncio.get_running_loop().call_later(REAP_DELAY_S, self._reap_later)
            return
        # Every one, not only up to the first that has ended.
        reaped = [pid for pid in set(children) - self._engine.leaders if _reaped(pid)]
        if reaped:  # the process counts in reports have changed
            self._engine.news.touch(self._engine.supervisor.units)


def _reaped(pid: int) -> bool:
    """Reap a child if it has ended; say whether it had."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:  # it was reaped elsewhere
        return False
