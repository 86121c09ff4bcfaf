"""A real monitor with its service in this very process, for tests that look inside.

It is the only node of its cluster. `prepared` has a brain but does not run; `at_home` runs,
with a real clinit, until the test is over or it was told to leave.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import msgspec

from mosha.control.client import Connection, open_streams
from mosha.control.protocol import Message, MonitorReply
from mosha.formats.settings import Settings
from mosha.monitor.clinit_link import ClinitLink
from mosha.monitor.daemon import Monitor
from mosha.monitor.service import Service
from tests.waiting import until

CLTAB = "g:t1:start:respawn:sleep 1000\nh:t2:start:respawn:sleep 1000\n"
HACTL = "g start\nh stop\n"
TIMEOUT_S = 2.0


def settings(directory: Path, **more: Any) -> Settings:
    """Settings of node 1, alone; everything is below `directory`."""
    given = {
        "mfsbase": str(directory / "mfs"),
        "hpcbase": str(directory / "hpc"),
        "rundir": str(directory / "run"),
        "mynode": 1,
        "nodes": (1,),
        "timeout": TIMEOUT_S,
    }
    return msgspec.structs.replace(Settings(), **(given | more))


def link(monitor: Monitor) -> ClinitLink:
    """Return the link to clinit of a node that has one."""
    assert isinstance(monitor.clinit, ClinitLink)
    return monitor.clinit


def write_tables(directory: Path, cltab: str = CLTAB, hactl: str = HACTL) -> None:
    """Write the tables into the directory of node 1."""
    place = directory / "mfs" / "1" / "var" / "mosix-ha"
    place.mkdir(parents=True, exist_ok=True)
    (place / "cltab").write_text(cltab)
    (place / "hactl").write_text(hactl)


@contextlib.asynccontextmanager
async def prepared(directory: Path, **more: Any) -> AsyncIterator[Monitor]:
    """A monitor that has a brain and tables, and does not run."""
    (directory / "mfs").mkdir(exist_ok=True)
    monitor = Monitor(settings(directory, **more), 1)
    await monitor.prepare()
    try:
        yield monitor
    finally:
        monitor.publisher.close()
        monitor.tables.close()
        monitor.membership.close()
        monitor.lock.close()


class House:
    """A monitor that runs, and its service."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.socket = monitor.settings.monitor_socket_path
        self.status: int | None = None
        self._service = Service(monitor)
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._service.run)
            self.status = await self.monitor.run()
            await self._service.flush()
            tasks.cancel_scope.cancel()

    def where(self, group: str) -> str:
        """Return level and state of a group as clinit says, "" if it was never told."""
        found = self.monitor.clinit.groups.get(group)
        return f"{found.level} {found.state}" if found else ""

    async def connection(self) -> Connection[MonitorReply]:
        """Return a new connection to the service."""
        return Connection(self.socket, await open_streams(self.socket), MonitorReply)

    async def ask(self, request: Message) -> MonitorReply:
        """Return the answer to one request."""
        async with await self.connection() as connection:
            return await connection.request(request)


@contextlib.asynccontextmanager
async def at_home(directory: Path, **more: Any) -> AsyncIterator[House]:
    """A monitor that runs, with `g` at `start`; it leaves in an orderly way in the end."""
    write_tables(directory)
    async with prepared(directory, **more) as monitor:
        house = House(monitor)
        try:
            await until(lambda: house.where("g") == "start DONE")
            yield house
        finally:
            monitor.leave()
            await house.task
            for process in link(monitor)._processes:
                process.wait()
