"""Tracks the units of systemd that entries run: their processes are not below clinit.

The unit of an entry is started in a slice of its own (`formats/units.py`), so its cgroup is known
before there is a process in it. It belongs to the entry as the entry's own cgroup does: it is
killed with it, and the entry is empty only when both are.

A kill freezes the slice first, and it stays frozen until the entry is started again. systemd may be
in the middle of a start: what it still puts into the slice, now or in an hour, does not run. So
nothing of the unit runs after a kill, whether systemd answers, hangs, or is about to restart it.
"""

from __future__ import annotations

import os
from pathlib import Path
from signal import Signals

from mosha.clinit import cgroups
from mosha.clinit.descriptors import with_spare
from mosha.clinit.process_tracker import EntryKey, Leftovers, ProcessTracker
from mosha.core.supervision.process_events import Scope
from mosha.formats.units import slice_path
from mosha.host.mounts import read_mounts

BOOTED = Path("/run/systemd/system")
"""There is such a directory if systemd is the service manager: sd_booted(3)."""

INIT_SCOPE = "init.scope"


def own_slice(place: str) -> Path | None:
    """Return the cgroup above all units of a clinit, made or not; None: it can have no units.

    Only root may have systemd start one, and only cgroups of version 2 can be killed.
    """
    if os.geteuid() != 0 or not BOOTED.is_dir():
        return None
    scope = cgroups.cgroup_in(Path("/proc/1/cgroup").read_text(encoding="utf-8"), read_mounts())
    if scope is None or scope.name != INIT_SCOPE:
        return None
    return scope.parent / slice_path(place)


def kill(cgroup: Path) -> None:
    """Freeze a slice and kill what is in it.

    Raises:
        OSError: it could not be frozen, or not be killed.
    """
    try:
        _freeze(cgroup, b"1")
    finally:
        cgroups.kill(cgroup)


def thaw(cgroup: Path) -> None:
    """Let run what is put into a slice.

    Raises:
        OSError: it stays frozen.
    """
    _freeze(cgroup, b"0")


def _freeze(cgroup: Path, value: bytes) -> None:
    try:
        with_spare(lambda: (cgroup / "cgroup.freeze").write_bytes(value))
    except OSError as error:
        if error.errno not in cgroups.GONE:
            raise


class UnitTracker:
    """A tracker that knows the units of entries too; see `ProcessTracker` for each method.

    `top` is the cgroup above all units of this clinit, None if it can have none.
    """

    def __init__(self, tracker: ProcessTracker, place: str, top: Path | None) -> None:
        self.no_cgroups = tracker.no_cgroups
        self._tracker = tracker
        self._place = place
        self._has_units = top is not None
        self._root = Path() if top is None else top.parents[1]
        self._tags: dict[str, set[str]] = {}  # group -> tags that have had a unit

    def slice_for(self, key: EntryKey) -> Path | None:
        """Return the slice for the unit of an entry that is about to be started, thawed."""
        if not self._has_units:
            return None
        self._tags.setdefault(key.group, set()).add(key.tag)
        thaw(self._slice(key.group))
        thaw(self._slice(key.group, key.tag))
        return self._slice(key.group, key.tag)

    def place(self, key: EntryKey) -> Path | None:
        """See `ProcessTracker.place`."""
        return self._tracker.place(key)

    def note(self, key: EntryKey, leader: int) -> None:
        """See `ProcessTracker.note`."""
        self._tracker.note(key, leader)

    def left_by(self, key: EntryKey, leader: int) -> Leftovers:
        """See `ProcessTracker.left_by`."""
        left = self._tracker.left_by(key, leader)
        return left if self._is_quiet(key.group, key.tag) else left._replace(elsewhere=True)

    def is_of(self, key: EntryKey, pid: int) -> bool:
        """See `ProcessTracker.is_of`; a process of the unit does not speak for the entry."""
        return self._tracker.is_of(key, pid)

    def signal(self, key: EntryKey, leader: int, scope: Scope, number: Signals) -> list[int]:
        """See `ProcessTracker.signal`; of a unit systemd is asked, or it is killed."""
        if number is Signals.SIGKILL and scope is Scope.ENTRY:
            self._kill(key.group, key.tag)
        return self._tracker.signal(key, leader, scope, number)

    def is_empty(self, key: EntryKey, leader: int, scope: Scope) -> bool:
        """See `ProcessTracker.is_empty`."""
        quiet = scope is not Scope.ENTRY or self._is_quiet(key.group, key.tag)
        return quiet and self._tracker.is_empty(key, leader, scope)

    def has_fresh_child(self) -> bool:
        """See `ProcessTracker.has_fresh_child`."""
        return self._tracker.has_fresh_child()

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        """See `ProcessTracker.signal_group`."""
        if number is Signals.SIGKILL:
            for tag in self._tags.get(group, set()) - spared:
                self._kill(group, tag)
        return self._tracker.signal_group(group, number, spared)

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """See `ProcessTracker.is_group_empty`."""
        tags = self._tags.get(group, set()) - spared
        quiet = all(self._is_quiet(group, tag) for tag in tags)
        return quiet and self._tracker.is_group_empty(group, spared)

    def kill_group(self, group: str) -> None:
        """See `ProcessTracker.kill_group`."""
        try:
            if group in self._tags:
                kill(self._slice(group))
        finally:
            self._tracker.kill_group(group)

    def alive(self, group: str) -> int:
        """See `ProcessTracker.alive`."""
        below = self._tracker.alive(group)
        if group not in self._tags or not cgroups.populated(self._slice(group)):
            return below
        try:
            return below + len(cgroups.pids(self._slice(group)))
        except OSError:  # something is
            return below + 1

    def forget(self, group: str) -> None:
        """See `ProcessTracker.forget`; the slices are systemd's."""
        self._tags.pop(group, None)
        self._tracker.forget(group)

    def close(self) -> None:
        """See `ProcessTracker.close`."""
        self._tracker.close()

    def _slice(self, *names: str) -> Path:
        return self._root / slice_path(self._place, *names)

    def _kill(self, group: str, tag: str) -> None:
        if tag in self._tags.get(group, ()):
            kill(self._slice(group, tag))

    def _is_quiet(self, group: str, tag: str) -> bool:
        """Say whether no process of the entry's unit is alive."""
        if tag not in self._tags.get(group, ()):
            return True
        return not cgroups.populated(self._slice(group, tag))
