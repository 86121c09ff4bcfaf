"""Nodes that replicate tables on one directory tree, each hearing of the others at once."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import Struct, field

from mosha.core.cluster.state import LogRecord
from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S, version_of
from mosha.core.replication.lineage import Past
from mosha.core.replication.node_tables import NodeTables, Tables
from mosha.core.replication.table_events import TableEvent
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl, Wish, WishEdit
from mosha.errors import HostError
from mosha.host import logs
from mosha.host.clock import boottime
from mosha.monitor import log_records
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.loop_clock import LoopClock
from mosha.monitor.tables.ports import TablePorts
from mosha.monitor.tables.wish_edits import Done, Remarks
from tests.waiting import until

CLTAB_TEXT = "foo:f1:start:respawn:exec sleep 60\nbar:b1:start:once:true\n"
FOO, BAR = "foo start\n", "bar start\n"


class Told(Struct, frozen=True):
    """What a node says of its tables: `core.replication.node_tables.Tables`, with all warnings."""

    hactl: Hactl | None = None
    cltab: Cltab | None = None
    versions: Mapping[str, TableVersion] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    pasts: Mapping[str, Past] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Life:
    """The tables of one node and their real ports, without the rest of its agent."""

    def __init__(
        self,
        layout: Layout,
        number: int,
        state: Path,
        on_tables: Callable[[Tables], None],
        *,
        wall_ns: Callable[[], int],
        limit_s: float,
    ) -> None:
        self.ports = TablePorts(
            layout,
            number,
            state,
            self._start,
            self.report,
            wall_ns=wall_ns,
            limit_s=limit_s,
        )
        self.tables = NodeTables(number, self.ports.places)
        self._doors = self.ports.table()
        self._log = logs.get().bind(node=number)
        self._on_tables = on_tables
        self._clock = LoopClock()
        self._tasks: TaskGroup | None = None
        self._changed = asyncio.Event()

    def _start(self, work: Callable[..., Any], *args: object) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(work, *args)

    def report(self, event: TableEvent) -> None:
        self.tables.handle(event, boottime())
        self._do()

    def _do(self) -> None:
        for effect in self.tables.take_effects():
            if isinstance(effect, LogRecord):
                log_records.write(self._log, effect)
            else:
                self._doors[type(effect)](effect)
        if self.tables.take_news():
            self._on_tables(self.tables.now)
        self._clock.wake_at(self.tables.due)
        self._changed.set()
        self._changed = asyncio.Event()

    def _wake(self) -> None:
        self.tables.pass_time(boottime())
        self._do()

    async def load(self, tasks: TaskGroup) -> None:
        """Begin, and wait until what was in force before, or a newer edit, is."""
        self._tasks = tasks
        tasks.start_soon(self._clock.run, self._wake)
        await self.ports.load()
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is to be done any more."""
        while not (self.tables.complete and self.tables.idle):
            await self._changed.wait()

    def look(self) -> None:
        """Look at the own files: a heartbeat has passed."""
        self.tables.look(boottime())
        self._do()

    def hears(
        self,
        node: int,
        versions: Mapping[str, TableVersion],
        pasts: Mapping[str, Past] | None = None,
        *,
        fresh: bool = True,
    ) -> None:
        """Take in what the newest status of a node shows in force there."""
        self.tables.peer_has(node, versions, pasts or {}, boottime(), fresh=fresh)
        self._do()


