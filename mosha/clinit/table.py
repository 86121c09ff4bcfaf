"""The cltab on disk: checked at each tell, and read only if it has changed.

It is not checked in between (C1.16). It counts as changed if its time, size or inode differ
(C1.15). If it cannot be read, or has mistakes, the last good entries stay in force.
"""

from __future__ import annotations

import asyncio
import math
import os
import stat
from pathlib import Path

from msgspec import Struct

from mosha.core.tables import Cltab
from mosha.formats.cltab import parse_cltab
from mosha.formats.mistakes import FILE_MAX_BYTES, Mistakes
from mosha.host.abandonable import Abandonable

DUPLICATE = "entry has duplicate tag: "
MISSING = "file not found: "


class TableReading(Struct, frozen=True):
    """The result of a check of the file: a new cltab, or what is wrong, or neither.

    `errors` has one line each; `warning` is a remark although nothing is wrong.
    """

    cltab: Cltab | None = None
    errors: tuple[str, ...] = ()
    warning: str = ""

    @property
    def missing(self) -> bool:
        """Whether there is no such file."""
        return self.warning.startswith(MISSING)


_Version = tuple[int, int, int, int]


class _File(Struct, frozen=True):
    version: _Version
    data: bytes | None
    problem: str = ""


class TableFile:
    """One cltab file and its last known version."""

    def __init__(self, path: Path, limit_s: float) -> None:
        self.path = path
        self._limit_s = limit_s
        self._files = Abandonable(str(path))
        self._version: _Version | None = None
        self._errors: tuple[str, ...] = ()
        self._looked_at = -math.inf
        self._warning = ""

    async def look(self, since: float = math.inf) -> TableReading:
        """Read the file if it has changed since the last check.

        It is not checked again if the last check began after `since` (seconds of the loop's
        clock): one check serves tells that come together.
        """
        if self._looked_at > since:
            return TableReading(errors=self._errors, warning=self._warning)
        began, known = asyncio.get_running_loop().time(), self._version
        self._warning = ""
        try:
            file = await self._files.run(lambda: _read(self.path, known), self._limit_s)
        except FileNotFoundError:
            self._version = None
            self._warning = f"{MISSING}{self.path}"  # C1.17
        except OSError as error:  # unknown: the next tell checks again
            self._looked_at = -math.inf
            text = error.strerror or str(error)
            return TableReading(errors=self._errors, warning=f"cannot read {self.path}: {text}")
        self._looked_at = began
        if self._warning or file.version == known:
            return TableReading(errors=self._errors, warning=self._warning)
        self._version = file.version
        return self._judge(file)

    def _judge(self, file: _File) -> TableReading:
        if file.data is None:
            self._errors = (file.problem,)
            return TableReading(errors=self._errors)
        try:
            cltab = parse_cltab(file.data, str(self.path))
        except Mistakes as mistakes:
            lines = tuple(str(mistakes).splitlines())
            tags = [m.text for m in mistakes.mistakes if m.problem.startswith(DUPLICATE)]
            # C4.1: the text that callers of the original expect comes first.
            self._errors = (*(DUPLICATE + tag for tag in tags[:1]), *lines)
            return TableReading(errors=self._errors)
        self._errors = ()
        return TableReading(cltab=cltab)


def _read(path: Path, known: _Version | None) -> _File:
    """Read the file, in a thread; without its data if it is the known one."""
    # O_NONBLOCK: opening a FIFO would block.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        version = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)
        problem = _distrust(path, status)
        if problem:
            # A chmod changes neither time nor size: check again each time.
            return _File((*version[:3], -1), None, problem)
        if version == known:
            return _File(version, None)
        pieces: list[bytes] = []
        size = 0
        while size <= FILE_MAX_BYTES and (piece := os.read(fd, FILE_MAX_BYTES + 1 - size)):
            pieces.append(piece)
            size += len(piece)
        return _File(version, b"".join(pieces))
    finally:
        os.close(fd)


def _distrust(path: Path, status: os.stat_result) -> str:
    """Return why the commands of this file must not be run; empty if they may."""
    uid = os.geteuid()
    if not stat.S_ISREG(status.st_mode):
        return f"{path} is not a regular file; cltab is a text file"
    if status.st_mode & stat.S_IWOTH:
        return f"{path} is world-writable: anyone could run commands as uid {uid}; chmod o-w it"
    if status.st_uid not in (0, uid):
        return f"{path} belongs to uid {status.st_uid}; chown it to uid {uid} or to root"
    return ""
