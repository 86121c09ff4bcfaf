"""What is mounted where, from /proc/self/mountinfo (proc_pid_mountinfo(5)).

Only /proc is touched, unless a function says otherwise.
"""

from __future__ import annotations

import functools
import os
import re
import select
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

REMOTE_TYPES: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "9p", "virtiofs"),
        *("ocfs2", "gfs2", "gfs", "lustre", "beegfs", "gpfs", "afs", "coda", "orangefs", "pvfs2"),
        # Host directories in virtual machines, and automounts.
        *("vboxsf", "vmhgfs", "prl_fs", "autofs"),
        *("mfs", "fuse"),
    }
)
"""Types of file systems on which a change by another machine raises no event here."""

REMOTE_FAMILIES: Final = ("fuse.",)

_OCTAL = re.compile(r"\\([0-7]{3})")


class MountFacts(Struct, frozen=True):
    """One mount in /proc/self/mountinfo (proc_pid_mountinfo(5))."""

    device: int
    fstype: str
    mountpoint: str
    source: str = ""
    root: str = "/"

    @property
    def remote(self) -> bool:
        """Whether changes by other machines raise no events here, and calls may hang."""
        return self.fstype in REMOTE_TYPES or self.fstype.startswith(REMOTE_FAMILIES)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What stays the same across a remount, unlike the device."""
        return (self.mountpoint, self.fstype, self.source, self.root)


_UNKNOWN = MountFacts(device=0, fstype="unknown", mountpoint="/")


class Mounts:
    """All mounts at one moment, from the text of a mountinfo."""

    def __init__(self, text: str) -> None:
        found: dict[str, tuple[str, MountFacts]] = {}
        for line in text.split("\n"):  # the kernel leaves U+2028 in a path as it is
            mount = _mount(line)
            if mount is not None:
                found[mount[0]] = (mount[1], mount[2])
        # The parent of the root is not in the table; of two at one place the later one is visible.
        self._below: dict[tuple[str, str], str] = {
            (parent if parent in found else "", facts.mountpoint): number
            for number, (parent, facts) in found.items()
        }
        self._facts = {number: facts for number, (_parent, facts) in found.items()}

    @property
    def all(self) -> Iterable[MountFacts]:
        """Each of them."""
        return self._facts.values()

    def of(self, path: Path | str) -> MountFacts:
        """Return the mount that an absolute path without symbolic links leads to.

        String work only. The path is walked from the root, so that a covered mount does not
        count.
        """
        current = ""
        for prefix in _prefixes(os.path.normpath(path)):
            while (number := self._below.get((current, prefix), current)) != current:
                current = number
        return self._facts.get(current, _UNKNOWN)


class _MountTable:
    """The mounts of this process, read again only when they have changed.

    The kernel signals changes (proc_pid_mounts(5)), also those that leave the text as it was: a
    file system that was unmounted and mounted again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a poll reports a change once
        self._file = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._changes = select.poll()
        self._changes.register(self._file, select.POLLPRI)
        self._known: Mounts | None = None

    def now(self, *, fresh: bool) -> Mounts:
        with self._lock:
            # Polled before reading: a change in between is reported next time. Reported once: if
            # the read fails, nothing is known.
            if self._changes.poll(0) or fresh:
                self._known = None
            if self._known is None:
                text = Path("/proc/self/mountinfo").read_bytes()
                self._known = Mounts(text.decode("utf-8", "surrogateescape"))
            return self._known


_table = functools.cache(_MountTable)


def read_mounts(*, fresh: bool = False) -> Mounts:
    """Return the mounts of this process now: the same object as long as nothing changes.

    `fresh`: read in any case. A mount is visible a moment before the kernel signals it: a caller
    that decides where to write must not rely on the signal.
    Touches no file system except /proc. Thread-safe.

    Raises:
        OSError: /proc cannot be read (no descriptor is left).
    """
    return _table().now(fresh=fresh)


def file_system_at(path: Path, *, fresh: bool = False) -> MountFacts:
    """Return the mount that a path leads to, symbolic links followed, whether it exists or not.

    The kernel resolves it in one call; `realpath` reads each part of the path. `fresh` and errors:
    as `read_mounts`.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return read_mounts(fresh=fresh).of(os.path.realpath(path))
    try:
        return file_system_of(fd, fresh=fresh)
    finally:
        os.close(fd)


def file_system_of(fd: int, *, fresh: bool = False) -> MountFacts:
    """Return the mount that an open file or directory is on, without touching it."""
    return read_mounts(fresh=fresh).of(Path(f"/proc/self/fd/{fd}").readlink())


def _mount(line: str) -> tuple[str, str, MountFacts] | None:
    """Return id, parent's id and facts; None if it is not a line of a mountinfo."""
    before, separator, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not separator or len(left) < 6 or len(right) < 2:
        return None
    major, _, minor = left[2].partition(":")
    if not (major.isdigit() and minor.isdigit()):
        return None
    facts = MountFacts(
        device=os.makedev(int(major), int(minor)),
        fstype=right[0],
        mountpoint=_unescaped(left[4]),
        source=_unescaped(right[1]),
        root=_unescaped(left[3]),
    )
    return left[0], left[1], facts


def _unescaped(text: str) -> str:
    """Undo the kernel's octal escapes of blank, tab, newline and backslash."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _prefixes(path: str) -> list[str]:
    names = [name for name in path.split("/") if name]
    return ["/", *("/" + "/".join(names[: n + 1]) for n in range(len(names)))]