class Host:
    """One node: its tables, everything it told, and who hears of its versions."""

    def __init__(
        self,
        layout: Layout,
        number: int,
        state: Path,
        *,
        wall_ns: Callable[[], int],
        limit_s: float,
    ) -> None:
        self.number = number
        self.directory = layout.directory(number)
        self.state = state
        self.adopted: list[Told] = []
        self.hears: list[Host] = []
        self._remarks = Remarks()
        self.life = Life(layout, number, state, self._on_tables, wall_ns=wall_ns, limit_s=limit_s)

    def _on_tables(self, tables: Tables) -> None:
        warnings = (*tables.notices, *self._remarks.on(tables.hactl, tables.cltab))
        told = {name: getattr(tables, name) for name in Told.__struct_fields__[:-1]}
        self.adopted.append(Told(**told, warnings=warnings))
        for other in self.hears:
            other.life.hears(self.number, tables.versions, tables.pasts)

    @property
    def tables(self) -> Told:
        return self.adopted[-1] if self.adopted else Told()

    async def set_wish(self, wish: Wish | WishEdit, *, force: bool = False) -> Done:
        return await self.life.ports.set_wish(wish, force=force)

    def look(self) -> None:
        self.life.look()

    async def looked(self) -> None:
        """Look, and wait until everything is done about what was found."""
        self.life.look()
        await self.life.rest()

    @asynccontextmanager
    async def own_directory_hangs(self) -> AsyncIterator[None]:
        """Let every call on the own directory wait until the end."""
        release = threading.Event()
        with pytest.raises(HostError):
            await self.life.ports.own.call(release.wait, limit_s=0.01)
        try:
            yield
        finally:
            release.set()

    @property
    def refused(self) -> str:
        return self.tables.refused.get(HACTL, "")

    def in_force(self, name: str = HACTL) -> str | None:
        path = self.state / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    def has(self, version: TableVersion, name: str = HACTL) -> bool:
        """Say whether a version is in force, announced or not."""
        return self.life.tables.replica(name).record.version == version

    def own(self, name: str = HACTL) -> str | None:
        path = self.directory / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    def agrees(self, text: str, name: str = HACTL) -> bool:
        """Say whether a text is in force, and where people and clinit read it."""
        data = text.encode()
        version = self.tables.versions.get(name)
        same = version is not None and version.digest == version_of(data, 0).digest
        return same and self.own(name) == text == self.in_force(name)

    def history(self, suffix: str = "", name: str = HACTL) -> list[str]:
        """Return what is kept, oldest first."""
        paths = sorted((self.state / "history").glob(f"{name}.*"))
        kept = [path for path in paths if path.suffix == suffix or not suffix]
        adopted = [path for path in kept if suffix or path.name.count(".") == 2]
        return [path.read_text(encoding="utf-8") for path in adopted]

    def edit(self, text: str | bytes, name: str = HACTL, *, age_s: float = 0) -> Path:
        """Edit a table in place, as somebody did `age_s` ago, without anybody being told."""
        path = self.directory / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if age_s:
            mtime_ns = time.time_ns() - int(age_s * NS_PER_S)
            os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    def edited(self, text: str | bytes, name: str = HACTL, *, age_s: float = 0) -> None:
        self.edit(text, name, age_s=age_s)
        self.look()


class Cluster:
    """Nodes on one tree, of which each hears at once what the others have in force."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.layout = Layout(base / "mfs", "var")
        self.hosts: dict[int, Host] = {}

    def add(
        self, number: int, wall_ns: Callable[[], int] = time.time_ns, limit_s: float = 10
    ) -> Host:
        directory = self.layout.directory(number)
        directory.mkdir(parents=True, exist_ok=True)
        state = self.base / f"state{number}"
        host = Host(self.layout, number, state, wall_ns=wall_ns, limit_s=limit_s)
        self.hosts[number] = host
        return host

    def connect(self) -> None:
        """Have all nodes hear each other, now and from now on."""
        for host in self.hosts.values():
            host.hears = [other for other in self.hosts.values() if other is not host]
        self.heartbeat()

    def heartbeat(self) -> None:
        """Have every node publish and look once."""
        for host in self.hosts.values():
            for other in host.hears:
                tables = host.tables
                other.life.hears(host.number, tables.versions, tables.pasts)
            host.look()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with anyio.create_task_group() as tasks:
                for host in self.hosts.values():
                    await host.life.load(tasks)
                yield
                tasks.cancel_scope.cancel()
        finally:
            for host in self.hosts.values():
                host.life.ports.close()

    async def agree(self, text: str, name: str = HACTL) -> None:
        hosts = self.hosts.values()
        await until(lambda: all(host.agrees(text, name) for host in hosts))

    def add_one(self) -> Host:
        """Add node 1 with both tables, edited a minute ago."""
        host = self.add(1)
        host.edit(CLTAB_TEXT, CLTAB, age_s=60)
        host.edit(FOO, age_s=60)
        return host
