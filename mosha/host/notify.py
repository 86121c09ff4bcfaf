"""Notifies the service manager of the daemon's state: sd_notify(3), without its library.

One datagram of `KEY=value` lines to the socket in $NOTIFY_SOCKET. Without one, everything here does
nothing. Nothing here blocks or raises: a manager that is being restarted must not stop a daemon.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

SOCKET_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_VARIABLES = ("WATCHDOG_USEC", "WATCHDOG_PID")
# sd_watchdog_enabled(3) recommends half of the time; a third tolerates one late iteration.
FEEDS_PER_WATCHDOG = 3
STATUS_MAX_CHARS = 500
_US = 1_000_000


class Notifier:
    """One daemon's connection to its service manager.

    `watchdog_s` is the interval within which it must report that it is alive, None without a
    watchdog.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = address
        self._status = ""

    @property
    def heard(self) -> bool:
        """Whether there is a service manager to notify."""
        return bool(self._address)

    def ready(self, status: str) -> bool:
        """Report that the start, or a reload, is over; return whether that was sent."""
        return self._tell("READY=1", self._line(status))

    def status(self, text: str) -> None:
        """Report in one line what the daemon does now, if that has changed."""
        if text != self._status:
            self._tell(self._line(text))

    def alive(self) -> None:
        """Feed the watchdog. Call it from the loop whose hanging is to be noticed."""
        if self.watchdog_s is not None:
            self._tell("WATCHDOG=1")

    def watch(self, seconds: float) -> None:
        """Set the interval of the watchdog, if there is one."""
        if self.watchdog_s is not None and seconds != self.watchdog_s:
            self.watchdog_s = seconds
            self._tell(f"WATCHDOG_USEC={round(seconds * _US)}")

    def reloading(self) -> None:
        """Report that settings are being read; `ready` reports the end."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """Report that the daemon is stopping: from now on the manager's stop timeout runs."""
        self._tell("STOPPING=1", self._line(status))

    def _line(self, text: str) -> str:
        self._status = text
        return "STATUS=" + " ".join(text.split())[:STATUS_MAX_CHARS]

    def _tell(self, *lines: str) -> bool:
        if not self._address:
            return False
        # A leading @ stands for the abstract namespace of unix(7).
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto("\n".join(lines).encode("utf-8", "replace"), address)
        except (OSError, ValueError):
            return False
        return True


def take(environ: MutableMapping[str, str] | None = None) -> Notifier:
    """Return the notifier from the environment, and remove its variables there.

    Removed, because children must not inherit the notify socket. Addresses that are neither a path
    nor abstract (vsock) count as none.
    """
    given = os.environ if environ is None else environ
    address = given.pop(SOCKET_VARIABLE, "")
    usec, pid = (given.pop(name, "") for name in WATCHDOG_VARIABLES)
    if address[:1] not in {"/", "@"}:
        return Notifier()
    watched = usec.isdecimal() and int(usec) > 0 and pid in {"", str(os.getpid())}
    return Notifier(address, int(usec) / _US if watched else None)


def watchdog_environment(seconds: float) -> dict[str, str]:
    """Return the environment with which `take` finds a watchdog of that many seconds."""
    return {
        WATCHDOG_VARIABLES[0]: str(round(seconds * _US)),
        WATCHDOG_VARIABLES[1]: str(os.getpid()),
    }
