"""The events of a node on its local disk, so that they survive a restart of the monitor.

`STATE/events.json` is written as a whole, in a thread, some seconds after an event. If the disk is
full or hangs, only the events that are not on it are lost.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mosha.formats.events import ClusterEvent, parse_happenings
from mosha.host import logs
from mosha.host.files import read_file, write_atomically
from mosha.host.workers import HungError, Worker, reason

HISTORY_FILE = "events.json"
MAX_BYTES = 4 << 20
"""A thousand events with long reasons take a tenth of that."""

LIMIT_S = 5.0


class EventFile:
    """The file of the events."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / HISTORY_FILE
        self._worker = Worker("the events of this node")
        self._told = ""

    async def load(self) -> list[ClusterEvent]:
        """Return the events in the file; none if it is missing or cannot be read."""
        try:
            data = await self._worker.call(
                partial(read_file, self._path, MAX_BYTES), limit_s=LIMIT_S
            )
            return parse_happenings(data)
        except FileNotFoundError:
            return []
        except (OSError, HungError, ValueError) as error:
            self._tell(reason(error))
            return []

    async def keep(self, data: bytes, limit_s: float = LIMIT_S) -> bool:
        """Write all events, as JSON; return whether they are on the disk."""
        try:
            await self._worker.call(partial(write_atomically, self._path, data), limit_s=limit_s)
        except (OSError, HungError) as error:
            self._tell(reason(error))
            return False
        self._told = ""
        return True

    def _tell(self, text: str) -> None:
        """Log, once per reason, that events are not saved."""
        if text != self._told:
            self._told = text
            logs.get().warning("memory_failed", path=str(self._path), reason=text)
