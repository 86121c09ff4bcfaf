"""What clinit remembers for the next one of agents: those that were not seen to stop.

What they have made outlives all processes (`core.supervision.agent_traces`), so it outlives clinit.
The file `agents.json` has them with their groups; it is on disk before such an agent is started. A
later clinit of the same boot stops them. Nothing is remembered beyond a boot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from mosha.core.tables import Entry
from mosha.host import logs
from mosha.host.abandonable import Abandonable
from mosha.host.clock import boot_id
from mosha.host.files import write_atomically

AGENTS = "agents.json"
WRITE_LIMIT_S = 2.0


class AgentsRecord(msgspec.Struct):
    """`agents.json`: the entries of agents by their groups, in the order of their launch."""

    boot: str
    groups: dict[str, tuple[Entry, ...]]


class AgentsLeft:
    """The record of a running clinit."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / AGENTS
        self._groups: dict[str, tuple[Entry, ...]] = {}
        self._file = Abandonable("the record of agents")
        self._dirty = False
        self._problem: OSError | None = None
        self._writing: asyncio.Future[None] | None = None

    def read(self) -> Mapping[str, tuple[Entry, ...]]:
        """Return what an earlier clinit of this boot has left, and go on with it."""
        try:
            record = msgspec.json.decode(self._path.read_bytes(), type=AgentsRecord)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            logs.get().error("agents_forgotten", path=str(self._path), reason=str(error))
            return {}
        if record.boot == boot_id():
            self._groups = dict(record.groups)
        return self._groups

    def note(self, group: str, agents: tuple[Entry, ...]) -> None:
        """Record the agents of a group from now on; a thread writes it soon."""
        if agents:
            self._groups[group] = agents
        else:
            self._groups.pop(group, None)
        self._dirty = True
        self.write_soon()

    def write_soon(self) -> None:
        """Write what is not on disk yet, if anything; call it again after a failure."""
        if self._dirty and (self._writing is None or self._writing.done()):
            self._writing = asyncio.ensure_future(self._write())

    async def written(self) -> None:
        """Return when all that was noted is on disk.

        Raises:
            OSError: it cannot be written.
        """
        self.write_soon()
        while self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)
        if self._dirty and self._problem is not None:
            reason = self._problem.strerror or str(self._problem)
            raise OSError(self._problem.errno, f"cannot write {self._path}: {reason}")

    def write(self) -> None:
        """Write it now, wherever that is; may block.

        Raises:
            OSError: it cannot be written.
        """
        self._put(dict(self._groups))

    @property
    def idle(self) -> bool:
        """Whether no thread writes it."""
        return self._writing is None or self._writing.done()

    async def _write(self) -> None:
        self._problem = None
        while self._dirty:
            self._dirty = False
            try:
                await self._file.run(partial(self._put, dict(self._groups)), WRITE_LIMIT_S)
            except OSError as error:
                self._dirty, self._problem = True, error
                return

    def _put(self, groups: dict[str, tuple[Entry, ...]]) -> None:
        if not groups:
            self._path.unlink(missing_ok=True)
            return
        data = msgspec.json.encode(AgentsRecord(boot_id(), groups)) + b"\n"
        write_atomically(self._path, data, mode=0o600)
