"""Boxes that are cgroups: `clinit-MARK/g.GROUP/e.TAG` in the cgroup that clinit is in.

Children are born in theirs (`forker.py`). clinit itself and the fork server stay outside, so
that killing the whole tree never hits them. No controller is used, and none may be enabled in
the cgroup of clinit as long as clinit is in it; the kernel sees to that.

A cgroup that `cgroup.kill` was used on is made anew before anything is born in it: Linux 6.18
kills every child that is cloned into one (it compares how often that happened to the parent's
cgroup and to the child's, and takes a difference for a kill during the fork).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from signal import Signals

from mosha.clinit import cgroups
from mosha.clinit.boxes import Key, Left
from mosha.clinit.proc import session_of
from mosha.core.process import Scope


class CgroupBoxes:
    """The cgroups of one clinit."""

    def __init__(self, parent: Path, mark: str) -> None:
        """Make the tree in `parent`.

        Raises:
            OSError: no cgroup can be made there, or none with cgroup.kill (Linux 5.14), or
                processes may not be put into it.
        """
        self.tree = parent / f"clinit-{mark}"
        self._made: set[Key] = set()
        self.tree.mkdir()
        try:
            (self.tree / "cgroup.kill").stat()
            # To enter a cgroup one must be allowed to write here and in the common ancestor.
            for path in (self.tree, parent):
                os.close(os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        except OSError:
            self.tree.rmdir()
            raise

    def place(self, key: Key) -> Path | None:
        """See `Boxes.place`."""
        path = self._path(key)
        if key not in self._made:
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                cgroups.remove(path)
                path.mkdir(exist_ok=True)
            self._made.add(key)
        return path

    def note(self, key: Key, leader: int) -> None:
        """Nothing to note: the cgroup knows."""

    def left_by(self, key: Key, leader: int) -> Left:
        """See `Boxes.left_by`."""
        path = self._path(key)
        if not cgroups.populated(path):
            return Left(in_session=False, elsewhere=False)
        alive = [s for pid in cgroups.pids(path) if (s := session_of(pid)) is not None]
        return Left(leader in alive, any(session != leader for session in alive))

    def signal(self, key: Key, leader: int, scope: Scope, number: Signals) -> list[int]:
        """See `Boxes.signal`."""
        path = self._path(key)
        if scope is Scope.SESSION:
            return cgroups.send(path, number, self._in_session(path, leader))
        return self._send(path, number)

    def is_empty(self, key: Key, leader: int, scope: Scope) -> bool:
        """See `Boxes.is_empty`."""
        path = self._path(key)
        if scope is Scope.SESSION:
            return not self._in_session(path, leader)
        return not cgroups.populated(path)

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        """See `Boxes.signal_group`."""
        return [pid for path in self._entries(group, spared) for pid in self._send(path, number)]

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """See `Boxes.is_group_empty`."""
        return not any(cgroups.populated(path) for path in self._entries(group, spared))

    def kill_group(self, group: str) -> None:
        """See `Boxes.kill_group`."""
        self._kill(self._group(group))

    def alive(self, group: str) -> int:
        """See `Boxes.alive`."""
        path = self._group(group)
        return len(cgroups.pids(path)) if cgroups.populated(path) else 0

    def forget(self, group: str) -> None:
        """See `Boxes.forget`."""
        self._made -= {key for key in self._made if key.group == group}
        cgroups.remove(self._group(group))

    def close(self) -> None:
        """See `Boxes.close`."""
        cgroups.remove(self.tree)

    def _group(self, group: str) -> Path:
        return self.tree / f"g.{group}"

    def _path(self, key: Key) -> Path:
        return self.tree / f"g.{key.group}" / f"e.{key.tag}"

    def _entries(self, group: str, spared: frozenset[str]) -> list[Path]:
        """Return the cgroups of a group's entries, of those too that cltab has no more."""
        names = {f"e.{tag}" for tag in spared}
        with contextlib.suppress(OSError):
            return [path for path in self._group(group).glob("e.*") if path.name not in names]
        return []

    @staticmethod
    def _in_session(path: Path, leader: int) -> set[int]:
        return {pid for pid in cgroups.pids(path) if session_of(pid) == leader}

    def _send(self, path: Path, number: Signals) -> list[int]:
        if number is not Signals.SIGKILL:
            return cgroups.send(path, number)
        pids = cgroups.pids(path)
        if pids:
            self._kill(path)
        return pids

    def _kill(self, path: Path) -> None:
        self._made -= {key for key in self._made if self._path(key).is_relative_to(path)}
        cgroups.kill(path)
