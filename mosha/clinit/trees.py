"""The cgroup trees of clinits: which clinit each belongs to, and whether it is alive.

clinit makes `clinit-PLACE-MARK`. PLACE is a digest of the path of its state directory, the same
for the next clinit there even if that directory was removed meanwhile; MARK is random. clinit holds
a lock (flock(2)) on that cgroup directory for as long as it runs, and no process of a group has
it: a tree that can be locked belongs to a dead clinit, and its processes have to be ended.

Trees of other users are left alone, for anyone can make a directory of that name; so are those of
versions that did not lock theirs (`clinit-MARK`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mosha.clinit import cgroups
from mosha.formats.units import PLACE_DIGITS
from mosha.host.mounts import read_mounts

PREFIX = "clinit"
TRIES_MAX = 100
"""Another clinit that removes empty trees may remove a new one, but not this often."""

CGROUPS_MAX = 100_000
"""How many are searched: far more than a machine with a thousand containers has."""


class Tree(NamedTuple):
    """A locked tree: by its clinit, or by the one that found it abandoned."""

    path: Path
    lock: int

    def is_of(self, place: str) -> bool:
        """Say whether a clinit of this place made it."""
        return self.path.name.split("-")[1] == place


def place_of(state_dir: Path) -> str:
    """Return the PLACE in the names of all trees of this state directory."""
    return hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:PLACE_DIGITS]


def make(parent: Path, place: str, mark: str) -> Tree:
    """Make and lock a tree.

    Raises:
        OSError: it cannot be made in `parent`.
    """
    path = parent / f"{PREFIX}-{place}-{mark}"
    for _ in range(TRIES_MAX):
        path.mkdir()
        lock = _lock(path, fcntl.LOCK_EX)
        if lock is not None:
            return Tree(path, lock)
    raise OSError(errno.EAGAIN, "it is removed again and again", str(path))


def dead() -> Iterator[Tree]:
    """Yield the trees of dead clinits of this user, each locked until the next one."""
    for mount in read_mounts().all:
        if mount.fstype != "cgroup2":
            continue
        for path in _found(Path(mount.mountpoint)):
            lock = None
            with contextlib.suppress(OSError):  # its clinit is alive, or it has just gone
                if path.stat().st_uid == os.geteuid():
                    lock = _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is None:
                continue
            try:
                yield Tree(path, lock)
            finally:
                os.close(lock)


def remove_if_empty(tree: Tree) -> None:
    """Remove a tree in which nothing is alive."""
    if not cgroups.populated(tree.path):
        cgroups.remove(tree.path)


def _lock(path: Path, how: int) -> int | None:
    """Lock a tree; None if it no longer exists.

    Raises:
        BlockingIOError: another process has the lock, and `how` does not wait.
    """
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, how)
        if os.stat(path).st_ino == os.fstat(lock).st_ino:  # noqa: PTH116 - as fstat
            return lock
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _found(root: Path) -> Iterator[Path]:
    """Yield all trees below a cgroup; what cannot be listed has none of this user's."""
    pending = [root]
    for _ in range(CGROUPS_MAX):
        if not pending:
            return
        with contextlib.suppress(OSError):
            for path in cgroups.inner(pending.pop()):
                parts = path.name.split("-")
                if parts[0] == PREFIX and len(parts) == 3:
                    yield path
                elif parts[0] != PREFIX or len(parts) != 2:
                    pending.append(path)
