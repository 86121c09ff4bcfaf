"""The fork server: a small process that gives birth to clinit's children, and is their guard.

It is a program of its own (`forker.py` says how it is started) and does two things:

- On a request it makes a child that is clinit's, not its own (CLONE_PARENT), is in its cgroup
  from its first instruction (CLONE_INTO_CGROUP), is killed if clinit dies (PR_SET_PDEATHSIG),
  leads a session of its own, and then executes the command. It answers with the pid at once;
  a command that cannot be executed is told through a pipe that closes on exec. So a program
  on a file system that hangs stops its own entry and nothing else.
- If clinit goes without a word, it kills everything that belongs to clinit, daemons that
  forked away included, which a parent-death signal does not reach.

Until its exec a child has what its maker has: this process's few files and, usually, its memory
(`newborn.py`). None of clinit's: a child that stands still there holds nothing of clinit's open,
and no child that is killed for want of memory takes clinit along. The memory is shared on x86_64
alone; elsewhere it is copied, so this file imports next to nothing (`socket` and `signal` bring
enum, 1 MB). `forker.py` is clinit's end and compares the ways. See clone(2) and prctl(2).
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

from mosha.clinit.newborn import (
    CLONE_CHILD_CLEARTID,
    CLONE_VM,
    SIG_SETMASK,
    SIGKILL,
    Script,
    first_steps,
    libc,
    native,
    take_steps,
)

REQUEST_MAX_BYTES = 1 << 17
FDS = 3  # stdout, stderr, and the pipe that tells why nothing was executed
LEFT = b"left"
READY = b"ready"
DEFAULT_PATH = b"/bin:/usr/bin"

CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000
CLONE3 = 435
# For seccomp filters that know clone but not clone3 (ENOSYS). All its arguments but the flags
# are zero, so their order does not matter.
CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220, "ppc64le": 120}
NO_CLONE3 = (errno.ENOSYS, errno.E2BIG, errno.EINVAL)
SIGPIPE, SIGCHLD, SIGXFSZ = 13, 17, 25
# While it is being born a child must not lose a signal to the server's ways: these (HUP, INT,
# QUIT, TERM) stay blocked here, and the child opens its ears right before exec. No signal has
# a handler here: none runs in a child.
BLOCKED = (1, 2, 3, 15)
SIG_DFL = 0
SIGSET_BYTES = 128
ARGUMENTS_BYTES = 88
"""The size of `struct clone_args` with `cgroup` as its last member (Linux 5.7)."""

GUARD_ROUNDS_MAX = 500
GUARD_PAUSE_S = 0.02

syscall, sigprocmask = libc.syscall, libc.sigprocmask


class CloneArguments(ctypes.Structure):
    """`struct clone_args` of clone3."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack"),
            *("stack_size", "tls", "set_tid", "set_tid_size", "cgroup"),
        )
    )


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
        try:  # noqa: SIM105 - contextlib would be imported for this alone
            os.rmdir(trial)  # noqa: PTH106 - as above
        except OSError:
            pass  # who has just ended may still be in the way; it goes with the tree


class ForkServer:
    """Serves one clinit until it goes."""

    def __init__(self, connection: _socket.socket, parent: int, mark: str, tree: str) -> None:
        self._connection = connection
        self._parent = parent
        self._mark = mark
        self._tree = tree
        self._environment = {name: name + b"=" + value for name, value in os.environb.items()}
        self._path = os.environb.get(b"PATH", DEFAULT_PATH)
        self._request = bytearray(REQUEST_MAX_BYTES)  # one for all: it would be mapped each time
        self._into_cgroup = born_alive(tree) if tree else False
        self._native = native()
        self._birth = ctypes.CFUNCTYPE(
            ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
        )(self._native)
        self._scripts: list[Script] = []  # of children that share this memory still

    def run(self) -> None:
        """Give birth until clinit says that it leaves, or is gone."""
        self._answer(READY)
        while True:
            request, fds = self._receive()
            if request == LEFT:
                return
            if not request:
                self._avenge()
                return
            answer = self._bear(marshal.loads(request), fds)  # noqa: S302 - from clinit alone
            for fd in fds:  # before the answer: who has it may wait for the end of a pipe
                os.close(fd)
            self._answer(b"%d" % answer)

    def _answer(self, message: bytes) -> None:
        try:
            self._connection.send(message, _socket.MSG_NOSIGNAL)
        except OSError:
            return  # it is gone: the next receive tells

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

    def _bear(self, request: tuple[list[bytes], list[bytes], bytes], fds: list[int]) -> int:
        """Return the child's pid, or minus the number of an error."""
        if len(fds) < FDS:  # there was no room for them here
            return -errno.EMFILE
        argv, extra, cgroup = request
        variables = {word.partition(b"=")[0]: word for word in extra}
        environment = list({**self._environment, **variables}.values())
        programs = programs_of(argv[0], self._path)
        place = -1
        try:
            if cgroup:
                place = self._open(cgroup)
            entrance = -1 if self._into_cgroup else place
            first = first_steps(self._parent, fds[0], fds[1], entrance)
            script = Script(first, programs, argv, environment, fds[2])
            pid = self._clone(script, place)
        except OSError as error:
            return -(error.errno or errno.EIO)
        finally:
            if place >= 0:
                os.close(place)
        if pid < 0 and -pid in NO_CLONE3 and (self._native or self._into_cgroup):
            self._native, self._into_cgroup = 0, False
            return self._bear(request, fds)
        return pid

    def _open(self, cgroup: bytes) -> int:
        """Open the cgroup in which a child is born, or where it enters by itself: slower."""
        if self._into_cgroup:
            return os.open(cgroup, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return os.open(cgroup + b"/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def _clone(self, script: Script, place: int) -> int:
        """Make the child; return its pid, or minus the number of an error."""
        arguments = CloneArguments(flags=CLONE_PARENT)
        if place >= 0 and self._into_cgroup:
            arguments.flags |= CLONE_INTO_CGROUP
            arguments.cgroup = place
        if self._native:
            arguments.flags |= CLONE_VM | CLONE_CHILD_CLEARTID
            arguments.child_tid = script.in_use
            self._scripts = [*(s for s in self._scripts if not s.over), script]
            pid: int = self._birth(ctypes.addressof(arguments), ARGUMENTS_BYTES, script.address)
            if pid < 0:
                self._scripts.pop()
            return pid
        pid = syscall(CLONE3, ctypes.byref(arguments), ARGUMENTS_BYTES)
        if pid < 0 and ctypes.get_errno() in NO_CLONE3 and not self._into_cgroup:
            number = CLONE.get(os.uname().machine)
            if number is None:
                return -errno.ENOSYS
            pid = syscall(number, CLONE_PARENT, 0, 0, 0, 0)
        if pid == 0:
            take_steps(script)
        return pid if pid > 0 else -ctypes.get_errno()

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
    # Where memory is copied: a collection in the child, or here after the fork, would copy all.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        server.run()
    except BaseException:  # noqa: BLE001 - the outermost loop
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)  # and not by a return: a child may still need what that would give back
