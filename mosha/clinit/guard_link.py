"""clinit's end of its guard (`guard.py`): started first, replaced if it is lost, let go last."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mosha import logs
from mosha.clinit import guard
from mosha.errors import HostError

RETRY_S = 1.0
"""Between two attempts to start a guard that was lost."""


class GuardLink:
    """A running guard."""

    def __init__(self, environment: Mapping[str, str], mark: str, tree: Path | None) -> None:
        """Start the guard; needs a running loop.

        Raises:
            HostError: it cannot be started.
        """
        self._environment = environment
        self._mark = mark
        self._tree = tree
        self._retry: asyncio.TimerHandle | None = None
        try:
            self._start()
        except OSError as error:
            raise HostError(f"cannot start the guard: {error}") from error

    @property
    def pid(self) -> int:
        """The guard's process. It is reaped like any other child of clinit (`reaper.py`)."""
        return self._process.pid

    def dismiss(self) -> None:
        """Let it go: there is nothing left to guard."""
        with contextlib.suppress(OSError):
            self._connection.send(guard.LEFT)
        self._close()

    def give_up(self) -> None:
        """Have it kill everything now, as if clinit were dead."""
        self._close()

    def _lost(self) -> None:
        logs.get().warning("guard_lost", pid=self.pid)
        self._close()
        self._replace()

    def _replace(self) -> None:
        self._retry = None
        try:
            self._start()
        except OSError as error:
            logs.get().error("guard_failed", reason=str(error))
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._replace)

    def _close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()

    def _start(self) -> None:
        self._connection, theirs = socket.socketpair()
        self._connection.setblocking(False)
        program = [sys.executable, "-I", "-S", guard.__file__]
        fd = theirs.fileno()
        try:
            self._process = subprocess.Popen(
                [*program, str(fd), self._mark, str(self._tree or "")],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[fd],
                start_new_session=True,
            )
        finally:
            theirs.close()
        self._process.returncode = 0  # it is not Popen's to reap
        # The guard never says anything: what can be read is its end.
        asyncio.get_running_loop().add_reader(self._connection, self._lost)
