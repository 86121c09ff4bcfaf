"""Boxes that are cgroups: `TREE/g.GROUP/e.TAG`, and clinit itself in `TREE/clinit`.

How a child gets into its cgroup before its first instruction was measured (median of 150,
/bin/echo with two pipes from an interpreter of 30 MB, spawn until its output):

    nothing at all                                      1.4 ms
    clinit enters, spawns, goes home                    1.4 ms   (the two moves: 0.02 ms)
    sh -c 'echo 0 > PROCS; exec "$@"'                   2.4 ms
    setpriv --pdeathsig KILL                            2.8 ms
    the shell and setpriv                               4.1 ms
    preexec_fn (no vfork any more)                      5.7 ms

So clinit goes in and out itself, and a guard (`guard.py`) stands in for the parent-death
signal. Only a frozen cgroup is entered by the child: clinit would stand still with it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from signal import Signals

from mosha.clinit import cgroups
from mosha.clinit.boxes import Key, Left
from mosha.clinit.command import SHELL
from mosha.clinit.guard import Guard
from mosha.clinit.proc import session_of
from mosha.core.process import Scope
from mosha.errors import HostError

_JOIN = [SHELL, "-c", 'echo 0 > "$0" && exec "$@"']


class CgroupBoxes:
    """The cgroups of one clinit."""

    def __init__(self, parent: Path, mark: str) -> None:
        """Make the tree in `parent` and move into it.

        Raises:
            OSError: no cgroup can be made there, or not with cgroup.kill (Linux 5.14).
        """
        self.tree = parent / f"clinit-{mark}"
        self._origin = cgroups.own_cgroup()
        self._doors: dict[Key, int] = {}
        home = self.tree / "clinit"
        try:
            home.mkdir(parents=True)
            (self.tree / "cgroup.kill").stat()
            self._home = os.open(home / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
            self.guard = Guard(self.tree)  # before the move: it must not kill itself
            os.write(self._home, b"0")
        except OSError:
            cgroups.remove(self.tree)
            raise

    @contextlib.contextmanager
    def enter(self, key: Key) -> Iterator[list[str]]:
        """Move clinit into the entry's cgroup and back again; see `Boxes.enter`."""
        path = self._path(key)
        if cgroups.frozen(path):
            self._open(key)
            yield [*_JOIN, str(path / "cgroup.procs")]
            return
        self._move_into(key)
        try:
            yield []
        finally:
            self._go_home()

    def note(self, key: Key, leader: int) -> None:
        """Nothing to note: the cgroup knows."""

    def left_by(self, key: Key, leader: int) -> Left:
        """See `Boxes.left_by`."""
        alive = [s for pid in cgroups.pids(self._path(key)) if (s := session_of(pid)) is not None]
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
        sent: list[int] = []
        for path in self._entries(group, spared):
            sent += self._send(path, number)
        return sent

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """See `Boxes.is_group_empty`."""
        return not any(cgroups.populated(path) for path in self._entries(group, spared))

    def kill_group(self, group: str) -> None:
        """See `Boxes.kill_group`."""
        cgroups.kill(self._group(group))

    def alive(self, group: str) -> int:
        """See `Boxes.alive`."""
        path = self._group(group)
        return len(cgroups.pids(path)) if cgroups.populated(path) else 0

    def forget(self, group: str) -> None:
        """See `Boxes.forget`."""
        for key in [key for key in self._doors if key.group == group]:
            os.close(self._doors.pop(key))
        cgroups.remove(self._group(group))

    def close(self) -> None:
        """See `Boxes.close`."""
        for door in self._doors.values():
            os.close(door)
        self._doors.clear()
        self._leave()
        self.guard.dismiss()
        cgroups.remove(self.tree)

    def give_up(self) -> None:
        """See `Boxes.give_up`; clinit leaves first, if it can, to say what happened."""
        self._leave()
        self.guard.give_up()

    def _leave(self) -> None:
        if self._origin is not None:
            with contextlib.suppress(OSError):
                (self._origin / "cgroup.procs").write_bytes(b"0")
        os.close(self._home)

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

    @staticmethod
    def _send(path: Path, number: Signals) -> list[int]:
        if number is not Signals.SIGKILL:
            return cgroups.send(path, number)
        pids = cgroups.pids(path)
        if pids:
            cgroups.kill(path)
        return pids

    def _open(self, key: Key) -> int:
        path = self._path(key)
        path.mkdir(parents=True, exist_ok=True)
        self._doors[key] = os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        return self._doors[key]

    def _move_into(self, key: Key) -> None:
        door = self._doors.get(key)
        try:
            os.write(self._open(key) if door is None else door, b"0")
        except OSError:
            if door is None:
                raise
            # Somebody removed the empty cgroup: once more, with a new one.
            os.close(self._doors.pop(key))
            os.write(self._open(key), b"0")

    def _go_home(self) -> None:
        try:
            os.write(self._home, b"0")
        except OSError as error:
            # Staying in a group's cgroup would mean being killed with the group.
            raise HostError(f"cannot leave a group's cgroup: {error.strerror}") from error
