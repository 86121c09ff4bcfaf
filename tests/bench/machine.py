"""What /proc says of processes and of the machine (proc(5))."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from mosha.host.clock import boottime


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has cost so far, and what it holds. PSS counts shared pages in part."""

    cpu_s: float
    rss_mb: float
    pss_mb: float
    threads: int


def usage(pid: int) -> Usage:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    threads = int(text[text.rindex(")") + 2 :].split()[17])
    kilobytes = {"Rss": 0.0, "Pss": 0.0}
    with contextlib.suppress(PermissionError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            name, _, rest = line.partition(":")
            if name in kilobytes:
                kilobytes[name] = float(rest.split()[0])
    return Usage(
        # The clock of another process (clock_getcpuclockid(3)); /proc counts in 10 ms only.
        cpu_s=time.clock_gettime(~pid << 3 | 2),
        rss_mb=kilobytes["Rss"] / 1024,
        pss_mb=kilobytes["Pss"] / 1024,
        threads=threads,
    )


def reaped_s(pid: int) -> float:
    """Return the CPU seconds of all processes that this one has waited for, in ticks of 10 ms."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    words = text[text.rindex(")") + 2 :].split()
    return (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK")


def pressure_s() -> float:
    """Return for how long anything has had to wait for a processor; 0 without PSI."""
    with contextlib.suppress(OSError):
        some = Path("/proc/pressure/cpu").read_text(encoding="ascii").splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6
    return 0.0


def wall_to_boottime(wall_s: float) -> float:
    """Return a recent time of the wall clock as one of CLOCK_BOOTTIME."""
    return wall_s - time.time() + boottime()


def describe() -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }
