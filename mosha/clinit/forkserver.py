"""The fork server: a small process that gives birth to clinit's children, and is their guard.

It is started as a program of its own (`python -I -S forkserver.py SOCKET PARENT MARK TREE`)
and does two things:

- On a request it forks a child that is clinit's, not its own (CLONE_PARENT), is in its cgroup
  from its first instruction (CLONE_INTO_CGROUP), is killed if clinit dies (PR_SET_PDEATHSIG),
  leads a session of its own, and then executes the command. It answers with the pid at once;
  a command that cannot be executed is told through a pipe that closes on exec. So a program
  on a file system that hangs stops its own entry and nothing else.
- If clinit goes without a word, it kills everything that belongs to clinit, daemons that
  forked away included, which a parent-death signal does not reach.

A fork costs as much as the memory it has to share, and what the child touches before exec is
copied. So this file imports next to nothing (`socket` and `signal` bring enum, 1 MB), calls
libc directly, and has everything ready before it forks: 2.3 ms until a child's first output,
where a straightforward version took 3.1 and vfork 1.5. `forker.py` is clinit's end and compares
the ways. See clone(2) and prctl(2).
"""

from __future__ import annotations

import _socket
import array
import ctypes
import errno
import gc
import marshal
import os
import sys
import time

REQUEST_MAX_BYTES = 1 << 17
FDS = 3  # stdout, stderr, and the pipe that tells why nothing was executed
LEFT = b"left"
EXEC_FAILED = 127
SHELL = b"/bin/sh"
DEFAULT_PATH = b"/bin:/usr/bin"

CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000
CLONE3 = 435
# For seccomp filters that know clone but not clone3 (ENOSYS). All its arguments but the flags
# are zero, so their order does not matter.
CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220, "ppc64le": 120}
NO_CLONE3 = (errno.ENOSYS, errno.E2BIG, errno.EINVAL)
PR_SET_PDEATHSIG = 1
SIGKILL, SIGPIPE, SIGCHLD, SIGXFSZ = 9, 13, 17, 25
# While it is being born a child must not lose a signal to the server's ways: these (HUP, INT,
# QUIT, TERM) stay blocked here, and the child opens its ears right before exec.
BLOCKED = (1, 2, 3, 15)
SIG_BLOCK, SIG_SETMASK = 0, 2
SIG_DFL = 0
SIGSET_BYTES = 128
EXTRA_MAX = 16
ARGUMENTS_BYTES = 88
"""The size of `struct clone_args` with `cgroup` as its last member (Linux 5.7)."""

GUARD_ROUNDS_MAX = 500
GUARD_PAUSE_S = 0.02

libc = ctypes.CDLL(None, use_errno=True)
# Looked up here, for the child's first use of a name would look it up in the child: again for
# each, and 80 pages copied for it (0.3 ms).
syscall, prctl, getppid, setsid = libc.syscall, libc.prctl, libc.getppid, libc.setsid
dup2, sigprocmask, execve = libc.dup2, libc.sigprocmask, libc.execve
Words = ctypes.Array[ctypes.c_char_p]


