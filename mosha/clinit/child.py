"""Starting a process and waiting for its end."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from mosha.clinit.attributes import Resolved
from mosha.clinit.child_steps import EXEC_FAILED, problem_of, step_of
from mosha.clinit.forker import CommandError, Forker, LostError
from mosha.core.supervision.process_events import Exit
from mosha.errors import BugError
from mosha.host import proc

AS_CLINIT = Resolved()
TROUBLE_MAX_BYTES = 1 << 16
"""More than a pipe holds: 64 bytes for each directory of PATH."""


class Child:
    """A started process: its pid, and the pipes with its output.

    `executed` becomes 0 when it executes its command, or the number of the error if it cannot;
    `failed_step` is the system call that failed, with its first argument. `died` is done when it
    has ended. Its pid is its own, and among the `leaders`, until `reap`. After that `unborn` says
    that it ended before it executed anything.
    """

    def __init__(self, pid: int, stdout: int, stderr: int, trouble: int, leaders: set[int]) -> None:
        loop = asyncio.get_running_loop()
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.executed: asyncio.Future[int] = loop.create_future()
        self.failed_step = ("", 0)
        self.died: asyncio.Future[None] = loop.create_future()
        self.unborn = False
        self._reaped = False
        self._trouble = trouble
        self._fd = os.pidfd_open(pid)  # first, because it may fail
        self._leaders = leaders
        leaders.add(pid)
        loop.add_reader(self._trouble, self._hear)
        loop.add_reader(self._fd, self._die)

    def send_signal(self, number: signal.Signals) -> bool:
        """Signal this process and no other; return whether it still existed.

        Raises:
            OSError: it may not be signalled.
        """
        if self._reaped:
            return False
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return False
        return True

    def _hear(self) -> None:
        """Read the pipe: it closes on exec; anything before that is an error."""
        written = os.read(self._trouble, TROUBLE_MAX_BYTES)
        number = problem_of(written)
        self.failed_step = step_of(written) if number else self.failed_step
        asyncio.get_running_loop().remove_reader(self._trouble)
        os.close(self._trouble)
        self.executed.set_result(number)

    def _die(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self.died.set_result(None)

    def reap(self) -> Exit:
        """Reap the dead process and return its exit; `executed` is known from now on."""
        status = os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOWAIT)
        if status is None:
            raise BugError(f"process {self.pid} is not dead")
        # The pipe closes with the process: that alone does not prove an exec.
        if status.si_code != os.CLD_EXITED or status.si_status == EXEC_FAILED:
            self.unborn = not _has_executed(self.pid)
        os.waitid(os.P_PIDFD, self._fd, os.WEXITED)
        self._reaped = True
        self._leaders.discard(self.pid)
        os.close(self._fd)
        if not self.executed.done():
            self._hear()
        code = status.si_status
        return Exit(code if status.si_code == os.CLD_EXITED else -code)


def _has_executed(pid: int) -> bool:
    """Say whether a dead, unreaped child has executed a command; if in doubt, yes."""
    try:
        return proc.has_executed(pid)
    except OSError:
        return True


async def spawn(
    forker: Forker,
    argv: list[str],
    extra: Mapping[str, str],
    cgroup: Path | None,
    resolved: Resolved = AS_CLINIT,
    *,
    until: float = math.inf,
) -> Child:
    """Start a process in a new session, and in `cgroup` if there is one, before `until` (boottime).

    It becomes what is `resolved` of its attributes. Its stdin is empty, its stdout and stderr are
    new pipes, its signals have their defaults.

    Raises:
        CommandError: the command is empty or too long.
        OSError: the host cannot start a process now; ETIME: `until` has passed.
    """
    if not argv:
        raise CommandError(errno.EINVAL, "the command is empty")
    async with forker.room:
        return await _spawn(forker, argv, extra, cgroup, resolved, until)


async def _spawn(  # noqa: PLR0917 - as `spawn`
    forker: Forker,
    argv: list[str],
    extra: Mapping[str, str],
    cgroup: Path | None,
    resolved: Resolved,
    until: float,
) -> Child:
    pipes: list[int] = []
    try:
        for _ in range(3):
            pipes += os.pipe2(os.O_CLOEXEC)
        if resolved.uid is not None and os.geteuid() == 0:
            for fd in pipes[1:4:2]:  # or it could not open its own /dev/stdout
                os.fchown(fd, resolved.uid, -1)
        wanted = resolved.wanted or None
        pid = await forker.spawn(argv, extra, cgroup, pipes[1::2], until=until, wanted=wanted)
    except BaseException:
        for fd in pipes[0::2]:
            os.close(fd)
        raise
    finally:
        for fd in pipes[1::2]:
            os.close(fd)
    stdout, stderr, trouble = pipes[0::2]
    os.set_blocking(stdout, False)
    os.set_blocking(stderr, False)
    try:
        return Child(pid, stdout, stderr, trouble, forker.leaders)
    except OSError as error:  # no descriptor is left to wait for it
        os.kill(pid, signal.SIGKILL)
        for fd in (stdout, stderr, trouble):
            os.close(fd)
        raise LostError(error.errno, error.strerror) from error
