"""Tracks which processes belong to which entry: the interface of all implementations.

`CgroupTracker` has a cgroup for each group and below it one for each entry, which no process
leaves by forking. `SessionTracker` is for hosts where no cgroup can be made: there a process
belongs to the entry whose session it is in, or whose names are in its environment. `UnitTracker`
adds to either what systemd runs for an entry.
"""

from __future__ import annotations

from pathlib import Path
from signal import Signals
from typing import NamedTuple, Protocol

from mosha.core.supervision.process_events import Scope


class EntryKey(NamedTuple):
    """Identifies an entry: tags are unique across groups, the group says where its cgroup is."""

    group: str
    tag: str


class Leftovers(NamedTuple):
    """What an entry's dead leader left behind: in its session, or elsewhere."""

    in_session: bool
    elsewhere: bool


class ProcessTracker(Protocol):
    """All processes of one clinit. `leader` is the pid of an entry's latest leader, dead or not.

    `no_cgroups` says why there are no cgroups although they were wanted; else it is empty.
    """

    no_cgroups: str

    def slice_for(self, key: EntryKey) -> Path | None:
        """Return the cgroup of a slice of systemd that the unit of `key` has to be started in.

        What is in it belongs to the entry from now on. None if there can be no unit. Raises OSError
        if it is not known whether what is started there would run.
        """

    def place(self, key: EntryKey) -> Path | None:
        """Return the cgroup into which to start the processes of `key`, None without cgroups.

        Raises OSError if it cannot be made.
        """

    def note(self, key: EntryKey, leader: int) -> None:
        """Record a new leader."""

    def left_by(self, key: EntryKey, leader: int) -> Leftovers:
        """Return what the leader, which is dead and reaped, left behind."""

    def is_of(self, key: EntryKey, pid: int) -> bool:
        """Say whether a process is alive and belongs to an entry.

        Raises OSError if that is not known.
        """

    def signal(self, key: EntryKey, leader: int, scope: Scope, number: Signals) -> list[int]:
        """Signal an entry's processes and return their pids."""

    def is_empty(self, key: EntryKey, leader: int, scope: Scope) -> bool:
        """Say whether no process of an entry is alive in this scope."""

    def has_fresh_child(self) -> bool:
        """Say whether there may be a process just started that is not assigned to an entry yet."""

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        """Signal all processes of a group except those of the spared tags."""

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """Say whether no process of a group is alive except those of the spared entries."""

    def kill_group(self, group: str) -> None:
        """Send SIGKILL to all processes of a group."""

    def alive(self, group: str) -> int:
        """Return how many processes of a group are alive."""

    def forget(self, group: str) -> None:
        """Remove the cgroups of a group in which nothing is alive."""

    def close(self) -> None:
        """Remove everything, at an orderly end."""
