"""What keeps the processes of an entry together: the interface of both ways to do it.

`CgroupTracker` has a cgroup for each group and below it one for each entry, which no process
leaves by forking. `SessionTracker` is for hosts where no cgroup can be made: there a process
belongs to the entry in whose session it is, or whose names are in its environment.
"""

from __future__ import annotations

from pathlib import Path
from signal import Signals
from typing import NamedTuple, Protocol

from mosha.core.supervision.process_events import Scope


class EntryKey(NamedTuple):
    """Which entry: tags are unique over all groups, the group is where its cgroup is."""

    group: str
    tag: str


class Leftovers(NamedTuple):
    """What an entry's dead leader left behind: in its own session, or elsewhere."""

    in_session: bool
    elsewhere: bool


class ProcessTracker(Protocol):
    """All processes of one clinit. `leader` is the pid of an entry's latest leader, dead or not.

    `no_cgroups` says why there are no cgroups, though they were asked for; else it is empty.
    """

    no_cgroups: str

    def place(self, key: EntryKey) -> Path | None:
        """Return the cgroup in which the processes of `key` shall be born, None without.

        Raises OSError if it cannot be made.
        """

    def note(self, key: EntryKey, leader: int) -> None:
        """Take note of a new leader."""

    def left_by(self, key: EntryKey, leader: int) -> Leftovers:
        """Say what the leader, which is dead and reaped, left behind."""

    def signal(self, key: EntryKey, leader: int, scope: Scope, number: Signals) -> list[int]:
        """Signal an entry's processes and return their pids."""

    def is_empty(self, key: EntryKey, leader: int, scope: Scope) -> bool:
        """Say whether nothing of an entry is alive in this scope."""

    def has_fresh_child(self) -> bool:
        """Say whether there may be a process just made of which nobody knows yet whose it is."""

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        """Signal everything of a group but the entries of the spared tags."""

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """Say whether nothing of a group but the spared entries is alive."""

    def kill_group(self, group: str) -> None:
        """Send SIGKILL to everything of a group."""

    def alive(self, group: str) -> int:
        """Return how many processes of a group are alive."""

    def forget(self, group: str) -> None:
        """Remove the cgroups of a group in which nothing is alive."""

    def close(self) -> None:
        """Remove everything, at an orderly end."""
