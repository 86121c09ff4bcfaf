"""Writes and syncs a node's memory to its local disk, before a status shows the same (V4b).

In a thread with a deadline, like all that may hang: a sync of a busy disk takes longer than a
heartbeat. Most statuses change nothing that is remembered, and cost nothing here.
"""

from __future__ import annotations

import os
from pathlib import Path

from mosha.core.cluster.memory import Memory
from mosha.errors import HostError
from mosha.host.workers import HungError, NoThreadError, Worker
from mosha.monitor import identity


class MemoryNotWrittenError(HostError):
    """The memory cannot be written: what it lacks must not be published."""


class MemoryFile:
    """Writes STATE/node.json. `known` is its known content."""

    def __init__(self, state_dir: Path, known: Memory, limit_s: float) -> None:
        self.known: Memory | None = known
        self._state_dir = state_dir
        self._limit_s = limit_s
        self._worker = Worker("the memory of this node")

    async def keep(self, memory: Memory) -> None:
        """Return when the local disk has this memory.

        Raises:
            MemoryNotWrittenError: it cannot be written, or the disk does not answer.
        """
        if memory == self.known:
            return
        self.known = None  # a write that fails, or ends late, may leave either version
        path = self._state_dir / identity.NODE_FILE
        try:
            await self._worker.call(identity.save, self._state_dir, memory, limit_s=self._limit_s)
        except NoThreadError as error:
            raise MemoryNotWrittenError(str(error)) from error
        except HungError as error:
            raise MemoryNotWrittenError(
                f"the local disk does not answer: a write of {path} hangs"
            ) from error
        except OSError as error:
            text = error.strerror or os.strerror(error.errno or 0)
            raise MemoryNotWrittenError(
                f"cannot write {path}: {text}; votes must be remembered"
            ) from error
        self.known = memory

    def lost(self) -> None:
        """Handle its removal: it is written again before the next status."""
        self.known = None

    def close(self) -> None:
        """End the thread."""
        self._worker.close()
