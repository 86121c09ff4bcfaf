"""A watchdog device that is a regular file: each call leaves a letter there, nothing is reset."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from mosha.host.watchdog_device import WatchdogAbility

FULL = WatchdogAbility("Fake", sets_timeout=True, magic_close=True)


class FakeWatchdog:
    """Open: `o`; a feed: `.`; the magic close: `V`. One process at a time has it open.

    `steps_s` are the time-outs that it knows: it takes the longest that is no longer than the one
    asked for, else the shortest, as drivers do.
    """

    def __init__(
        self, path: Path, ability: WatchdogAbility = FULL, steps_s: tuple[int, ...] = ()
    ) -> None:
        """Open it.

        Raises:
            OSError: there is no such file, or somebody has it.
        """
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self.fd)
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from error
        self.ability = ability
        self.fails = self.closed = False
        self._steps_s = steps_s
        self._timeout_s = min(steps_s, default=60)
        os.write(self.fd, b"o")

    def set_timeout(self, seconds: int) -> None:
        """See `WatchdogPort`."""
        assert self.ability.sets_timeout
        shorter = [step for step in self._steps_s if step <= seconds]
        self._timeout_s = max(shorter or self._steps_s[:1] or (seconds,))

    def timeout(self) -> int:
        """See `WatchdogPort`."""
        return self._timeout_s

    def feed(self) -> None:
        """See `WatchdogPort`."""
        if self.fails:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        os.write(self.fd, b".")

    def disarm(self) -> None:
        """See `WatchdogPort`."""
        os.write(self.fd, b"V")
        self.close()

    def close(self) -> None:
        """Close it as a dying process does."""
        self.closed = True
        os.close(self.fd)
