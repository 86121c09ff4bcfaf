"""How clinit has children: clone3(2) straight into their cgroup, without copying its memory.

Measured from the call until the command runs (Linux 6.18, median of 100, ms), with a twentieth
of a second between two children, as respawns are apart, and with none:

                                                         apart   in a row
    subprocess.Popen (vfork), no cgroup                    0.5     0.4
    this: shared memory, born in the cgroup                0.7     0.4
    clone3 into the cgroup, memory copied (10 MB)          1.8     1.1
    clinit enters the cgroup, spawns, goes home            9.8     1.0
    sh -c 'echo 0 > PROCS; exec "$@"'                     13.6     1.7

Moving a process that exists takes a lock that waits for an RCU grace period, 8 to 16 ms; being
born in a cgroup costs nothing, but no function of the C library before glibc 2.39 can do it.
What makes the C library's own ways fast is that the child borrows its parent's memory instead
of copying it. They let the parent wait meanwhile, in an exec from a file system that hangs for
ever; here it does not wait. Both together need a child that touches no memory but its own
script (`newborn.py`), and so runs no Python: `NATIVE` is what it runs instead, 56 bytes that
make the system calls of a script one after the other.

Where that is not to be had (another processor, code that may not be mapped, a kernel or a
filter without clone3), the memory is copied and Python takes the same steps: see `WAYS`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import sys
from typing import NamedTuple

from mosha.clinit.newborn import NUMBERS, Script

# PyDLL, not CDLL: a copied child must not find that another thread had the interpreter's lock.
libc = ctypes.PyDLL(None, use_errno=True)

CLONE3 = 435
CLONE_VM = 0x00000100
CLONE_PIDFD = 0x00001000
CLONE_CLEAR_SIGHAND = 0x100000000
"""No handler of clinit's ever runs in a child (Linux 5.5)."""

CLONE_INTO_CGROUP = 0x200000000

PAGE_BYTES = 4096
_EXECUTABLE = 0x1 | 0x4  # PROT_READ, PROT_EXEC
_PRIVATE = 0x2  # MAP_PRIVATE

# long birth(struct clone_args *rdi, size_t rsi, struct step *rdx). The child uses no stack.
NATIVE = (
    ("", "birth:"),
    ("b8 b3 01 00 00", "mov eax, 435"),
    ("0f 05", "syscall"),
    ("85 c0", "test eax, eax"),
    ("74 01", "jz child"),
    ("c3", "ret"),
    ("", "child:"),
    ("48 89 d3", "mov rbx, rdx"),
    ("", "step:"),
    ("48 8b 03", "mov rax, [rbx]"),
    ("48 8b 7b 08", "mov rdi, [rbx+8]"),
    ("48 8b 73 10", "mov rsi, [rbx+16]"),
    ("48 8b 53 18", "mov rdx, [rbx+24]"),
    ("4c 8b 53 20", "mov r10, [rbx+32]"),
    ("0f 05", "syscall"),
    ("48 89 43 38", "mov [rbx+56], rax"),
    ("48 3b 43 28", "cmp rax, [rbx+40]"),
    ("75 04", "jne next"),
    ("48 03 5b 30", "add rbx, [rbx+48]"),
    ("", "next:"),
    ("48 83 c3 40", "add rbx, 64"),
    ("eb d7", "jmp step"),
)
_IN_LIBC = {"rt_sigaction": "sigaction", "rt_sigprocmask": "sigprocmask", "exit_group": "_exit"}


class CloneArguments(ctypes.Structure):
    """`struct clone_args` of clone3, with `cgroup` as its last member (Linux 5.7)."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack"),
            *("stack_size", "tls", "set_tid", "set_tid_size", "cgroup"),
        )
    )


class Way(NamedTuple):
    """How to have a child: with `shared` memory or a copy, `inside` its cgroup or to enter it."""

    shared: bool
    inside: bool


WAYS = (
    Way(shared=True, inside=True),
    Way(shared=False, inside=True),
    Way(shared=True, inside=False),
    Way(shared=False, inside=False),
)
"""The best first; the last one works everywhere."""


def native() -> int:
    """Return the address of `NATIVE` in memory that can be executed, 0 where it cannot be."""
    if platform.machine() != "x86_64" or sys.maxsize < 1 << 32:
        return 0
    try:
        fd = os.memfd_create("birth", os.MFD_CLOEXEC)
    except OSError:
        return 0
    try:
        os.write(fd, b"".join(bytes.fromhex(code) for code, _ in NATIVE))
        size, offset = ctypes.c_size_t(PAGE_BYTES), ctypes.c_long(0)
        address = libc.mmap(None, size, _EXECUTABLE, _PRIVATE, fd, offset)
        return 0 if address == ctypes.c_void_p(-1).value else address or 0
    finally:
        os.close(fd)


libc.mmap.restype = ctypes.c_void_p
libc.syscall.restype = ctypes.c_long
_BIRTH = native()
_birth = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)(_BIRTH)


def clone(way: Way, script: Script, cgroup: int | None) -> tuple[int, int]:
    """Return the pid and a pidfd of a new child that takes the steps of `script`.

    `cgroup` is a descriptor of the cgroup in which it is born, if `way` can do that. A child
    with shared memory uses the script until its last step, or until it executes a command.

    Raises:
        OSError: there is no child.
    """
    if not way.shared and not way.inside:
        return _fork(script)
    pidfd = ctypes.c_int(-1)
    arguments = CloneArguments(
        flags=CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        pidfd=ctypes.addressof(pidfd),
        exit_signal=signal.SIGCHLD,
    )
    if way.inside and cgroup is not None:
        arguments.flags |= CLONE_INTO_CGROUP
        arguments.cgroup = cgroup
    at, size = ctypes.addressof(arguments), ctypes.sizeof(arguments)
    if way.shared:
        if not _BIRTH:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        arguments.flags |= CLONE_VM
        pid: int = _birth(at, size, script.address)
        number = -pid
    else:
        pid = libc.syscall(CLONE3, ctypes.c_void_p(at), ctypes.c_size_t(size))
        number = ctypes.get_errno()
        if pid == 0:
            _live(script)
    if pid < 0:
        raise OSError(number, os.strerror(number))
    return pid, pidfd.value


def _fork(script: Script) -> tuple[int, int]:
    """Have a child as everybody always could."""
    pid: int = libc.fork()
    if pid == 0:
        _live(script)
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        return pid, os.pidfd_open(pid)
    except OSError:  # nobody could watch it
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _live(script: Script) -> None:
    """Be a child with memory of its own: take the steps as `NATIVE` does. Never returns."""
    at = 0
    while True:
        call, arguments, expect, skip = script.steps[at]
        if call == "close_range":  # the C library has it since glibc 2.34
            function, arguments = libc.syscall, (NUMBERS[call], *arguments)
        else:
            function = getattr(libc, _IN_LIBC.get(call, call))
        result = function(*(ctypes.c_long(word) for word in arguments))
        result = -ctypes.get_errno() if result == -1 else result
        script.note(at, result)
        at += 1 + (skip if result == expect else 0)
