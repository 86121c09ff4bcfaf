"""The one clock that decisions use.

CLOCK_BOOTTIME runs while the machine is suspended, is never set, and is the same for all processes
of a machine: the monitor can send clinit a deadline as an absolute number. Wall time is for people
and file versions only.
"""

from __future__ import annotations

import time
from pathlib import Path


def boottime() -> float:
    """Return the seconds since this machine was booted, including suspends."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the first eight hex digits of this boot's id (`Mosha::Node … boot=`)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
