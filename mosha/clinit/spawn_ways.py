"""The three ways to start a child, from the fastest to the one that needs least of the kernel.

    shared   clone3 into the cgroup; the memory is shared until the exec
    copied   clone3 into the cgroup; the memory is copied
    plain    clone; the memory is copied, and the child enters its cgroup itself

Which of them works is found by starting a child that exits at once: a seccomp filter of a
container runtime refuses clone3 (ENOSYS, or EPERM in old ones), a hardened kernel refuses to map
code, and Linux 6.18 kills what is cloned into a cgroup whose parent was killed once. `forker.py`
lists what each way costs.

Part of the fork server: it imports next to nothing. See clone(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from mosha.clinit.child_steps import (
    CLONE_CHILD_CLEARTID,
    CLONE_VM,
    NEVER,
    Script,
    Step,
    function,
    has_native,
    map_native,
    take_steps,
)
from mosha.formats.spawn import COPIED, PLAIN, SHARED, SPAWN_WAYS

IN_CGROUP = "a start in the cgroup"
"""What does not work although the way does: then the child enters its cgroup itself."""

CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000
CLONE3 = 435
# All arguments except the flags, the first, are zero here: the order of the others does not matter.
CLONE = {
    "x86_64": 56,
    "aarch64": 220,
    "riscv64": 220,
    "loongarch64": 220,
    "ppc64le": 120,
    "armv7l": 120,
    "i686": 120,
}
SIGCHLD = 17
ARGUMENTS_BYTES = 88
"""The size of `struct clone_args` with `cgroup` as its last member (Linux 5.7)."""

# With these a way does not work at all. Any other error (EAGAIN, ENOMEM …) is temporary.
UNAVAILABLE = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EINVAL, errno.E2BIG)

_clone3 = function("syscall", ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t)
_clone = function("syscall", ctypes.c_long, ctypes.c_long, ctypes.c_ulong, *[ctypes.c_long] * 4)
_CLONE_AND_STEP = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
_END_WELL: Step = ("exit_group", (0,), NEVER, 0)


class CloneArguments(ctypes.Structure):
    """`struct clone_args` of clone3."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack"),
            *("stack_size", "tls", "set_tid", "set_tid_size", "cgroup"),
        )
    )


class Cloner:
    """Starts children in the way that works here.

    `way` is empty until a trial has found one; `refused` lists the ways tried before, and why they
    do not work. `into_cgroup` says that a child is in its cgroup from its first instruction; else
    it enters it itself, which takes 8 to 16 ms.
    """

    def __init__(self, first: str, tree: str) -> None:
        """Try the ways from `first` on; with a `tree` of cgroups, inside one of them."""
        self._ways = SPAWN_WAYS[SPAWN_WAYS.index(first) :]
        self._tree = tree
        self.way = ""
        self.into_cgroup = False
        self.refused: list[tuple[str, str]] = []
        self._clone_and_step = _CLONE_AND_STEP(0)
        self._scripts: list[Script] = []  # of children that still share this memory

    def find_way(self) -> None:
        """Try one way after the other until one works; if none does, `way` stays empty.

        Raises:
            OSError: it cannot be determined now.
        """
        self.way, self.into_cgroup, self.refused = "", False, []
        for way in self._ways:
            if way == SHARED and not has_native():
                continue  # this processor has only the others; nothing is wrong
            why_not = self._try(way)
            if not why_not:
                self.way = way
                return
            self.refused.append((way, why_not))

    def clone(self, script: Script, place: int) -> int:
        """Start a child of our parent that executes the script; return its pid.

        `place` is a descriptor of its cgroup's directory if `into_cgroup`, else it is ignored.

        Raises:
            OSError: none was started; after an error of `UNAVAILABLE` find the way again.
        """
        cgroup = place if self.into_cgroup else -1
        private = script.preparation is not None and script.preparation.private
        way = COPIED if self.way == SHARED and private else self.way
        try:
            return self._made(way, script, CloneArguments(flags=CLONE_PARENT), cgroup)
        except OSError as error:
            if error.errno in UNAVAILABLE:
                self.way = ""
            raise

    def _try(self, way: str) -> str:
        """Return why a way does not work, or ""; record whether it can clone into cgroups."""
        if way == PLAIN or not self._tree:
            return self._attempt(way, -1)
        trial = f"{self._tree}/trial.{os.getpid()}"
        inside = -1
        try:
            try:
                os.mkdir(trial)  # noqa: PTH102 - pathlib would be the biggest import here
                inside = os.open(trial, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                # Cgroups cannot be tried: if they do not work, the next start fails with why.
                self.into_cgroup = True
                return self._attempt(way, -1)
            why_not = self._attempt(way, inside)
            self.into_cgroup = not why_not
            if not why_not:
                return ""
            why_not_else = self._attempt(way, -1)
            if not why_not_else:
                self.refused.append((IN_CGROUP, why_not))
            return why_not_else
        finally:
            if inside >= 0:
                os.close(inside)
            try:  # noqa: SIM105 - contextlib would be imported for this alone
                os.rmdir(trial)  # noqa: PTH106 - as above
            except OSError:
                pass  # the trial may still be ending; its cgroup is removed with the tree

    def _attempt(self, way: str, place: int) -> str:
        """Return why a child of this process that exits at once cannot be started, or ""."""
        script = Script([_END_WELL], [], [b""], [], -1)
        try:
            if way == SHARED:
                self._clone_and_step = _CLONE_AND_STEP(map_native())
            pid = self._made(way, script, CloneArguments(exit_signal=SIGCHLD), place)
        except OSError as error:
            if error.errno not in UNAVAILABLE:
                raise
            return str(error.strerror)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return f"the trial ended with {status}" if status else ""

    def _made(self, way: str, script: Script, arguments: CloneArguments, place: int) -> int:
        if place >= 0 and way != PLAIN:
            arguments.flags |= CLONE_INTO_CGROUP
            arguments.cgroup = place
        if way == SHARED:
            pid = self._share(script, arguments)
        elif way == COPIED:
            pid = _result(_clone3(CLONE3, ctypes.byref(arguments), ARGUMENTS_BYTES))
        else:
            number = CLONE.get(os.uname().machine, -1)  # without one: ENOSYS
            pid = _result(_clone(number, arguments.flags | arguments.exit_signal, 0, 0, 0, 0))
        if pid == 0:
            take_steps(script)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid

    def _share(self, script: Script, arguments: CloneArguments) -> int:
        """Return the pid, or a negative errno; keep the script while it is needed."""
        arguments.flags |= CLONE_VM | CLONE_CHILD_CLEARTID
        arguments.child_tid = script.in_use
        self._scripts = [*(s for s in self._scripts if not s.over), script]
        address = ctypes.addressof(arguments)
        pid: int = self._clone_and_step(address, ARGUMENTS_BYTES, script.address)
        if pid < 0:
            self._scripts.pop()
        return pid


def _result(pid: int) -> int:
    return -ctypes.get_errno() if pid < 0 else pid


def main() -> None:
    """Print the way that works here, from the named one on; then what does not, and why."""
    cloner = Cloner(sys.argv[1], "")
    cloner.find_way()
    print(cloner.way)  # noqa: T201 - what this program is for
    print("; ".join(f"{what}: {why}" for what, why in cloner.refused))  # noqa: T201
