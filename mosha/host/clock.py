"""The one clock that decisions use.

CLOCK_BOOTTIME goes on while the machine sleeps and is never set by anybody, and it is
the same for all processes of a machine: a deadline can be handed from the monitor to
clinit as an absolute number. Wall time serves people and file versions only.
"""

from __future__ import annotations

import time
from pathlib import Path


def boottime() -> float:
    """Return the seconds since this machine was booted, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the first eight hex digits of this boot's id (`Mosha::Node … boot=`)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
