"""The processes of the demo's nodes, found by a mark in their environment, never by name.

Children inherit the mark, whatever session or cgroup they are in; so a node can be killed as
a whole, and no process of the demo is left behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from mosha.clinit import cgroups

MARK = "MOSHA_DEMO"
STEP_S = 0.005
GONE_LIMIT_S = 10.0
REAPED_LIMIT_S = 3.0


def mark_of(demo: str, node: int) -> str:
    """Return the value of the mark of one node's processes."""
    return f"{demo}.{node}"


def marked(mark: str) -> list[int]:
    """Return the processes whose mark has this prefix; a zombie has no environment any more."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            # It is gone, or another user's: not of the demo.
            with contextlib.suppress(OSError):
                words = Path(entry.path, "environ").read_bytes().split(b"\0")
                if any(word.startswith(wanted) for word in words):
                    found.append(int(entry.name))
    return found


def make_cgroup(name: str) -> Path | None:
    """Make a cgroup for the whole demo below this process's; None where that is not allowed.

    Each clinit makes its cgroups in there, and one that is killed cannot remove them.
    """
    own = cgroups.own_cgroup()
    if own is None:
        return None
    cgroup = own / f"mosha-demo-{name}"
    try:
        cgroup.mkdir()
    except OSError:
        return None
    return cgroup


def inside(cgroup: Path | None, command: list[str]) -> list[str]:
    """Return a command line that enters a cgroup, if there is one, and becomes `command`."""
    if cgroup is None:
        return command
    enter = 'echo 0 > "$0/cgroup.procs"; exec "$@"'
    return ["/bin/sh", "-c", enter, str(cgroup), *command]


def remove_cgroup(cgroup: Path | None) -> None:
    """Remove the demo's cgroup with all below it.

    A killed process is in its cgroup until it has been reaped, so this takes up to
    `REAPED_LIMIT_S`.
    """
    deadline = time.monotonic() + REAPED_LIMIT_S
    while cgroup is not None and not cgroups.remove(cgroup) and time.monotonic() < deadline:
        time.sleep(STEP_S)


def kill(mark: str, first: Iterable[int]) -> int:
    """SIGKILL every process with this mark, `first` before the others; return how many.

    `first` are monitor and clinit, which would restart what is being killed. Returns when none
    is left.

    Raises:
        TimeoutError: one still runs after GONE_LIMIT_S.
    """
    before = marked(mark)
    for pid in (pid for pid in first if pid in before):
        _send(pid)
    killed = set(before)
    deadline = time.monotonic() + GONE_LIMIT_S
    while left := marked(mark):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} do not end")
        killed.update(left)
        for pid in left:
            _send(pid)
        time.sleep(STEP_S)
    return len(killed)


def _send(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
