"""Cgroups v2: where they are, and the few cgroup files that are used here.

See cgroups(7) and the kernel's Documentation/admin-guide/cgroup-v2.rst. Nothing here needs a
controller: cgroups are used because no process leaves one by forking.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
from pathlib import Path
from typing import NamedTuple

from mosha.clinit.descriptors import EXHAUSTED, explained, with_spare
from mosha.clinit.process_groups import Sending
from mosha.host.mounts import Mounts, read_mounts
from mosha.host.proc import read_on

EVENTS_MAX_BYTES = 1024
SEND_AT_ONCE = 64
_LINKS_OF_NONE = 2

GONE = frozenset({errno.ENOENT, errno.ENODEV})
"""The kernel's errors for a removed cgroup; any other error says nothing about it."""


def own_cgroup() -> Path | None:
    """Return the directory of the cgroup this process is in; None without cgroup v2."""
    return cgroup_in(Path("/proc/self/cgroup").read_text(encoding="utf-8"), read_mounts())


def cgroup_in(membership: str, mounts: Mounts) -> Path | None:
    """Return the directory of a cgroup from /proc/PID/cgroup; None without v2.

    The mount is usually /sys/fs/cgroup, and /sys/fs/cgroup/unified where version 1 is used too.
    """
    lines = membership.splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if path is None:
        return None
    for mount in mounts.all:
        inside = mount.root in (path, "/") or path.startswith(f"{mount.root}/")
        if mount.fstype == "cgroup2" and inside:
            return Path(mount.mountpoint) / path.removeprefix(mount.root).lstrip("/")
    return None


def below(cgroup: Path) -> list[Path]:
    """Return all cgroups below this one, the deepest first; none if it is gone.

    Raises:
        OSError: it is not known what is below it.
    """
    return [each for path in directly_below(cgroup) for each in (*below(path), path)]


def directly_below(cgroup: Path) -> list[Path]:
    """Return the cgroups directly below this one; none if it is gone.

    Raises:
        OSError: it is not known what is below it.
    """
    try:
        return with_spare(lambda: inner(cgroup))
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def inner(cgroup: Path) -> list[Path]:
    """Return the cgroups directly below this one.

    Raises:
        OSError: they cannot be listed.
    """
    # The kernel counts a link for each of them, and two more (kernfs); to list takes 20 files.
    if os.stat(cgroup).st_nlink == _LINKS_OF_NONE:  # noqa: PTH116 - by far the fastest
        return []
    with os.scandir(cgroup) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]


def pids(cgroup: Path) -> list[int]:
    """Return the processes in a cgroup and all below it, without zombies.

    Raises:
        OSError: it is not known what is in it; it may not be empty.
    """
    found: list[int] = []
    for path in [cgroup, *below(cgroup)]:
        try:
            listed = with_spare(functools.partial(_procs, path))
        except OSError as error:
            if error.errno in GONE:
                continue
            raise
        found += map(int, listed.split())
    return found


def _procs(cgroup: Path) -> bytes:
    # By descriptors, a third of what pathlib costs: a stop looks twice at each entry.
    fd = os.open(f"{cgroup}/cgroup.procs", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_on(fd)
    finally:
        os.close(fd)


def populated(cgroup: Path) -> bool:
    """Say whether anything is alive in a cgroup or below it; true if it cannot be determined."""
    try:
        return b"populated 1" in with_spare(lambda: _events(cgroup))
    except OSError as error:
        return error.errno not in GONE


def _events(cgroup: Path) -> bytes:
    # os.open costs a third of pathlib: this runs before every respawn.
    fd = os.open(f"{cgroup}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, EVENTS_MAX_BYTES)
    finally:
        os.close(fd)


def kill(cgroup: Path) -> None:
    """Send SIGKILL to everything in a cgroup and below it, frozen or forking, at once.

    Write permission on the file suffices, whatever user owns the processes.

    Raises:
        OSError: it could not be killed.
    """
    try:
        with_spare(lambda: (cgroup / "cgroup.kill").write_bytes(b"1"))
    except OSError as error:
        if error.errno not in GONE:
            raise


class Sent(NamedTuple):
    """Which processes got a signal, and which did not and why."""

    pids: list[int]
    failed: dict[int, str]


def send(cgroup: Path, number: signal.Signals, leader: int, chosen: set[int] | None = None) -> Sent:
    """Signal all processes of a cgroup and below, or the `chosen` ones of them.

    The `leader` comes first, then the kernel's order, parents before their children: a shell whose
    command is interrupted before the shell itself goes on with the next command, which would get
    no signal (C6.6).

    A pid is signalled through a pidfd and only if it was listed before and after the pidfd was
    opened: never a stranger that got the number (C6.4). A few at a time, for descriptors are
    limited; one that may not be signalled does not hold up the others.

    Raises:
        OSError: it is not known what is in the cgroup.
    """
    sent, sending = Sent([], {}), Sending(number)
    listed = [pid for pid in pids(cgroup) if chosen is None or pid in chosen]
    listed.sort(key=lambda pid: pid != leader)
    for start in range(0, len(listed), SEND_AT_ONCE):
        _send_some(cgroup, sending, listed[start : start + SEND_AT_ONCE], sent)
    return sent


def _send_some(cgroup: Path, sending: Sending, chosen: list[int], sent: Sent) -> None:
    opened: dict[int, int] = {}
    try:
        for pid in chosen:
            open_it = functools.partial(os.pidfd_open, pid)
            try:
                # At most one of the spares: the listing that follows needs some too.
                opened[pid] = open_it() if opened else with_spare(open_it)
            except ProcessLookupError:
                continue
            except OSError as error:
                if error.errno not in EXHAUSTED or not opened:
                    sent.failed[pid] = explained(error)
                    continue
                # The rest follows when these descriptors are free again.
                _signal_opened(cgroup, sending, opened, sent)
                _send_some(cgroup, sending, chosen[chosen.index(pid) :], sent)
                return
        _signal_opened(cgroup, sending, opened, sent)
    finally:
        for fd in opened.values():
            os.close(fd)


def _signal_opened(cgroup: Path, sending: Sending, opened: dict[int, int], sent: Sent) -> None:
    """Signal the processes that are still listed, and close their descriptors."""
    still = {pid: group for pid in pids(cgroup) if (group := _group_of(pid))}
    for pid in sorted(opened, key=lambda pid: still.get(pid) != pid):  # the members after who leads
        fd = opened.pop(pid)
        try:
            if pid in still:
                sending.to(pid, still[pid], fd)
                sent.pids.append(pid)
        except ProcessLookupError:
            pass
        except OSError as error:
            sent.failed[pid] = explained(error)
        finally:
            os.close(fd)


def _group_of(pid: int) -> int:
    """Return the process group of a process, 0 if it is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def remove(cgroup: Path) -> bool:
    """Remove a cgroup and all below it; say whether it is gone."""
    with contextlib.suppress(OSError):
        for path in [*below(cgroup), cgroup]:
            with contextlib.suppress(OSError):
                path.rmdir()
    return not cgroup.exists()
