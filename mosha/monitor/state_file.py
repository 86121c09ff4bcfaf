"""A file in the state directory that is only a memory: nothing depends on it but what people see.

It is written as a whole, in a thread. If the disk is full or hangs, what is not on it yet is lost,
and the log says so once per reason.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from mosha.host import logs
from mosha.host.files import read_file, write_atomically
from mosha.host.workers import HungError, Worker, reason

LIMIT_S = 5.0

T = TypeVar("T")


class StateFile(Generic[T]):
    """One such file.

    Args:
        path: of the file.
        name: of its thread.
        parse: returns its content; raises ValueError if it cannot be read.
        max_bytes: how much of it is read.
    """

    def __init__(
        self, path: Path, name: str, parse: Callable[[bytes], T], *, max_bytes: int
    ) -> None:
        self._path = path
        self._parse = parse
        self._max_bytes = max_bytes
        self._worker = Worker(name)
        self._told = ""

    async def load(self) -> T | None:
        """Return its content; None if it is missing or cannot be read."""
        try:
            data = await self._worker.call(
                partial(read_file, self._path, self._max_bytes), limit_s=LIMIT_S
            )
            return self._parse(data)
        except FileNotFoundError:
            return None
        except (OSError, HungError, ValueError) as error:
            self._tell(reason(error))
            return None

    async def keep(self, data: bytes, limit_s: float = LIMIT_S) -> bool:
        """Replace it; return whether the new content is on the disk."""
        try:
            await self._worker.call(partial(write_atomically, self._path, data), limit_s=limit_s)
        except (OSError, HungError) as error:
            self._tell(reason(error))
            return False
        self._told = ""
        return True

    def _tell(self, text: str) -> None:
        """Log, once per reason, that it is not kept."""
        if text != self._told:
            self._told = text
            logs.get().warning("memory_failed", path=str(self._path), reason=text)
