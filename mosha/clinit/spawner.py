"""Children of clinit: each in its cgroup, in a session of its own, bound to die with clinit.

A child is killed if clinit dies (PR_SET_PDEATHSIG), leads a session, has none of clinit's files
and the signals of a login, and then executes its command. `newborn.py` and `clone.py` say how
it gets there without waiting and without a copy of clinit. See clone(2), prctl(2), execvp(3).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

from mosha.clinit.clone import WAYS, Way, clone
from mosha.clinit.newborn import Script, Step, Strings
from mosha.clinit.oom import OomProtection
from mosha.errors import BugError

EXEC_FAILED = 127
SHELL = b"/bin/sh"
DEFAULT_PATH = "/bin:/usr/bin"
TROUBLE = 3
"""The descriptor that stays open in a child until it executes its command."""

_PR_SET_PDEATHSIG = 1
_DESCRIPTORS_MAX = (1 << 32) - 1
_SIGSET_BYTES = 8
# A `struct sigaction` and a signal set, of the kernel or of the C library: all default, none.
_ZEROS = ctypes.create_string_buffer(256)
_ZERO = ctypes.addressof(_ZEROS)
# What a process writes into cgroup.procs to enter by itself.
_ITSELF_TEXT = ctypes.create_string_buffer(b"0")
_ITSELF = ctypes.addressof(_ITSELF_TEXT)

_GIVEN_UP = Step("exit_group", (EXEC_FAILED,))
_ALONE = (
    # Not to be left to the exec: should that hang, clinit's files would be held open.
    Step("close_range", (TROUBLE + 1, _DESCRIPTORS_MAX, 0)),
    Step("setsid", ()),
    # Python ignores these two, and ignored they would stay.
    Step("rt_sigaction", (signal.SIGPIPE, _ZERO, 0, _SIGSET_BYTES)),
    Step("rt_sigaction", (signal.SIGXFSZ, _ZERO, 0, _SIGSET_BYTES)),
    Step("rt_sigprocmask", (signal.SIG_SETMASK, _ZERO, 0, _SIGSET_BYTES)),
)


class Newborn:
    """A child that was just made, and what became of its command.

    To be kept until the child has closed `TROUBLE`: it uses the memory in here until then.
    """

    def __init__(self, pid: int, pidfd: int, birth: Birth, oom: OomProtection) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self._birth: Birth | None = birth
        self._oom = oom

    def settle(self) -> int:
        """Return the number of the error by which no program was executed, 0 if one was.

        To be called once, as soon as `TROUBLE` is closed.
        """
        if self._birth is None:
            raise BugError(f"the child {self.pid} has settled already")
        birth, self._birth = self._birth, None
        self._oom.take_up()
        return birth.problem()


class Birth:
    """The script of one child: some first steps, then a command wherever it may be found."""

    def __init__(
        self,
        first: list[Step],
        argv: list[bytes],
        environment: list[bytes],
        path: bytes,
        *,
        shared: bool,
    ) -> None:
        programs = programs_of(argv[0], path)
        self._first = len(first)
        self._programs = len(programs)
        values: list[bytes | None] = [*argv, None, *environment, None]
        variables, count = len(argv) + 1, len(values)
        for program in programs:
            values += (SHELL, program, *argv[1:], None)
        strings = Strings(values)
        execs, by_shell = [], []
        for at in range(self._programs):
            here = count + at * (len(argv) + 2)
            execs.append(
                Step(
                    "execve",
                    (strings.string(here + 1), strings.array(0), strings.array(variables)),
                    expect=-errno.ENOEXEC,
                    skip=self._shell(at) - at - 1,
                )
            )
            # A script without a first line, as execvp(3) does it.
            arguments = (strings.string(here), strings.array(here), strings.array(variables))
            by_shell += [Step("execve", arguments), _GIVEN_UP]
        self.script = Script([*first, *execs, _GIVEN_UP, *by_shell], strings, shared=shared)

    def problem(self) -> int:
        """Return the number of the error by which no program was executed, 0 if one was.

        As in execvp(3) the first error counts that is not that there is no such file; unlike
        there, the rest of PATH is looked at after any error.
        """
        found = errno.ENOENT
        for at in range(self._programs):
            number = -self.script.result(self._first + at)
            if number == errno.ENOEXEC:
                return -self.script.result(self._first + self._shell(at))
            if number == 0:
                return 0
            if found == errno.ENOENT and number != errno.ENOTDIR:
                found = number
        return found

    def _shell(self, at: int) -> int:
        """Where the shell is executed for program `at`, counted from the first program."""
        return self._programs + 1 + 2 * at


class Spawner:
    """Makes the children of this process."""

    def __init__(self, environment: Mapping[str, str], tree: Path | None) -> None:
        """Find out which way to go: with a child in a new cgroup in `tree`, if there is one."""
        self._environment = {k: os.fsencode(f"{k}={v}") for k, v in environment.items()}
        self._path = os.fsencode(environment.get("PATH", DEFAULT_PATH))
        self._bound = (
            Step("prctl", (_PR_SET_PDEATHSIG, signal.SIGKILL)),
            # If clinit died before that, no signal will come.
            Step("getppid", (), expect=os.getpid(), skip=1),
            _GIVEN_UP,
        )
        self._null = _null_above_stderr()
        self._oom = OomProtection()
        self.way = best_way(tree)

    def spawn(
        self,
        argv: list[str],
        extra: Mapping[str, str],
        cgroup: Path | None,
        fds: tuple[int, int, int],
    ) -> Newborn:
        """Make a child that will execute `argv`, with `extra` in its environment.

        `fds` are its stdout, its stderr, and a pipe that it closes when it executes the command
        or ends. They remain the caller's to close. Nothing here waits for anything.

        Raises:
            OSError: no child could be made.
        """
        with _opened(cgroup, inside=self.way.inside) as place:
            steps = self._first_steps(fds, None if self.way.inside else place)
            variables = {name: os.fsencode(f"{name}={value}") for name, value in extra.items()}
            environment = list((self._environment | variables).values())
            words = list(map(os.fsencode, argv))
            birth = Birth(steps, words, environment, self._path, shared=self.way.shared)
            self._oom.lay_down()
            try:
                pid, pidfd = clone(self.way, birth.script, place)
            except OSError:
                self._oom.take_up()
                raise
        return Newborn(pid, pidfd, birth, self._oom)

    def close(self) -> None:
        """Give back descriptors."""
        self._oom.close()
        os.close(self._null)

    def _first_steps(self, fds: tuple[int, int, int], entrance: int | None) -> list[Step]:
        stdout, stderr, trouble = fds
        enter = []
        if entrance is not None:
            enter = [Step("write", (entrance, _ITSELF, 1), expect=1, skip=1), _GIVEN_UP]
        return [
            *self._bound,
            *enter,
            Step("dup3", (self._null, 0, 0)),
            Step("dup3", (stdout, 1, 0)),
            Step("dup3", (stderr, 2, 0)),
            Step("dup3", (trouble, TROUBLE, os.O_CLOEXEC)),
            *_ALONE,
        ]


def programs_of(name: bytes, path: bytes) -> list[bytes]:
    """Return the paths at which to look for a command."""
    if b"/" in name:
        return [name]
    return [directory + b"/" + name if directory else name for directory in path.split(b":")]


def best_way(tree: Path | None) -> Way:
    """Return the first of `WAYS` by which a child in a new cgroup in `tree` lives.

    Linux 6.18 kills each child that is cloned into a cgroup if cgroup.kill was ever used on the
    cgroup of its parent, as a service manager may have done to end a former clinit in there.
    """
    script = Script([Step("exit_group", (0,))], None, shared=False)
    trial = tree / f"trial.{os.getpid()}" if tree else None
    try:
        if trial:
            trial.mkdir()
        for way in WAYS[:-1]:
            with contextlib.suppress(OSError), _opened(trial, inside=True) as place:
                pid, pidfd = clone(way, script, place)
                os.close(pidfd)
                if os.waitpid(pid, 0)[1] == 0:
                    return way
        return WAYS[-1]
    finally:
        if trial:
            trial.rmdir()


@contextlib.contextmanager
def _opened(cgroup: Path | None, *, inside: bool) -> Iterator[int | None]:
    """Open a cgroup, or where it is entered."""
    if cgroup is None:
        yield None
        return
    path, flags = (cgroup, os.O_PATH) if inside else (cgroup / "cgroup.procs", os.O_WRONLY)
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _null_above_stderr() -> int:
    """Open /dev/null, and as stdin, stdout and stderr too where these are closed."""
    while (fd := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
        pass
    return fd
