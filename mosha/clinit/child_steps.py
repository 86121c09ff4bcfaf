"""What a child does between its clone and its exec: a list of system calls.

A fork costs as much as the memory it copies, and what the child touches before its exec is copied
as well: half a millisecond each for a Python program. So a child shares the fork server's memory
(CLONE_VM) and must not touch it, which excludes Python: it executes the steps of a `Script` that
was written before the clone. It runs only `NATIVE`, 56 bytes that make the system calls of a
script. Unlike with vfork(2) the parent does not wait: an exec from a hung file system blocks only
itself, and the script is kept until the child no longer needs it.

Where that is not available (another processor, executable memory forbidden) the memory is copied,
and `take_steps` does in Python what `NATIVE` does. See clone(2), execvp(3).

Part of the fork server: it imports next to nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

TYPE_CHECKING = False  # as in typing, which the fork server does not import
if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_VM = 0x00000100
CLONE_CHILD_CLEARTID = 0x00200000
"""The kernel sets a word to 0 when the child releases the memory: by an exec, or by its end."""

EXEC_FAILED = 127
SHELL = b"/bin/sh"

NEVER = 1 << 62
"""A result that no system call returns."""

STEP_BYTES = 64
"""Eight words: number, four arguments, the result to skip on, how far, and the result."""

RESULT_AT = 56
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)
_PAGE_BYTES = 4096
SIGKILL, SIG_SETMASK = 9, 2
PR_SET_PDEATHSIG = 1
_SIGSET_BYTES = 8
_READ_EXECUTE, _MAP_PRIVATE = 0x5, 0x2
_MAP_FAILED = ctypes.c_void_p(-1).value

# long clone_and_step(struct clone_args *rdi, size_t rsi, struct step *rdx). It uses no stack.
NATIVE = (
    ("", "clone_and_step:"),
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
NUMBERS = {
    "write": 1,
    "open": 2,
    "close": 3,
    "rt_sigprocmask": 14,
    "execve": 59,
    "chdir": 80,
    "umask": 95,
    "getppid": 110,
    "setsid": 112,
    "setgroups": 116,
    "setresuid": 117,
    "setresgid": 119,
    "setpriority": 141,
    "prctl": 157,
    "setrlimit": 160,
    "exit_group": 231,
    "dup3": 292,
}
"""The system calls of scripts, on x86_64."""

Step = tuple[str, tuple[int, ...], int, int]
"""A call, its arguments, and after which result how many of the next steps are skipped."""

GIVEN_UP: Step = ("exit_group", (EXEC_FAILED,), NEVER, 0)

_INT, _SIZE, _POINTER = ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p
_UINT = ctypes.c_uint
libc = ctypes.CDLL(None, use_errno=True)


def function(name: str, result: type | None, *arguments: type) -> Callable[..., int]:
    """Return a function of the C library with its types; errno is ctypes.get_errno()."""
    return ctypes.CFUNCTYPE(result, *arguments, use_errno=True)((name, libc))


sigprocmask = function("sigprocmask", _INT, _INT, _POINTER, _POINTER)
_mmap = function("mmap", _POINTER, _POINTER, _SIZE, _INT, _INT, _INT, ctypes.c_long)
# What `take_steps` calls, and with how many of the arguments: sigprocmask(3) adds the size of the
# set itself. Resolved here: the first use of a name would look it up in the child.
_FUNCTIONS: dict[str, tuple[Callable[..., int], int]] = {
    "write": (function("write", ctypes.c_ssize_t, _INT, _POINTER, _SIZE), 3),
    "rt_sigprocmask": (sigprocmask, 3),
    "execve": (function("execve", _INT, _POINTER, _POINTER, _POINTER), 3),
    "getppid": (function("getppid", _INT), 0),
    "setsid": (function("setsid", _INT), 0),
    "prctl": (function("prctl", _INT, _INT, ctypes.c_ulong), 2),
    "exit_group": (function("_exit", None, _INT), 1),
    "dup3": (function("dup3", _INT, _INT, _INT, _INT), 3),
    "open": (function("open", _INT, _POINTER, _INT), 2),
    "close": (function("close", _INT, _INT), 1),
    "chdir": (function("chdir", _INT, _POINTER), 1),
    "umask": (function("umask", _UINT, _UINT), 1),
    "setgroups": (function("setgroups", _INT, _SIZE, _POINTER), 2),
    "setresuid": (function("setresuid", _INT, _UINT, _UINT, _UINT), 3),
    "setresgid": (function("setresgid", _INT, _UINT, _UINT, _UINT), 3),
    "setpriority": (function("setpriority", _INT, _INT, _UINT, _INT), 3),
    "setrlimit": (function("setrlimit", _INT, _INT, _POINTER), 2),
}
_NO_SIGNALS = ctypes.create_string_buffer(128)
_ITSELF = ctypes.create_string_buffer(b"0")  # "0" in cgroup.procs moves the process that writes it


def has_native() -> bool:
    """Say whether `NATIVE` is code for this processor."""
    return os.uname().machine == "x86_64" and sys.maxsize > 1 << 32


def map_native() -> int:
    """Return the address of `NATIVE` in executable memory.

    Raises:
        OSError: it may not be mapped.
    """
    fd = os.memfd_create("clone_and_step", os.MFD_CLOEXEC)
    try:
        os.write(fd, b"".join(bytes.fromhex(digits) for digits, _ in NATIVE))
        address = _mmap(None, _PAGE_BYTES, _READ_EXECUTE, _MAP_PRIVATE, fd, 0)
    finally:
        os.close(fd)
    if address == _MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return address


class Strings:
    """C strings side by side; None stands for the NULL that ends an array of them."""

    def __init__(self, values: list[bytes | None]) -> None:
        self._array = (ctypes.c_char_p * len(values))(*values)
        self._address = ctypes.addressof(self._array)

    def array(self, at: int) -> int:
        """Return the address of the array that begins at value `at`."""
        return self._address + at * _POINTER_BYTES

    def string(self, at: int) -> int:
        """Return the address of value `at`."""
        pointer = ctypes.c_void_p.from_buffer(self._array, at * _POINTER_BYTES)
        address: int | None = pointer.value
        return address or 0


def first_steps(parent: int, stdout: int, stderr: int, entrance: int) -> list[Step]:
    """Return the steps that every child of `parent` takes for safety, whatever it executes.

    `entrance` is the cgroup.procs that it still has to enter, or -1.
    """
    signals = ctypes.addressof(_NO_SIGNALS)
    enter = ("write", (entrance, ctypes.addressof(_ITSELF), 1), 1, 1)
    return [
        ("prctl", (PR_SET_PDEATHSIG, SIGKILL), NEVER, 0),
        ("getppid", (), parent, 1),  # if clinit died earlier, no signal will come
        GIVEN_UP,
        *((enter, GIVEN_UP) if entrance >= 0 else ()),
        ("setsid", (), NEVER, 0),
        ("dup3", (stdout, 1, 0), NEVER, 0),
        ("dup3", (stderr, 2, 0), NEVER, 0),
        ("rt_sigprocmask", (SIG_SETMASK, signals, 0, _SIGSET_BYTES), NEVER, 0),
    ]


class Preparation:
    """What a child does before its exec as its entry wants it: steps, and the memory they point to.

    Each is a call, its arguments, and the result without which the child gives up, or None.
    `private`: the memory of who started the child must not be shared while these steps are taken.
    """

    private = False

    def __init__(self) -> None:
        self.steps: list[tuple[str, tuple[int, ...], int | None]] = []
        self.kept: list[object] = []


class Script:
    """The steps of one child, and all memory that they point to.

    Keep it until `over` if the child shares this memory.
    """

    def __init__(
        self,
        first: list[Step],
        programs: list[bytes],
        argv: list[bytes],
        environment: list[bytes],
        trouble: int,
        *,
        preparation: Preparation | None = None,
    ) -> None:
        """Write the steps: the first steps, then an exec of the first of `programs` that exists.

        `trouble` is where the child writes why the exec failed, or a step of the preparation that
        comes between, see `problem_of` and `step_of`.
        """
        self.preparation = preparation
        between = preparation.steps if preparation is not None else []
        before = len(first) + sum(1 if result is None else 3 for _, _, result in between)
        values: list[bytes | None] = [*argv, None, *environment, None]
        shell, environ = len(values), len(argv) + 1
        for program in programs:
            values += (SHELL, program, *argv[1:], None)
        self._strings = strings = Strings(values)
        count = len(programs)
        self._memory = bytearray((before + 4 * count + 2) * STEP_BYTES)
        self._first = ctypes.c_char.from_buffer(self._memory)
        self.address = ctypes.addressof(self._first)
        rows = self.address + before * STEP_BYTES
        prepare: list[Step] = []
        for call, arguments, result in between:
            row = self.address + (len(first) + len(prepare)) * STEP_BYTES
            if result is None:
                prepare.append((call, arguments, NEVER, 0))
                continue
            fail: Step = ("write", (trouble, row, STEP_BYTES), NEVER, 0)
            prepare += ((call, arguments, result, 2), fail, GIVEN_UP)
        execs: list[Step] = []
        by_shell: list[Step] = []
        for at in range(count):
            here = shell + at * (len(argv) + 2)
            words = (strings.string(here + 1), strings.array(0), strings.array(environ))
            # A script without a #! line is run by the shell, as in execvp(3).
            execs.append(("execve", words, -errno.ENOEXEC, count + 1 + 2 * at))
            words = (strings.string(here), strings.array(here), strings.array(environ))
            row = rows + (count + 2 + 3 * at) * STEP_BYTES
            by_shell += (
                ("execve", words, NEVER, 0),
                ("write", (trouble, row, STEP_BYTES), NEVER, 0),
                GIVEN_UP,
            )
        tell: Step = ("write", (trouble, rows, count * STEP_BYTES), NEVER, 0)
        self.steps = [*first, *prepare, *execs, tell, GIVEN_UP, *by_shell]
        self._write()
        self._in_use = ctypes.c_int(1)
        self.in_use = ctypes.addressof(self._in_use)

    def _write(self) -> None:
        words: list[int] = []
        for call, arguments, expected, skip in self.steps:
            unused = (0,) * (4 - len(arguments))
            words += (NUMBERS[call], *arguments, *unused, expected, skip * STEP_BYTES, 0)
        struct.pack_into(f"{len(words)}q", self._memory, 0, *words)

    @property
    def over(self) -> bool:
        """Whether the child has released this memory (CLONE_CHILD_CLEARTID at `in_use`)."""
        return self._in_use.value == 0

    def note(self, at: int, result: int) -> None:
        """Set the result of step `at`."""
        struct.pack_into("q", self._memory, at * STEP_BYTES + RESULT_AT, result)


def take_steps(script: Script) -> None:
    """Run the steps in a child with copied memory: `NATIVE` in Python. Never returns."""
    try:
        at = 0
        while True:
            call, arguments, expected, skip = script.steps[at]
            make, count = _FUNCTIONS[call]
            result = make(*arguments[:count])
            result = -ctypes.get_errno() if result == -1 else result
            script.note(at, result)
            at += 1 + (skip if result == expected else 0)
    finally:
        os._exit(EXEC_FAILED)


def step_of(written: bytes) -> tuple[str, int]:
    """Return the call that failed, and its first argument, from what the child wrote."""
    number, argument = struct.unpack_from("2q", written)
    return next(call for call, known in NUMBERS.items() if known == number), argument


def problem_of(written: bytes) -> int:
    """Return the errno of a failed step, from what the child wrote, 0 if it wrote nothing.

    Of execve, as in execvp(3), the first error other than ENOENT counts; unlike there, the rest of
    PATH is tried after any error.
    """
    found = errno.ENOENT if written else 0
    passed_over = (errno.ENOENT, errno.ENOTDIR) if found and _is_execve(written) else ()
    for at in range(RESULT_AT, len(written), STEP_BYTES):
        result: int = struct.unpack_from("q", written, at)[0]
        number = -result if result < 0 else errno.EIO  # it did what it should not have done
        if number not in passed_over:
            return number
    return found


def _is_execve(written: bytes) -> bool:
    return step_of(written)[0] == "execve"
