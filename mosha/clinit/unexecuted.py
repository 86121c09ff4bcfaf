"""Why the kernel did not execute a program, in words.

ENOENT may be about a program that exists, when what it needs is missing: the interpreter in its
first line, or the loader of its libraries (execve(2)).
"""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

from mosha.clinit.forkserver import DEFAULT_PATH, programs_of
from mosha.host.abandonable import Abandonable
from mosha.host.files import read_head

LOOK_LIMIT_S = 1.0
LINE_MAX_BYTES = 256
"""How much of a first line Linux reads (BINPRM_BUF_SIZE)."""

ELF = b"\x7fELF"


async def why_unexecuted(program: str, number: int, looking: Abandonable) -> str:
    """Return what is wrong with a program whose execve failed with this errno.

    It may be on a hung file system: `looking` bounds how long it is examined.
    """
    plain = f"{program}: {os.strerror(number)}"
    if number != errno.ENOENT:
        return plain
    path = os.environb.get(b"PATH", DEFAULT_PATH)
    try:
        return await looking.run(partial(_look, program, path), LOOK_LIMIT_S) or plain
    except OSError:  # it cannot be read either
        return plain


def _look(program: str, path: bytes) -> str:
    """Return what the first program of that name lacks; "" if there is none.

    Raises:
        OSError: it cannot be read.
    """
    for candidate in programs_of(program.encode("utf-8", "surrogateescape"), path):
        found = Path(os.fsdecode(candidate))
        try:
            head = read_head(found, LINE_MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return _lack(found, head)
    return ""


def _lack(found: Path, head: bytes) -> str:
    if head.startswith(ELF):
        return f"the loader that {found} needs does not exist here"
    line = head.partition(b"\n")[0]
    words = line.removeprefix(b"#!").split(maxsplit=1)
    if not line.startswith(b"#!") or not words:
        return ""
    interpreter = os.fsdecode(words[0])
    if line.endswith(b"\r") and len(words) == 1:
        return (
            f"the interpreter of {found}, {interpreter} with a carriage return, does not exist;"
            " save the file with the line ends of Unix"
        )
    return f"the interpreter of {found}, {interpreter}, does not exist"
