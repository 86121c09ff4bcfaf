"""A seccomp filter, as a container runtime sets one: a system call is refused with an error.

It holds for this process and what it starts, until they end. See seccomp(2). Part of it runs in
the fork server, which has no site-packages: it imports next to nothing.
"""

from __future__ import annotations

import ctypes
import os
import struct

CLONE3 = 435

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2


def refuse(call: int, number: int) -> None:
    """Have a system call fail with an error from now on."""
    code = b"".join(
        struct.pack("HBBI", *row)
        for row in (
            (_LOAD, 0, 0, 0),
            (_JUMP_IF_EQUAL, 0, 1, call),
            (_RETURN, 0, 0, _ERRNO | number),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    rows = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(
        struct.pack("HP", len(code) // struct.calcsize("HBBI"), ctypes.addressof(rows))
    )
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    for words in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _FILTER, ctypes.addressof(program), 0, 0),
    ):
        if libc.prctl(*words) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
