"""The fork server: a small process that starts clinit's children, and is their guard.

It is a separate program (`forker.py` starts it) and does two things:

- On a request it starts a child of clinit, not of itself (CLONE_PARENT), which is in its cgroup
  from its first instruction (CLONE_INTO_CGROUP), is killed if clinit dies (PR_SET_PDEATHSIG),
  leads a new session, and then executes the command. It answers with the pid at once; an exec
  that fails is reported through a pipe that closes on exec. So a program on a hung file system
  blocks only its entry.
- If clinit ends without dismissing it, it kills all processes of clinit, including daemons that
  forked away, which a parent-death signal does not reach.

`spawn_ways.py` has the three ways to start a child. Until its exec a child has what its maker has:
this process's few files and, usually, its memory (`child_steps.py`). Nothing of clinit's: a child
that hangs there holds none of clinit's files open, and a child that is killed for lack of memory
does not take clinit with it. Where the memory is copied each module costs, so this file imports
next to nothing (`socket` and `signal` import enum, 1 MB). `forker.py` is clinit's end and compares
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
import resource
import sys
import time

from mosha.clinit.child_steps import (
    SIG_SETMASK,
    SIGKILL,
    Script,
    first_steps,
    function,
    sigprocmask,
)
from mosha.clinit.preparing import prepared
from mosha.clinit.spawn_ways import Cloner
from mosha.host.marks import QUIET_LOOKS, has_limit, limit_of

TYPE_CHECKING = False  # as in typing, which the fork server can do without
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

REQUEST_MAX_BYTES = 1 << 17
FDS = 3  # stdout, stderr, and the pipe for the error of a failed exec
LEFT = b"left"
READY = b"ready"
WAY = b"way"  # what follows is marshalled: `Cloner.way` and `Cloner.refused`
DEFAULT_PATH = b"/bin:/usr/bin"

SIGPIPE, SIGXFSZ = 13, 25
# Until its exec a child must not lose a signal to the server's settings: these (HUP, INT, QUIT,
# TERM) stay blocked here, and the child unblocks them right before exec. No signal has a handler
# here: none runs in a child.
BLOCKED = (1, 2, 3, 15)
SIG_DFL = 0
SIGSET_BYTES = 128
GUARD_ROUNDS_MAX = 500
GUARD_PAUSE_S = 0.02

_sigaddset = function("sigaddset", ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_signal = function("signal", ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def programs_of(name: bytes, path: bytes) -> list[bytes]:
    """Return the paths at which to look for a command."""
    if b"/" in name:
        return [name]
    return [directory + b"/" + name if directory else name for directory in path.split(b":")]


class ForkServer:
    """Serves one clinit until it ends."""

    def __init__(  # noqa: PLR0917 - the words of its command line
        self,
        connection: _socket.socket,
        parent: int,
        mark: str,
        tree: str,
        first_way: str,
        units: str,
    ) -> None:
        self._connection = connection
        self._parent = parent
        self._mark = mark
        self._tree = tree
        self._units = units
        self._environment = {name: name + b"=" + value for name, value in os.environb.items()}
        self._path = os.environb.get(b"PATH", DEFAULT_PATH)
        self._request = bytearray(REQUEST_MAX_BYTES)  # reused: it would be mapped each time
        self._cloner = Cloner(first_way, tree)

    def run(self) -> None:
        """Start children until clinit dismisses this server, or is gone."""
        self._find_way()  # if that cannot be determined now, the next start reports it
        self._answer(READY)
        while True:
            request, fds = self._receive()
            if request == LEFT:
                return
            if not request:
                self._kill_all()
                return
            answer = self._spawn(marshal.loads(request), fds)  # noqa: S302 - from clinit alone
            for fd in fds:  # before the answer: its receiver may wait for the end of a pipe
                os.close(fd)
            self._answer(b"%d" % answer)

    def _answer(self, message: bytes) -> None:
        try:
            self._connection.send(message, _socket.MSG_NOSIGNAL)
        except OSError:
            return  # it is gone: the next receive reports it

    def _receive(self) -> tuple[bytes, list[int]]:
        fds = array.array("i")
        # Close on exec, or the pipe would never report that the exec was done.
        room = _socket.CMSG_SPACE(FDS * fds.itemsize)
        try:
            size, ancillary, _, _ = self._connection.recvmsg_into(
                [self._request], room, _socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:  # it ended before it had read the last answer
            return b"", []
        for _, _, data in ancillary:
            fds.frombytes(data)
        return bytes(self._request[:size]), list(fds)

    def _find_way(self) -> int:
        """Determine how children can be started, and report it; return the errno on failure."""
        try:
            self._cloner.find_way()
        except OSError as error:
            return error.errno or errno.EIO
        self._answer(WAY + marshal.dumps((self._cloner.way, self._cloner.refused)))
        return 0 if self._cloner.way else errno.ENOSYS

    def _spawn(
        self,
        request: tuple[list[bytes], list[bytes], bytes, float, dict[str, Any] | None],
        fds: list[int],
    ) -> int:
        """Return the child's pid, or a negative errno."""
        if len(fds) < FDS:  # there was no room for them here
            return -errno.EMFILE
        number = 0 if self._cloner.way else self._find_way()
        if number:
            return -number
        argv, extra, cgroup, until, wanted = request
        if time.clock_gettime(time.CLOCK_BOOTTIME) >= until:
            return -errno.ETIME
        variables = {word.partition(b"=")[0]: word for word in extra}
        environment = list({**self._environment, **variables}.values())
        programs = programs_of(argv[0], self._path)
        place = -1
        try:
            if cgroup:
                place = self._open(cgroup)
            entrance = -1 if self._cloner.into_cgroup else place
            first = first_steps(self._parent, fds[0], fds[1], entrance)
            preparation = prepared(wanted, self._parent) if wanted else None
            script = Script(first, programs, argv, environment, fds[2], preparation=preparation)
            return self._cloner.clone(script, place)
        except OSError as error:
            return -(error.errno or errno.EIO)
        finally:
            if place >= 0:
                os.close(place)

    def _open(self, cgroup: bytes) -> int:
        """Open the cgroup into which a child is cloned, or which it enters itself (slower)."""
        if self._cloner.into_cgroup:
            return os.open(cgroup, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return os.open(cgroup + b"/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def _kill_all(self) -> None:
        """Kill all processes of clinit: those in its cgroup, or with its mark.

        By the limit first, which a process cannot remove; then by the environment, for processes
        that changed their limits: reading it may wait for a process that hangs.
        """
        _open_files_again()
        self._kill_units()
        if self._tree:
            until_quiet(self._kill_tree)
        else:
            until_quiet(self._kill_limited)
            until_quiet(self._kill_named)
        until_quiet(self._kill_units)

    def _kill_units(self) -> bool:
        """Freeze and kill what systemd runs for clinit; say whether anything of it was alive.

        What systemd still starts there is frozen from its first moment (`unit_tracker.py`).
        """
        if not self._units:
            return False
        try:
            with open(f"{self._units}/cgroup.events", "rb", buffering=0) as events:  # noqa: PTH123
                alive = b"populated 1" in events.read()
            for name in ("cgroup.freeze", "cgroup.kill"):
                with open(f"{self._units}/{name}", "wb", buffering=0) as file:  # noqa: PTH123
                    file.write(b"1")
        except OSError:  # there never was a unit
            return False
        return alive

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

    def _kill_limited(self) -> bool:
        limit = limit_of(self._mark)
        return limit is not None and _kill_each(lambda pid: has_limit(pid, limit))

    def _kill_named(self) -> bool:
        mark = f"MOSHA_RUN={self._mark}".encode()

        def is_named(pid: int) -> bool:
            with open(f"/proc/{pid}/environ", "rb") as environment:  # noqa: PTH123
                return mark in environment.read().split(b"\0")

        return _kill_each(is_named)


def until_quiet(kill: Callable[[], bool]) -> None:
    """Kill until enough rounds in a row have found nothing (`QUIET_LOOKS`)."""
    quiet = 0
    for _ in range(GUARD_ROUNDS_MAX):
        quiet = 0 if kill() else quiet + 1
        if quiet == QUIET_LOOKS:
            return
        time.sleep(GUARD_PAUSE_S)


def _kill_each(is_ours: Callable[[int], bool]) -> bool:
    """Kill all our processes except this one; return whether there was any, or may be."""
    found = False
    try:
        names = os.listdir("/proc")  # noqa: PTH208
    except OSError:  # no descriptor, or no memory: there may be some
        return True
    for name in names:
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            if is_ours(int(name)):
                os.kill(int(name), SIGKILL)
                found = True
        except OSError:
            continue  # gone, or not ours
    return found


def _open_files_again() -> None:
    """Raise the limit of open files, which somebody may have lowered: each look needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def take_no_privilege() -> None:
    """Let the kernel choose among the children when memory is short (proc(5)).

    A service manager may protect clinit from that; services must not inherit it.
    """
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as score:  # noqa: PTH123
            if int(score.read()) < 0:
                score.write(b"0")
    except OSError:
        return


def main() -> None:
    """Serve the clinit that started this process."""
    fd, parent, mark, tree, first_way, units = sys.argv[1:]
    take_no_privilege()
    blocked = ctypes.create_string_buffer(SIGSET_BYTES)
    for number in BLOCKED:
        _sigaddset(blocked, number)
        _signal(number, SIG_DFL)
    sigprocmask(SIG_SETMASK, blocked, None)
    for number in (SIGPIPE, SIGXFSZ):  # Python ignores them, and children would inherit that
        _signal(number, SIG_DFL)
    connection = _socket.socket(fileno=int(fd))
    os.set_inheritable(int(fd), False)
    server = ForkServer(connection, int(parent), mark, tree, first_way, units)
    # If memory is copied, a collection in the child, or here after the fork, would copy all.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        server.run()
    except BaseException:  # noqa: BLE001 - the outermost loop
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)  # not by a return: a child may still need the memory that would be freed
