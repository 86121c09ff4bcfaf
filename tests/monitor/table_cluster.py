"""Nodes that replicate tables on one directory tree, each hearing of the others at once."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from mosha.core.replication import CLTAB, HACTL, NS_PER_S, version_of
from mosha.core.status import TableVersion
from mosha.monitor.mfs import Layout
from mosha.monitor.replicate import Replicator, Tables
from tests.waiting import until

CLTAB_TEXT = "foo:f1:start:respawn:exec sleep 60\nbar:b1:start:once:true\n"
FOO, BAR = "foo start\n", "bar start\n"


@dataclass
class Host:
    """One node: its replicator, everything it told, and who hears of its versions."""

    number: int
    replicator: Replicator
    directory: Path
    state: Path
    told: list[Tables] = field(default_factory=list)
    hears: list[Host] = field(default_factory=list)

    def on_tables(self, tables: Tables) -> None:
        self.told.append(tables)
        for other in self.hears:
            other.replicator.peer_tables(self.number, tables.versions, tables.pasts, fresh=True)

    @property
    def tables(self) -> Tables:
        return self.replicator.tables

    @property
    def refused(self) -> str:
        return self.tables.refused.get(HACTL, "")

    def in_force(self, name: str = HACTL) -> str | None:
        path = self.state / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    def has(self, version: TableVersion, name: str = HACTL) -> bool:
        """Say whether a version is in force, announced or not."""
        return self.replicator._keepers[name].version == version

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
        self.replicator.look()


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
        host: Host

        def on_tables(tables: Tables) -> None:
            host.on_tables(tables)

        replicator = Replicator(
            self.layout, number, state, on_tables, wall_ns=wall_ns, limit_s=limit_s
        )
        host = Host(number, replicator, directory, state)
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
                other.replicator.peer_tables(host.number, tables.versions, tables.pasts, fresh=True)
            host.replicator.look()

    @asynccontextmanager
    async def running(self, *, load: bool = True) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            for host in self.hosts.values():
                if load:
                    await host.replicator.load()
                tasks.start_soon(host.replicator.run)
            yield
            tasks.cancel_scope.cancel()

    async def agree(self, text: str, name: str = HACTL) -> None:
        hosts = self.hosts.values()
        await until(lambda: all(host.agrees(text, name) for host in hosts))

    def add_one(self) -> Host:
        """Add node 1 with both tables, edited a minute ago."""
        host = self.add(1)
        host.edit(CLTAB_TEXT, CLTAB, age_s=60)
        host.edit(FOO, age_s=60)
        return host
