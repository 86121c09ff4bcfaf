"""Runs a program that may hang, and kills it with all that it has started.

What a program has started is found by its mark (`marks.py`), which a process keeps through a fork,
an exec, a session of its own and an empty environment; for the moment before the mark is set, and
where it may not be set, also by its session and by its descent. So no cgroup is needed, which a
monitor below systemd could not make. What can still get away: a process that left its session and
lost its parent in the first milliseconds.

Everything is bounded: the time, the output, and the rounds of killing. The input is a file in
memory: a program that never reads it blocks nobody. Whoever starts a program waits in the kernel
until it is there, with the whole process; so a thread reads the beginning of it first, and a file
system that does not answer is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import signal
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from subprocess import DEVNULL
from typing import Self

import anyio
from msgspec import Struct

from mosha.host import abandonable, marks, proc
from mosha.host.clock import boottime

OUTPUT_MAX_BYTES = 2000
PIPE_BYTES = 1 << 16
LINE_MAX_BYTES = 256
# Processes may fork while they are being killed; nothing outruns this many rounds.
KILL_ROUNDS_MAX = 20
# A process that hangs in the kernel does not die; do not wait for it.
DEATH_LIMIT_S = 2.0


KIN: ContextVar[int] = ContextVar("kin", default=0)
"""What the programs that are started from here are marked with: `inherit` sets it."""


def inherit(directory: Path) -> int:
    """Kill what programs of a former process are left, and mark those of this one in the same way.

    `directory` is what only one process at a time works for. A process that was killed could not
    kill what it had started. Return how many were found.
    """
    kin = kin_of_directory(directory)
    KIN.set(kin)
    return len(_kill_rounds(lambda: {pid for pid in _all_pids() if is_kin(pid, kin)}))


def _all_pids() -> list[int]:
    try:
        return list(proc.see_all())
    except OSError:  # no descriptor is left
        return []


def kin_of_directory(directory: Path) -> int:
    """Return the kin of the marks of who works for a directory."""
    return zlib.crc32(os.fsencode(directory.absolute())) or 1


def is_kin(pid: int, kin: int) -> bool:
    """Say whether a process was started with a mark of this kin, or descends from one."""
    with contextlib.suppress(OSError):  # gone, or hidden
        return marks.kin_of(pid) == kin
    return False


class RunEnded(Struct, frozen=True):
    """How a program ended, and the last of its output (stdout and stderr).

    `status` is its exit status, minus the number of a signal, or None if it was killed because it
    was late. `cut` is how many bytes came before `output`.
    """

    status: int | None
    output: bytes
    cut: int
    took_s: float


async def run(
    words: Sequence[str],
    *,
    limit_s: float,
    given: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    output_max_bytes: int = OUTPUT_MAX_BYTES,
    with_stderr: bool = True,
    kills_rest: bool = False,
    on_start: Callable[[int], None] | None = None,
) -> RunEnded:
    """Run a program for at most `limit_s`; then, or if this is cancelled, it is killed.

    `given` is its standard input, empty if None. `kills_rest`: what it leaves behind is killed
    too when it has ended by itself. `on_start` gets its pid.

    Raises:
        OSError: it cannot be run.
        ValueError: likewise, because of an argument (a NUL byte).
    """
    began = boottime()
    look = partial(_look, words[0], (environment or os.environ).get("PATH"))
    await abandonable.ask(words[0], look, min(limit_s, abandonable.ANSWER_LIMIT_S))
    with _Tail(output_max_bytes) as tail, _input(given) as stdin:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=stdin,
            stdout=tail.writer,
            stderr=tail.writer if with_stderr else DEVNULL,
            env=environment,
            start_new_session=True,
        )
        if on_start is not None:
            on_start(process.pid)
        family = _Family(process.pid)
        status = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    status = await process.wait()
        finally:
            if process.returncode is None:  # it hangs, or its caller is leaving
                family.kill()
                with anyio.move_on_after(DEATH_LIMIT_S, shield=True):
                    await process.wait()
            elif kills_rest:
                family.kill_marked()
        tail.take()
        return RunEnded(status, bytes(tail.read), tail.cut, boottime() - began)


def _look(program: str, path: str | None) -> None:
    """Read the beginning of a program, and of its interpreter, as the kernel will.

    Raises:
        OSError: there is none.
    """
    found = program if "/" in program else shutil.which(program, path=path)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    line = _first_line(Path(found))
    if line.startswith(b"#!") and (words := line[2:].split()):
        _first_line(Path(os.fsdecode(words[0])))


def _first_line(program: Path) -> bytes:
    """Return the beginning of a program; of what only the kernel may judge, nothing."""
    if program.exists() and not program.is_file():
        return b""
    try:
        with program.open("rb") as file:
            return file.readline(LINE_MAX_BYTES)
    except PermissionError:  # it may be executable all the same
        return b""


@contextlib.contextmanager
def _input(given: bytes | None) -> Iterator[int]:
    if given is None:
        yield DEVNULL
        return
    # Not a pipe: one that nobody reads would have to be waited for.
    fd = os.memfd_create("input", os.MFD_CLOEXEC)
    try:
        os.write(fd, given)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


class _Tail:
    """A pipe that is drained as it fills, and the last of what was read.

    The end of a program is not the end of this pipe: what it left running in the background may
    hold it open for ever. So it is not asyncio's pipe.
    """

    def __init__(self, max_bytes: int) -> None:
        self.read = bytearray()
        self.cut = 0
        self._max_bytes = max_bytes
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._loop.add_reader(self._reader, self.take)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._reader)
        os.close(self._reader)
        os.close(self.writer)

    def take(self) -> None:
        # One read of a pipe's full capacity empties it.
        with contextlib.suppress(BlockingIOError):
            self.read += os.read(self._reader, PIPE_BYTES)
            over = max(0, len(self.read) - self._max_bytes)
            self.cut += over
            del self.read[:over]


def _kill_rounds(members: Callable[[], set[int]]) -> set[int]:
    """Kill processes until no more are found, and return which were."""
    killed: set[int] = set()  # they may hang in the kernel for long before they are gone
    quiet = 0
    for _ in range(KILL_ROUNDS_MAX):
        pids = members() - killed - {os.getpid()}
        quiet = 0 if pids else quiet + 1
        if quiet == marks.QUIET_LOOKS:
            break
        for pid in pids:
            # Gone already, or another user's: go on with the others.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    return killed


class _Family:
    """A program that has just been started, and all that it starts."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._since = 0
        self._limit: int | None = None
        with contextlib.suppress(OSError):  # it cannot be read: then all processes are looked at
            self._since = proc.started(leader) or 0
        # Gone already; or it may not be set, for a program with the setuid bit.
        with contextlib.suppress(OSError):
            limit = marks.limit_of(marks.draw(KIN.get()))
            if limit is not None:
                resource.prlimit(leader, marks.RLIMIT_LOCKS, (limit, limit))
                self._limit = limit

    def kill(self) -> None:
        """Kill the leader, which has not been waited for yet, and all the others."""
        _kill_rounds(lambda: self._members(of_leader=True))

    def kill_marked(self) -> None:
        """Kill what a leader has left that is gone; its number may be that of another process."""
        if self._limit is not None:
            _kill_rounds(lambda: self._members(of_leader=False))

    def _members(self, *, of_leader: bool) -> set[int]:
        """Return the live processes of the family; no older process is among them."""
        try:
            seen = proc.see_all()
        except OSError:  # no descriptor is left: the leader at least
            return {self._leader} if of_leader else set()
        young = {pid: one for pid, one in seen.items() if one.start >= self._since}
        found = {pid for pid in young if self._has_mark(pid)}
        if of_leader:
            found |= {pid for pid, one in young.items() if one.session == self._leader}
            found |= {one.pid for one in proc.descendants(self._leader, young)}
        return found

    def _has_mark(self, pid: int) -> bool:
        with contextlib.suppress(OSError):  # gone, or hidden
            return self._limit is not None and marks.has_limit(pid, self._limit)
        return False
