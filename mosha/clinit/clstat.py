"""The clstat of a clinit without a monitor: a line per group (C7.1), replaced as a whole.

Written soon after each change, rewritten as a heartbeat (C7.6), removed at the end (C7.8). Under a
monitor, which publishes a fuller status, clinit writes none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio

from mosha.core.status import GroupLine
from mosha.formats.clstat import render_groups
from mosha.host import logs
from mosha.host.abandonable import Abandonable
from mosha.host.files import write_atomically


class ClstatFile:
    """Writes the current groups to a file, in its own coroutine."""

    def __init__(
        self,
        path: Path,
        groups: Callable[[], Mapping[str, GroupLine]],
        heartbeat_s: float,
        limit_s: float,
    ) -> None:
        self._path = path
        self._groups = groups
        self._heartbeat_s = heartbeat_s
        self._limit_s = limit_s
        self._files = Abandonable(str(path))
        self._changed = asyncio.Event()
        self._changed.set()
        self._failed = False

    def changed(self) -> None:
        """Schedule a write soon."""
        self._changed.set()

    async def run(self) -> None:
        """Write at each change and each heartbeat, until cancelled."""
        while True:
            with anyio.move_on_after(self._heartbeat_s):
                await self._changed.wait()
            self._changed.clear()
            await self._write()

    async def remove(self) -> None:
        """Remove the file: an orderly end."""
        with contextlib.suppress(OSError):
            await self._files.run(lambda: self._path.unlink(missing_ok=True), self._limit_s)

    async def _write(self) -> None:
        text = render_groups(self._groups()).encode()
        try:
            await self._files.run(lambda: write_atomically(self._path, text), self._limit_s)
        except OSError as error:
            if not self._failed:
                reason = error.strerror or str(error)
                logs.get().error("status_failed", path=str(self._path), reason=reason)
            self._failed = True
        else:
            self._failed = False
