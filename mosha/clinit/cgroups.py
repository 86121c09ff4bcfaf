"""Cgroups of version 2: where they are, and the few files of them that are used here.

See cgroups(7) and the kernel's Documentation/admin-guide/cgroup-v2.rst. Nothing here needs a
controller: a cgroup is used as a box that no process leaves by forking.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
OWN_CGROUP = Path("/proc/self/cgroup")
EVENTS_MAX_BYTES = 1024

_OCTAL = re.compile(r"\\([0-7]{3})")


def own_cgroup() -> Path | None:
    """Return the directory of the cgroup this process is in; None without cgroup v2.

    The mount is /sys/fs/cgroup on an ordinary system and /sys/fs/cgroup/unified where
    version 1 is in use besides.
    """
    lines = OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if path is None:
        return None
    for root, mount in _mounts():
        if root in (path, "/") or path.startswith(f"{root}/"):
            return mount / path.removeprefix(root).lstrip("/")
    return None


def _mounts() -> Iterator[tuple[str, Path]]:
    """Yield (root within the hierarchy, mount point) of each cgroup2 mount (proc(5))."""
    for line in MOUNTINFO.read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            fields = before.split()
            root, mount = (_OCTAL.sub(lambda m: chr(int(m[1], 8)), word) for word in fields[3:5])
            yield root, Path(mount)


def below(cgroup: Path) -> list[Path]:
    """Return all cgroups below this one, the deepest first."""
    found: list[Path] = []
    try:
        with os.scandir(cgroup) as entries:
            inner = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # removed in between
        return []
    for path in inner:
        found += [*below(path), path]
    return found


def pids(cgroup: Path) -> list[int]:
    """Return the processes in a cgroup and all below it; zombies are not among them."""
    found: list[int] = []
    for path in [cgroup, *below(cgroup)]:
        with contextlib.suppress(OSError):  # removed in between
            found += map(int, (path / "cgroup.procs").read_bytes().split())
    return found


def populated(cgroup: Path) -> bool:
    """Say whether anything is alive in a cgroup or below it."""
    # By descriptors, a third of what pathlib costs: this stands before every respawn.
    try:
        fd = os.open(f"{cgroup}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # removed: nobody can be in there
        return False
    try:
        return b"populated 1" in os.read(fd, EVENTS_MAX_BYTES)
    except OSError:
        return False
    finally:
        os.close(fd)


def kill(cgroup: Path) -> None:
    """Send SIGKILL to everything in a cgroup and below it, frozen or forking, at once."""
    with contextlib.suppress(FileNotFoundError):
        (cgroup / "cgroup.kill").write_bytes(b"1")


def send(cgroup: Path, number: signal.Signals, chosen: set[int] | None = None) -> list[int]:
    """Signal all processes of a cgroup and below, or the `chosen` ones of them.

    Returns the pids that were signalled. A pid is signalled by a descriptor that was opened
    while it was listed before and after: never a stranger that got the number (C6.4).
    """
    opened: dict[int, int] = {}
    try:
        for pid in pids(cgroup):
            if chosen is None or pid in chosen:
                with contextlib.suppress(ProcessLookupError):
                    opened[pid] = os.pidfd_open(pid)
        sent = [pid for pid in pids(cgroup) if pid in opened]
        for pid in sent:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(opened[pid], number)
        return sent
    finally:
        for fd in opened.values():
            os.close(fd)


def remove(cgroup: Path) -> bool:
    """Remove a cgroup and all below it; say whether it is gone."""
    for path in [*below(cgroup), cgroup]:
        with contextlib.suppress(OSError):
            path.rmdir()
    return not cgroup.exists()
