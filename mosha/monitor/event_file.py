"""The events of a node on its local disk, so that they survive a restart of the monitor.

`STATE/events.json` is written some seconds after an event.
"""

from __future__ import annotations

from pathlib import Path

from mosha.formats.events import ClusterEvent, parse_happenings
from mosha.monitor.state_file import LIMIT_S, StateFile

HISTORY_FILE = "events.json"
MAX_BYTES = 4 << 20
"""A thousand events with long reasons take a tenth of that."""


class EventFile:
    """The file of the events."""

    def __init__(self, state_dir: Path) -> None:
        self._file = StateFile(
            state_dir / HISTORY_FILE,
            "the events of this node",
            parse_happenings,
            max_bytes=MAX_BYTES,
        )

    async def load(self) -> list[ClusterEvent]:
        """Return the events in the file; none if it is missing or cannot be read."""
        return await self._file.load() or []

    async def keep(self, data: bytes, limit_s: float = LIMIT_S) -> bool:
        """Write all events, as JSON; return whether they are on the disk."""
        return await self._file.keep(data, limit_s)
