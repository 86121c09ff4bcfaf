"""What clinit records for the next one in case it dies: its identity, and where its children are.

The state directory has

- `lock`, locked by the running clinit, so that two never share a state directory;
- `children.json`: boot id, pid and start time of clinit, the mark that its children have
  (`host/marks.py`), and its cgroup;
- without a cgroup also `sessions`: a line with session and start time for each leader;
- `agents.json`: agents that were not seen to stop (`agents_left.py`). It stays when clinit ends.

A new clinit ends what it finds before it answers or starts anything. The mark and the cgroup
are random names of one run of clinit: no other process can have them. Cgroups are found without
these files too (`trees.py`). See docs/explanation/architecture.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from mosha.clinit import cgroups, trees, unit_tracker
from mosha.clinit.agents_left import AgentsLeft
from mosha.errors import HostError
from mosha.host import logs, marks, proc
from mosha.host.abandonable import Abandonable
from mosha.host.clock import boot_id
from mosha.host.files import write_atomically
from mosha.host.lock_file import CLINIT_LOCK, CLINIT_RECORD, HeldError, LockFile, holder_of

SESSIONS = "sessions"
STEP_S = 0.01
WRITE_LIMIT_S = 2.0
UNWRITTEN_MAX = 10_000
"""How many leaders wait for a file system that hangs; the guard knows later ones."""


class StateRecord(msgspec.Struct):
    """`children.json`."""

    boot: str
    pid: int
    start: int
    mark: str
    cgroup: str | None = None


class StateDir:
    """The state directory of a running clinit."""

    def __init__(self, path: Path) -> None:
        """Make and lock it.

        Raises:
            HostError: a running clinit has it, or the system refuses.
        """
        self.path = path
        self.place = trees.place_of(path)
        self.agents = AgentsLeft(path)
        self._sessions: int | None = None
        self._noted: tuple[str, Path | None] = ("", None)
        self._unwritten: list[bytes] = []
        self._file = Abandonable("the file of sessions")
        self._writing: asyncio.Future[None] | None = None
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = LockFile(path / CLINIT_LOCK)
        except HeldError as error:
            named = f" (process {error.holder})" if error.holder else ""
            raise HostError(
                f"another clinit uses {path}{named}; end it first, or choose another --state-dir"
            ) from None
        except OSError as error:
            raise HostError(f"cannot use the state directory {path}: {error.strerror}") from error
        if self._lock.passed_over:
            logs.get().warning(
                "lock_passed_over", path=str(self._lock.path), pid=self._lock.passed_over
            )

    def end_orphans(self, limit_s: float, units: Path | None = None) -> list[tuple[int, str]]:
        """End what an earlier clinit left; return its pids and command lines.

        `units` is the cgroup of the units of systemd that it had started.

        Raises:
            HostError: something does not end within `limit_s` seconds.
        """
        ended: dict[int, str] = {}
        deadline = time.monotonic() + limit_s
        record = self._read()
        if record is not None and record.cgroup is None:
            look = partial(self._left_of, record)
            _end(look, _kill_each, ended, deadline, looks=marks.QUIET_LOOKS)
        elif record is not None and record.cgroup is not None:
            _end_tree(Path(record.cgroup), ended, deadline)
        for tree in trees.dead():
            if tree.is_of(self.place):
                _end_tree(tree.path, ended, deadline)
            trees.remove_if_empty(tree)
        if units is not None:
            _end_units(units, ended, deadline)
        return list(ended.items())

    def write(self, mark: str, cgroup: Path | None) -> None:
        """Record where the children of this clinit will be, before there are any."""
        self._noted = (mark, cgroup)
        seen = proc.see(os.getpid())
        tree = None if cgroup is None else str(cgroup)
        record = StateRecord(boot_id(), os.getpid(), seen.start if seen else 0, mark, tree)
        try:
            if tree is None:
                (self.path / SESSIONS).unlink(missing_ok=True)
                self._sessions = _create(self.path / SESSIONS)
            # Private: a process that knows the mark could keep the next clinit from starting.
            data = msgspec.json.encode(record) + b"\n"
            write_atomically(self.path / CLINIT_RECORD, data, mode=0o600)
        except OSError as error:
            path = self.path / CLINIT_RECORD
            raise HostError(f"cannot write {path}: {error.strerror}") from error

    async def restore(self) -> bool:
        """Make the directory and its files again if its lock was removed; return whether it was.

        The recorded sessions are lost: call `note_session` for each again.

        Raises:
            HostError: it cannot be made, or another clinit has it.
        """
        if self._lock.is_there():
            return False
        try:
            await self._file.run(self._remake, WRITE_LIMIT_S)
        except OSError as error:
            raise HostError(f"cannot make {self.path} again: {error.strerror or error}") from error
        return True

    def _remake(self) -> None:
        """Do it in the thread that also writes sessions: never both at once."""
        former = self._sessions
        try:
            self._lock.restore()
            self.write(*self._noted)
            self.agents.write()
        except HostError as error:
            raise OSError(errno.EBUSY, str(error)) from error
        if former is not None:
            os.close(former)

    def note_session(self, leader: int) -> None:
        """Record a new leader; needed only without a cgroup.

        A thread writes it: a hung file system must not block clinit, nor a full one keep a service
        from running. The guard has it too, and the mark finds most processes.
        """
        if self._sessions is None:
            return
        with contextlib.suppress(OSError):
            seen = proc.see(leader)
            if seen is not None and len(self._unwritten) < UNWRITTEN_MAX:
                self._unwritten.append(b"%d %d\n" % (leader, seen.start))
        if self._unwritten and (self._writing is None or self._writing.done()):
            self._writing = asyncio.ensure_future(self._write_sessions())

    async def _write_sessions(self) -> None:
        while self._unwritten:
            text = b"".join(self._unwritten)
            self._unwritten.clear()
            with contextlib.suppress(OSError):
                await self._file.run(partial(self._write, text), WRITE_LIMIT_S)

    def _write(self, text: bytes) -> None:
        if self._sessions is not None:
            os.write(self._sessions, text)

    def is_own(self) -> bool:
        """Say whether the lock at its path is the one that is held: neither moved nor replaced.

        Raises:
            OSError: it cannot be read.
        """
        return self._lock.is_there()

    def other_holder(self) -> int:
        """Return the pid of the clinit that has the lock at its path, 0 if this or none has it.

        Raises:
            OSError: it cannot be read.
        """
        holder = 0 if self.is_own() else holder_of(self.path / CLINIT_LOCK)
        return holder if holder != os.getpid() else 0  # of a copy

    def close(self) -> None:
        """Remove the record: all children have ended."""
        with contextlib.suppress(OSError):  # do not remove another clinit's record
            if self.is_own():
                if self.agents.idle:  # what is in it is left; else a thread writes it
                    self.agents.write()
                for name in (CLINIT_RECORD, SESSIONS):
                    (self.path / name).unlink(missing_ok=True)
        idle = self._writing is None or self._writing.done()
        if self._sessions is not None and idle:  # else a thread has it, until clinit is gone
            os.close(self._sessions)
        self._lock.close()

    def _read(self) -> StateRecord | None:
        try:
            record = msgspec.json.decode((self.path / CLINIT_RECORD).read_bytes(), type=StateRecord)
        except (OSError, msgspec.MsgspecError):
            return None
        return record if record.boot == boot_id() else None  # nothing survives a boot

    def _left_of(self, record: StateRecord) -> list[int]:
        everybody = proc.see_all()
        leaders = self._leaders()
        sessions = {
            pid for pid, start in leaders if pid not in everybody or everybody[pid].start == start
        }
        marked = [
            seen.pid
            for seen in everybody.values()
            if seen.pid != os.getpid()
            and (
                (
                    seen.session in sessions
                    and seen.start >= min(s for p, s in leaders if p == seen.session)
                )
                or _has_mark(seen.pid, record.mark)
            )
        ]
        below = [s.pid for pid in marked for s in proc.descendants(pid, everybody)]
        return [*marked, *below]

    def _leaders(self) -> list[tuple[int, int]]:
        try:
            lines = (self.path / SESSIONS).read_bytes().splitlines()
        except OSError:
            return []
        words = [line.split() for line in lines]
        # The last line may be incomplete.
        return [(int(pair[0]), int(pair[1])) for pair in words if len(pair) == 2]


def _end(
    look: Callable[[], list[int]],
    kill: Callable[[list[int]], None],
    ended: dict[int, str],
    deadline: float,
    *,
    looks: int = 1,
) -> None:
    """Kill what is found until enough scans in a row find nothing, and record what it was."""
    quiet = 0
    while quiet < looks:
        left = look()
        quiet = 0 if left else quiet + 1
        for pid in left:
            ended.setdefault(pid, proc.command_line(pid))
        kill(left)
        if left and time.monotonic() > deadline:
            pids = " ".join(map(str, left))
            raise HostError(f"processes of an earlier clinit do not end: {pids}")
        time.sleep(STEP_S)


def _has_mark(pid: int, mark: str) -> bool:
    limit = marks.limit_of(mark)
    with contextlib.suppress(OSError):  # it is gone, or hidden
        if limit is not None and marks.has_limit(pid, limit):
            return True
    return proc.environment(pid).get("MOSHA_RUN") == mark


def _kill_each(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _end_tree(tree: Path, ended: dict[int, str], deadline: float) -> None:
    _end(partial(_within, tree), lambda _: cgroups.kill(tree), ended, deadline)
    cgroups.remove(tree)


def _end_units(units: Path, ended: dict[int, str], deadline: float) -> None:
    """End all units; the guard may have frozen the slice above them."""
    _end(partial(_within, units), lambda _: unit_tracker.kill(units), ended, deadline)
    try:
        unit_tracker.thaw(units)
    except OSError as error:
        raise HostError(f"cannot thaw {units}: {error.strerror}") from error


def _within(cgroup: Path) -> list[int]:
    return cgroups.pids(cgroup) if cgroups.populated(cgroup) else []


def _create(path: Path) -> int:
    """Open a new private file; never an existing one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, flags, 0o600)
