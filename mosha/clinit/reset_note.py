"""Notes on the local disk that this node is about to reset itself, and why.

The log may be lost with the machine. A thread writes the note, and a reset waits for it no longer
than it is told to: the disk may be what hangs. A note whose reason has gone is withdrawn, and so is
one that an earlier clinit left on this boot: the machine was not reset then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mosha.clinit.options import ClinitOptions
from mosha.core.self_fencing import OFF
from mosha.formats.self_reset import (
    MAX_BYTES,
    SELF_RESET_FILE,
    SelfReset,
    parse_self_reset,
    render_self_reset,
)
from mosha.host import logs
from mosha.host.abandonable import Abandonable
from mosha.host.clock import boot_id
from mosha.host.files import read_file, write_atomically

WRITE_LIMIT_S = 5.0
"""When a disk that does not answer is given up; a reset does not wait for that."""


class ResetNote:
    """The note in a state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / SELF_RESET_FILE
        self._file = Abandonable("the note of a reset")
        self._wanted: bytes | None = None
        self._done: bytes | None = b""  # neither a note nor none: the first is always carried out
        self._task: asyncio.Task[None] | None = None

    def put(self, how: str, reason: str, groups: Sequence[str]) -> None:
        """Have a note written."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        note = SelfReset(
            boot=boot_id(), time=now, how=how, reason=reason, groups=tuple(sorted(groups))
        )
        self._want(render_self_reset(note))

    def withdraw(self) -> None:
        """Have the note removed, if there is one."""
        self._want(None)

    async def settle(self, limit_s: float) -> bool:
        """Wait, not for longer than `limit_s`; return whether the disk is as it was asked for."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=limit_s)
        return self._done == self._wanted

    def _want(self, data: bytes | None) -> None:
        self._wanted = data
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        while (data := self._wanted) != self._done:
            try:
                await self._file.run(partial(self._apply, data), WRITE_LIMIT_S)
            except OSError as error:
                reason = error.strerror or str(error)
                logs.get().warning("memory_failed", path=str(self._path), reason=reason)
                if self._wanted == data:
                    return
            else:
                self._done = data

    def _apply(self, data: bytes | None) -> None:
        if data is None:
            self._path.unlink(missing_ok=True)
        else:
            write_atomically(self._path, data, sync=True)


def reset_note_of(options: ClinitOptions) -> ResetNote | None:
    """Return the note of a node that may reset itself, without one of this boot; else None."""
    if options.self_fence == OFF and options.watchdog is None:
        return None
    note = ResetNote(options.state_dir)
    if _is_void(options.state_dir / SELF_RESET_FILE):
        note.withdraw()
    return note


def _is_void(path: Path) -> bool:
    """Say whether there is a note that announced a reset on this boot, or none that can be read."""
    try:
        return parse_self_reset(read_file(path, MAX_BYTES)).boot == boot_id()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
