"""Starting a process and waiting for its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from mosha.clinit.command import SHELL
from mosha.core.process import Exit

EXEC_FAILED = 127


@dataclass(slots=True)
class Child:
    """A process that was started: its pid, a descriptor of it, and its pipes to read from."""

    pid: int
    fd: int
    stdout: int
    stderr: int
    ended: asyncio.Future[Exit]

    def reap(self) -> bool:
        """Take the exit status if it has ended; say whether it has."""
        if self.ended.done():
            return True
        status = os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG)
        if status is None:
            return False
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)
        code = status.si_status
        self.ended.set_result(Exit(code if status.si_code == os.CLD_EXITED else -code))
        return True


def spawn(argv: list[str], prefix: list[str], environment: Mapping[str, str]) -> Child:
    """Start a process in a session of its own; its end is told by `Child.ended`.

    Its stdin is empty, its stdout and stderr are new pipes, its signals are as at login.
    `prefix` are words that come before `argv` and execute the rest.

    Raises:
        OSError: it cannot be executed, or there are no descriptors or processes left.
    """
    if not argv:
        raise OSError(errno.EINVAL, "the command is empty")
    pipes: list[int] = []
    try:
        for _ in range(2):
            pipes += os.pipe2(os.O_CLOEXEC)
        out, out_end, err, err_end = pipes
        pid = _execute(argv, prefix, environment, (out_end, err_end))
    except OSError:
        for fd in pipes:
            os.close(fd)
        raise
    os.close(out_end)
    os.close(err_end)
    os.set_blocking(out, False)
    os.set_blocking(err, False)
    loop = asyncio.get_running_loop()
    child = Child(pid, os.pidfd_open(pid), out, err, loop.create_future())
    loop.add_reader(child.fd, child.reap)
    return child


def _execute(
    argv: list[str], prefix: list[str], environment: Mapping[str, str], ends: tuple[int, int]
) -> int:
    if prefix:
        # The prefix would be executed without fail, and it would fail in the child.
        argv = [_found(argv[0], environment), *argv[1:]]
    try:
        return _popen([*prefix, *argv], environment, ends)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without its first line; execvp(3) does the same.
        program = _found(argv[0], environment)
        return _popen([SHELL, program, *argv[1:]], environment, ends)


def _popen(argv: list[str], environment: Mapping[str, str], ends: tuple[int, int]) -> int:
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=ends[0],
        stderr=ends[1],
        env=environment,
        start_new_session=True,
        restore_signals=True,
    )
    process.returncode = EXEC_FAILED  # Popen shall not wait for it, `Child` does
    return process.pid


def _found(program: str, environment: Mapping[str, str]) -> str:
    path = shutil.which(program, path=environment.get("PATH", os.defpath))
    if path is not None:
        return path
    code = errno.EACCES if os.path.exists(program) else errno.ENOENT  # noqa: PTH110 - any text
    raise OSError(code, os.strerror(code), program)


def reset_signals() -> None:
    """Make sure that children do not inherit an ignored or blocked signal (the NO of C6.9).

    Popen restores what Python itself ignores. SIGCHLD must not be ignored at any rate, or
    the kernel would throw the exit statuses away.
    """
    pythons = (signal.SIGPIPE, signal.SIGXFSZ)
    for number in signal.valid_signals() - set(pythons):
        if signal.getsignal(number) is signal.SIG_IGN:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
