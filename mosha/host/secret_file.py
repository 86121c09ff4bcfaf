"""Reads files that nobody but root may read, and refuses all others."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mosha.host.files import read_facts

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_secret(path: Path, max_bytes: int) -> bytes:
    """Return a file that belongs to root, or to the user of this process, and is of mode 600.

    Raises:
        OSError: it cannot be read; EPERM, with what to do, if others may read or change it.
    """
    facts = read_facts(path, max_bytes)
    if facts.uid not in (0, os.geteuid()):
        reason = f"it belongs to uid {facts.uid}: chown root {path}"
        raise OSError(errno.EPERM, reason, str(path))
    if facts.mode & _OTHERS:
        reason = f"others may use it (mode {facts.mode:03o}): chmod 600 {path}"
        raise OSError(errno.EPERM, reason, str(path))
    return facts.data
