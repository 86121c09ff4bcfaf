"""Tracks processes by cgroups: `clinit-PLACE-MARK/g.GROUP/e.TAG` in the cgroup that clinit is in.

Children are cloned into theirs (`forker.py`). clinit itself and the fork server stay outside, so
that killing the whole tree never hits them. No controller is used, and none may be enabled in
clinit's cgroup while clinit is in it; the kernel enforces that.

A cgroup on which `cgroup.kill` was used is replaced before anything is cloned into it: Linux 6.18
kills every child that is cloned into one (it compares the kill counts of the parent's and the
child's cgroup, and takes a difference for a kill during the fork).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from signal import Signals

from mosha.clinit import cgroups, trees
from mosha.clinit.cgroups import Sent
from mosha.clinit.descriptors import explained
from mosha.clinit.process_tracker import EntryKey, Leftovers
from mosha.core.supervision.process_events import Scope
from mosha.host import logs
from mosha.host.proc import session_of


class CgroupTracker:
    """The cgroups of one clinit."""

    def __init__(self, parent: Path, mark: str, place: str) -> None:
        """Make the tree in `parent`; the next clinit recognises it by `place` (`trees.py`).

        Raises:
            OSError: no cgroup can be made there, it has no cgroup.kill (Linux 5.14), or processes
                may not be moved into it.
        """
        self.no_cgroups = ""
        self._made: dict[str, set[str]] = {}  # group -> tags; a kill must not search all others
        self._paths: dict[str, dict[str, Path]] = {}  # group -> tag; pathlib is slow
        self.tree, self._lock = trees.make(parent, place, mark)
        try:
            (self.tree / "cgroup.kill").stat()
            # Entering a cgroup takes write permission here and in the common ancestor.
            for path in (self.tree, parent):
                os.close(os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        except OSError:
            self.close()
            raise

    def slice_for(self, key: EntryKey) -> None:
        """See `ProcessTracker.slice_for`: there are no units without a `UnitTracker`."""

    def place(self, key: EntryKey) -> Path | None:
        """See `ProcessTracker.place`."""
        path = self._path(key)
        made = self._made.setdefault(key.group, set())
        if key.tag not in made:
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                cgroups.remove(path)
                path.mkdir(exist_ok=True)
            made.add(key.tag)
        return path

    def note(self, key: EntryKey, leader: int) -> None:
        """Do nothing: the cgroup keeps track."""

    def left_by(self, key: EntryKey, leader: int) -> Leftovers:
        """See `ProcessTracker.left_by`."""
        path = self._path(key)
        if not cgroups.populated(path):
            return Leftovers(in_session=False, elsewhere=False)
        try:
            pids = cgroups.pids(path)
        except OSError:  # something is in there, but it is not known what
            return Leftovers(in_session=True, elsewhere=True)
        alive = [s for pid in pids if (s := session_of(pid)) is not None]
        return Leftovers(leader in alive, any(session != leader for session in alive))

    def is_of(self, key: EntryKey, pid: int) -> bool:
        """See `ProcessTracker.is_of`."""
        return pid in cgroups.pids(self._path(key))

    def signal(self, key: EntryKey, leader: int, scope: Scope, number: Signals) -> list[int]:
        """See `ProcessTracker.signal`."""
        path = self._path(key)
        if scope is Scope.SESSION:
            return _reported(
                key.group,
                number,
                lambda: cgroups.send(path, number, leader, self._in_session(path, leader)),
            )
        return self._send(key.group, path, number, leader)

    def is_empty(self, key: EntryKey, leader: int, scope: Scope) -> bool:
        """See `ProcessTracker.is_empty`."""
        path = self._path(key)
        if not cgroups.populated(path):
            return True
        try:
            return scope is Scope.SESSION and not self._in_session(path, leader)
        except OSError:  # it may have processes
            return False

    def has_fresh_child(self) -> bool:
        """See `ProcessTracker.has_fresh_child`: each is cloned into the cgroup of its entry."""
        return False

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        """See `ProcessTracker.signal_group`."""
        if not cgroups.populated(self._group(group)):  # usual: all ended in good order
            return []
        return [
            pid for path in self._entries(group, spared) for pid in self._send(group, path, number)
        ]

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """See `ProcessTracker.is_group_empty`."""
        if not cgroups.populated(self._group(group)):
            return True
        try:
            return not any(cgroups.populated(path) for path in self._entries(group, spared))
        except OSError:  # it is not known what is in there
            return False

    def kill_group(self, group: str) -> None:
        """See `ProcessTracker.kill_group`."""
        self._made.pop(group, None)
        cgroups.kill(self._group(group))

    def alive(self, group: str) -> int:
        """See `ProcessTracker.alive`."""
        path = self._group(group)
        if not cgroups.populated(path):
            return 0
        try:
            return len(cgroups.pids(path))
        except OSError:  # something is
            return 1

    def forget(self, group: str) -> None:
        """See `ProcessTracker.forget`."""
        self._made.pop(group, None)
        self._paths.pop(group, None)
        cgroups.remove(self._group(group))

    def close(self) -> None:
        """See `ProcessTracker.close`."""
        cgroups.remove(self.tree)
        os.close(self._lock)

    def _group(self, group: str) -> Path:
        return self.tree / f"g.{group}"

    def _path(self, key: EntryKey) -> Path:
        paths = self._paths.setdefault(key.group, {})
        if key.tag not in paths:
            paths[key.tag] = self._group(key.group) / f"e.{key.tag}"
        return paths[key.tag]

    def _entries(self, group: str, spared: frozenset[str]) -> list[Path]:
        """Return the cgroups of a group's entries, including entries that cltab no longer has.

        Raises:
            OSError: they cannot be listed.
        """
        names = {f"e.{tag}" for tag in spared}
        found = cgroups.directly_below(self._group(group))
        return [path for path in found if path.name.startswith("e.") and path.name not in names]

    @staticmethod
    def _in_session(path: Path, leader: int) -> set[int]:
        return {pid for pid in cgroups.pids(path) if session_of(pid) == leader}

    def _send(self, group: str, path: Path, number: Signals, leader: int = 0) -> list[int]:
        if number is not Signals.SIGKILL:
            return _reported(group, number, lambda: cgroups.send(path, number, leader))
        if not cgroups.populated(path):
            return []
        self._made.get(group, set()).discard(path.name.removeprefix("e."))
        cgroups.kill(path)
        try:
            return cgroups.pids(path)
        except OSError:  # all are killed, whatever they were
            return []


def _reported(group: str, number: Signals, send: Callable[[], Sent]) -> list[int]:
    """Send signals and log failures; a process that cannot be signalled counts as alive."""
    try:
        sent = send()
    except OSError as error:
        sent = Sent([], {0: explained(error)})
    for reason in sorted(set(sent.failed.values())):
        pids = [pid for pid, its in sent.failed.items() if its == reason and pid]
        logs.get().error("signal_failed", group=group, signal=number.name, pids=pids, reason=reason)
    return sent.pids