class CloneArguments(ctypes.Structure):
    """`struct clone_args` of clone3."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack"),
            *("stack_size", "tls", "set_tid", "set_tid_size", "cgroup"),
        )
    )


class Environment:
    """What all children get, and room for what only one gets."""

    def __init__(self) -> None:
        self._base = [key + b"=" + value for key, value in os.environb.items()]
        self.words = words([*self._base, *([b""] * EXTRA_MAX)])
        self.path = os.environb.get(b"PATH", DEFAULT_PATH)

    def set_extra(self, extra: list[bytes]) -> None:
        """Put `KEY=value` words at the end, for the next child."""
        for at, word in enumerate(extra, len(self._base)):
            self.words[at] = word
        self.words[len(self._base) + len(extra)] = None


def programs_of(name: bytes, path: bytes) -> list[bytes]:
    """Return the paths at which to look for a command."""
    if b"/" in name:
        return [name]
    return [directory + b"/" + name if directory else name for directory in path.split(b":")]


def born_alive(tree: str) -> bool:
    """Say whether a child that is cloned into a new cgroup in `tree` lives.

    Linux 6.18 kills each such child if cgroup.kill was ever used on the cgroup of its parent,
    as a service manager may have done to end a former clinit in there. True also where
    nothing can be said: what cannot be done at all fails at the first child, with its reason.
    """
    trial = f"{tree}/trial.{os.getpid()}"
    try:
        os.mkdir(trial)  # noqa: PTH102 - pathlib would be the biggest import here
    except OSError:
        return True
    inside = -1
    try:
        inside = os.open(trial, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        arguments = CloneArguments(flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, cgroup=inside)
        pid: int = syscall(CLONE3, ctypes.byref(arguments), ARGUMENTS_BYTES)
        if pid == 0:
            os._exit(0)
        return pid < 0 or os.waitpid(pid, 0)[1] == 0
    except OSError:
        return True
    finally:
        if inside >= 0:
            os.close(inside)
        os.rmdir(trial)  # noqa: PTH106 - as above


def words(values: list[bytes]) -> Words:
    """Return a C array of strings that ends with NULL."""
    return (ctypes.c_char_p * (len(values) + 1))(*values, None)


class ForkServer:
    """Serves one clinit until it goes."""

    def __init__(self, connection: _socket.socket, parent: int, mark: str, tree: str) -> None:
        self._connection = connection
        self._parent = parent
        self._mark = mark
        self._tree = tree
        self._environment = Environment()
        self._request = bytearray(REQUEST_MAX_BYTES)  # one for all: it would be mapped each time
        self._no_signals = ctypes.create_string_buffer(SIGSET_BYTES)
        self._into_cgroup = born_alive(tree) if tree else False

    def run(self) -> None:
        """Give birth until clinit says that it leaves, or is gone."""
        while True:
            request, fds = self._receive()
            if request == LEFT:
                return
            if not request:
                self._avenge()
                return
            answer = self._bear(marshal.loads(request), fds)  # noqa: S302 - from clinit alone
            try:
                self._connection.send(b"%d" % answer, _socket.MSG_NOSIGNAL)
            except OSError:
                continue  # it is gone: the next receive tells
            finally:
                for fd in fds:
                    os.close(fd)

    def _receive(self) -> tuple[bytes, list[int]]:
        fds = array.array("i")
        # Close on exec, or the pipe would never tell that the exec was done.
        room = _socket.CMSG_SPACE(FDS * fds.itemsize)
        try:
            size, ancillary, _, _ = self._connection.recvmsg_into(
                [self._request], room, _socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:  # it went before it had read the last answer
            return b"", []
        for _, _, data in ancillary:
            fds.frombytes(data)
        return bytes(self._request[:size]), list(fds)

    def _bear(self, request: tuple[list[bytes], list[bytes], str], fds: list[int]) -> int:
        """Return the child's pid, or minus the number of an error."""
        argv, extra, cgroup = request
        self._environment.set_extra(extra)
        inside = -1
        try:
            if cgroup:
                inside = os.open(cgroup, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            return self._clone(argv, fds, inside, cgroup)
        except OSError as error:
            return -(error.errno or errno.EIO)
        finally:
            if inside >= 0:
                os.close(inside)

    def _clone(self, argv: list[bytes], fds: list[int], inside: int, cgroup: str) -> int:
        programs = programs_of(argv[0], self._environment.path)
        c_argv = words(argv)
        arguments = CloneArguments(flags=CLONE_PARENT)
        if inside >= 0 and self._into_cgroup:
            arguments.flags |= CLONE_INTO_CGROUP
            arguments.cgroup = inside
        pid: int = syscall(CLONE3, ctypes.byref(arguments), ARGUMENTS_BYTES)
        if pid == 0:
            if not self._into_cgroup:
                self._enter(cgroup)
            self._live(programs, argv, c_argv, fds)
        if pid < 0 and ctypes.get_errno() in NO_CLONE3:
            number = CLONE.get(os.uname().machine)
            if number is None:
                return -errno.ENOSYS
            pid = syscall(number, CLONE_PARENT, 0, 0, 0, 0)
            if pid == 0:
                self._enter(cgroup)
                self._live(programs, argv, c_argv, fds)
        return pid if pid > 0 else -ctypes.get_errno()

    @staticmethod
    def _enter(cgroup: str) -> None:
        """Move into the cgroup, in the child: slower than to be born there."""
        if not cgroup:
            return
        try:
            with open(f"{cgroup}/cgroup.procs", "wb", buffering=0) as procs:  # noqa: PTH123
                procs.write(b"0")
        except OSError:
            os._exit(EXEC_FAILED)

    def _live(
        self, programs: list[bytes], argv: list[bytes], c_argv: Words, fds: list[int]
    ) -> None:
        """Be the child: never returns. Every line here copies some pages."""
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if getppid() != self._parent:
            os._exit(EXEC_FAILED)  # clinit died before that: no signal will come
        setsid()
        dup2(fds[0], 1)
        dup2(fds[1], 2)
        sigprocmask(SIG_SETMASK, self._no_signals, None)
        environment = self._environment.words
        problem = errno.ENOENT
        for program in programs:
            execve(program, c_argv, environment)
            number = ctypes.get_errno()
            if number == errno.ENOEXEC:  # a script without a first line, as execvp(3) does it
                execve(SHELL, words([SHELL, program, *argv[1:]]), environment)
                number = ctypes.get_errno()
            if number not in (errno.ENOENT, errno.ENOTDIR):
                problem = number
            if number not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                break
        os.write(fds[2], b"%d" % problem)
        os._exit(EXEC_FAILED)

    def _avenge(self) -> None:
        """Kill all that clinit had: its cgroup, or what carries its mark."""
        for _ in range(GUARD_ROUNDS_MAX):
            left = self._kill_tree() if self._tree else self._kill_marked()
            if not left:
                return
            time.sleep(GUARD_PAUSE_S)

    def _kill_tree(self) -> bool:
        try:
            with open(f"{self._tree}/cgroup.kill", "wb", buffering=0) as kill:  # noqa: PTH123
                kill.write(b"1")
        except OSError:
            return False
        for path, _, _ in os.walk(self._tree, topdown=False):
            try:
                os.rmdir(path)  # noqa: PTH106 - pathlib would be the biggest import here
            except OSError:
                continue  # something in there is still dying
        return True

    def _kill_marked(self) -> bool:
        mark = f"MOSHA_RUN={self._mark}".encode()
        found = False
        for name in os.listdir("/proc"):  # noqa: PTH208
            if not name.isdecimal() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as environment:  # noqa: PTH123
                    if mark in environment.read().split(b"\0"):
                        os.kill(int(name), SIGKILL)
                        found = True
            except OSError:
                continue  # gone, or not ours
        return found


def take_no_privilege() -> None:
    """Let the kernel choose among the children when memory is short (proc(5)).

    A service manager may protect clinit from that; its services shall not inherit it.
    """
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as score:  # noqa: PTH123
            if int(score.read()) < 0:
                score.write(b"0")
    except OSError:
        return


def main() -> None:
    """Serve the clinit that started this process."""
    fd, parent, mark, tree = sys.argv[1:]
    take_no_privilege()
    blocked = ctypes.create_string_buffer(SIGSET_BYTES)
    for number in BLOCKED:
        libc.sigaddset(blocked, number)
        libc.signal(number, SIG_DFL)
    sigprocmask(SIG_SETMASK, blocked, None)
    for number in (SIGPIPE, SIGXFSZ):  # Python ignores them, and children would inherit that
        libc.signal(number, SIG_DFL)
    connection = _socket.socket(fileno=int(fd))
    os.set_inheritable(int(fd), False)
    server = ForkServer(connection, int(parent), mark, tree)
    # A collection in the child, or in the parent right after the fork, would copy everything.
    gc.collect()
    gc.freeze()
    gc.disable()
    server.run()


if __name__ == "__main__":
    main()
