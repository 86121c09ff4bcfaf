"""One alarm for the earliest deadline, on the clock of the leases.

CLOCK_BOOTTIME runs while the machine is suspended: what fell due meanwhile rings right after it
resumes. The event loop's timers use CLOCK_MONOTONIC, which stops; hence the timerfd
(timerfd_create(2); os.timerfd_create exists from Python 3.13 on).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

from mosha.clinit.child_steps import function
from mosha.errors import HostError

_CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK
_ABSOLUTE = 1
# An absolute time of zero would disarm the timer.
_LEAST_NS = 1
_NS = 1_000_000_000


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


_timerfd_create = function("timerfd_create", ctypes.c_int, ctypes.c_int, ctypes.c_int)
_timerfd_settime = function(
    *("timerfd_settime", ctypes.c_int, ctypes.c_int, ctypes.c_int),
    *(ctypes.POINTER(_TimerSpec), ctypes.c_void_p),
)


class Alarm:
    """Calls `rang` once, at the time set last."""

    def __init__(self, rang: Callable[[], None]) -> None:
        """Make the timer; needs a running loop.

        Raises:
            HostError: the kernel has no such timer.
        """
        self._fd: int = _timerfd_create(time.CLOCK_BOOTTIME, _CLOEXEC_NONBLOCK)
        if self._fd < 0:
            raise HostError(f"no timer of CLOCK_BOOTTIME: {os.strerror(ctypes.get_errno())}")
        self._rang = rang
        self._when: float | None = None
        asyncio.get_running_loop().add_reader(self._fd, self._ring)

    def set(self, when: float | None) -> None:
        """Ring at `when` (seconds of CLOCK_BOOTTIME, the past means now); None means never."""
        if when == self._when:
            return
        self._when = when
        nanoseconds = 0 if when is None else max(_LEAST_NS, int(when * _NS) + 1)
        value = _TimeSpec(*divmod(nanoseconds, _NS))
        spec = _TimerSpec(_TimeSpec(0, 0), value)
        if _timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None) < 0:
            raise HostError(f"cannot set a timer: {os.strerror(ctypes.get_errno())}")

    def close(self) -> None:
        """Close the timer."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _ring(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # it was set again in between
            return
        self._when = None
        # Outside of the try: a BlockingIOError of the callback must not be swallowed here.
        self._rang()
