"""A watchdog device of Linux, /dev/watchdog: it resets the machine unless it is fed.

To open it arms it, and nobody else can open it meanwhile. Closing it leaves it armed, except after
a V was written, the *magic close*. All of it is in Documentation/watchdog/watchdog-api.rst of the
kernel's sources.
"""

from __future__ import annotations

import array
import fcntl
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from mosha.errors import HostError

# _IOR('W', 0, struct watchdog_info), _IOWR('W', 6, int), _IOR('W', 7, int), as most processors
# number them (asm-generic/ioctl.h).
_GET_SUPPORT = 0x80285700
_SET_TIMEOUT = 0xC0045706
_GET_TIMEOUT = 0x80045707
_INFO_BYTES = 40  # two numbers of 32 bits: options, firmware; and 32 bytes of a name
_IDENTITY_AT = 8

CAN_SET_TIMEOUT = 0x0080
CAN_MAGIC_CLOSE = 0x0100

_FEED = b"\0"
_MAGIC = b"V"


class WatchdogAbility(Struct, frozen=True):
    """What the driver of a watchdog says of itself (struct watchdog_info)."""

    identity: str
    sets_timeout: bool
    magic_close: bool


class WatchdogPort(Protocol):
    """An open, and so armed, watchdog. Every method may raise OSError."""

    @property
    def ability(self) -> WatchdogAbility:
        """What its driver can do."""

    def set_timeout(self, seconds: int) -> None:
        """Ask for a time-out; the driver may take another one."""

    def timeout(self) -> int:
        """Return the time-out in force, in seconds."""

    def feed(self) -> None:
        """Begin the time-out anew."""

    def disarm(self) -> None:
        """Close it with a V: the machine is not reset."""


OpenWatchdog = Callable[[Path], WatchdogPort]
"""Opens, and so arms, the watchdog at a path; raises what `WatchdogDevice` raises."""


class WatchdogDevice:
    """A real device, open."""

    def __init__(self, path: Path) -> None:
        """Open and arm it; no child inherits the descriptor.

        Raises:
            HostError: it does not exist, or is no watchdog.
            OSError: it cannot be opened: somebody else has it (EBUSY).
        """
        if problem := why_no_watchdog(path):
            raise HostError(problem)
        self._fd = open_for_this_process(path)
        info = bytearray(_INFO_BYTES)
        try:
            fcntl.ioctl(self._fd, _GET_SUPPORT, info)
        except OSError as error:
            os.close(self._fd)
            raise HostError(f"{path} is not a watchdog: {error.strerror}") from error
        self.ability = _ability(bytes(info))

    def set_timeout(self, seconds: int) -> None:
        """See `WatchdogPort`."""
        fcntl.ioctl(self._fd, _SET_TIMEOUT, array.array("i", [seconds]))

    def timeout(self) -> int:
        """See `WatchdogPort`."""
        seconds = array.array("i", [0])
        fcntl.ioctl(self._fd, _GET_TIMEOUT, seconds)
        return seconds[0]

    def feed(self) -> None:
        """See `WatchdogPort`."""
        os.write(self._fd, _FEED)

    def disarm(self) -> None:
        """See `WatchdogPort`."""
        os.write(self._fd, _MAGIC)
        os.close(self._fd)


def open_for_this_process(path: Path) -> int:
    """Return a descriptor that no program that is started gets: it could keep the machine up."""
    return os.open(path, os.O_WRONLY | os.O_CLOEXEC)


def _ability(info: bytes) -> WatchdogAbility:
    options = int.from_bytes(info[:4], sys.byteorder)
    return WatchdogAbility(
        identity=info[_IDENTITY_AT:].split(b"\0")[0].decode(errors="replace"),
        sets_timeout=bool(options & CAN_SET_TIMEOUT),
        magic_close=bool(options & CAN_MAGIC_CLOSE),
    )


def why_no_watchdog(path: Path) -> str:
    """Return why a path cannot be a watchdog, "" if it may be one; it is not opened."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "" if stat.S_ISCHR(mode) else f"{path} is not a character device"
