"""What a child does between its birth and its command: a list of system calls.

A child that is not yet its command must not touch memory that is clinit's too (`clone.py`), so
it runs no Python. It takes one `Step` after the other from a `Script` that was written before
it was born, and leaves each result there, for clinit to read.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import NamedTuple

NEVER = 1 << 62
"""A result that no system call has."""

WORDS = 8
"""Of a step in memory: number, four arguments, `expect`, how many bytes to skip, the result."""

STEP_BYTES = WORDS * 8
ARGUMENTS = 4
_RESULT = struct.Struct("q")
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)
_RESULT_AT = STEP_BYTES - _RESULT.size

NUMBERS = {
    "write": 1,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "execve": 59,
    "getppid": 110,
    "setsid": 112,
    "prctl": 157,
    "exit_group": 231,
    "dup3": 292,
    "close_range": 436,
}
"""The system calls of scripts, on x86_64; the last one is the same everywhere."""


class Step(NamedTuple):
    """One system call; after the result `expect` the next `skip` steps are left out."""

    call: str
    arguments: tuple[int, ...]
    expect: int = NEVER
    skip: int = 0


class Strings:
    """C strings side by side, None for a NULL that ends an array of them."""

    def __init__(self, values: list[bytes | None]) -> None:
        self._array = (ctypes.c_char_p * len(values))(*values)
        self._address = ctypes.addressof(self._array)

    def array(self, at: int) -> int:
        """Return the address of the array that begins with value `at`."""
        return self._address + at * _POINTER_BYTES

    def string(self, at: int) -> int:
        """Return the address of value `at`."""
        return ctypes.c_void_p.from_buffer(self._array, at * _POINTER_BYTES).value or 0


class Script:
    """The steps of one child, in memory that the child has too; `shared` if it has all of it.

    `kept` is what the steps' addresses point to. Both live as long as this object, which has
    to be kept until the child executes its command or has ended.
    """

    def __init__(self, steps: list[Step], kept: object, *, shared: bool) -> None:
        self.steps = steps
        self._kept = kept
        words: list[int] = []
        for call, arguments, expect, skip in steps:
            unused = (0,) * (ARGUMENTS - len(arguments))
            words += (NUMBERS[call], *arguments, *unused, expect, skip * STEP_BYTES, 0)
        size = len(steps) * STEP_BYTES
        self._memory = bytearray(size) if shared else mmap.mmap(-1, size)
        struct.pack_into(f"{len(words)}q", self._memory, 0, *words)
        self._first = ctypes.c_char.from_buffer(self._memory)
        self.address = ctypes.addressof(self._first)

    def result(self, at: int) -> int:
        """Return what step `at` came to: minus the number of an error; 0 also if never taken."""
        value: int = _RESULT.unpack_from(self._memory, at * STEP_BYTES + _RESULT_AT)[0]
        return value

    def note(self, at: int, result: int) -> None:
        """Set the result of step `at`, from a child that runs Python after all."""
        _RESULT.pack_into(self._memory, at * STEP_BYTES + _RESULT_AT, result)
