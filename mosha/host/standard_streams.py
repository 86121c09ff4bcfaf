"""Repairs stdin, stdout and stderr of a process that was started without them.

Every command needs this, so it imports next to nothing.
"""

from __future__ import annotations

import errno
import os
import sys


def complete_descriptors() -> None:
    """Open the null device in place of standard descriptors that are closed (`2>&-`).

    Otherwise the next socket or lock file becomes stderr.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            os.open(os.devnull, os.O_RDWR)  # the lowest free one: this one
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for the whole life
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
