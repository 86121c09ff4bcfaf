"""Files that go, or are replaced, at one moment: a daemon that looks never sees a half of it.

clinit and the monitor make again what is missing, whenever they look: between two steps of a test,
too.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from mosha.clinit.child_steps import function

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_renameat2 = function(
    "renameat2", ctypes.c_int, *[ctypes.c_int, ctypes.c_char_p] * 2, ctypes.c_uint
)


def exchange(path: Path, other: Path) -> None:
    """Let what is at the two paths change places (renameat2(2)); links are not followed."""
    names = (_AT_FDCWD, bytes(path), _AT_FDCWD, bytes(other))
    if _renameat2(*names, _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path), None, str(other))


def remove_tree(path: Path) -> None:
    """Remove a directory and all that is in it."""
    shutil.rmtree(path.rename(path.with_name(f"{path.name}.removed")))
