"""What a monitor does about an effect of its agent, where that fails or takes its time."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from mosha.control.listener import Listener
from mosha.control.protocol import ClinitRequest, Message, Reply
from mosha.control.server import ClientConnection, Server
from mosha.core.cluster.effects import EndClinit
from mosha.core.cluster.events import (
    ClinitEnded,
    EntryOrderAnswered,
    Event,
    MethodBegun,
    ShotEnded,
)
from mosha.core.cluster.fencing import FenceOrder
from mosha.core.status import EntryVerb
from mosha.core.tell import EntryOrder
from mosha.formats.fencing_methods import Fencing, FencingMethod
from mosha.host.clock import boottime
from mosha.monitor.ports import OLD_CLINIT
from tests.core.story import INC, status
from tests.monitor.house import at_home, link, prepared
from tests.waiting import until


async def test_a_status_that_could_not_be_written_is_followed_by_the_next(tmp_path: Path) -> None:
    async with at_home(tmp_path) as house:
        monitor = house.monitor
        directory = monitor.layout.directory(1)
        away = directory.rename(directory.with_name("away"))
        directory.write_text("in the way")
        await until(lambda: any("cannot publish" in text for text in monitor.troubles))
        directory.unlink()
        away.rename(directory)
        published = monitor.node.state.published
        await until(lambda: not monitor.troubles and monitor.node.state.published != published)


async def test_clinit_has_ended_when_it_is_gone_and_not_when_it_was_asked_to(
    short_dir: Path,
) -> None:
    """The others take the groups of a node that has left at once."""
    told: list[Event] = []
    async with prepared(short_dir) as monitor, anyio.create_task_group() as tasks:
        ports = monitor._ports
        ports._report = told.append
        ports.open(tasks)
        ports.table()[EndClinit](EndClinit())
        await until(lambda: link(monitor)._ending)
        await anyio.wait_all_tasks_blocked()
        assert told == []
        link(monitor)._over.set()
        await until(lambda: told)
        assert told == [ClinitEnded()]


@pytest.mark.parametrize(
    ("reply", "ok", "text"),
    [
        (Reply(ok=True, text="done"), True, "done"),
        (Reply(ok=False, text="g is stopping"), False, "g is stopping"),
        (Reply(ok=False, text="malformed request: Invalid value 'entry'"), False, OLD_CLINIT),
        (None, None, ""),
    ],
)
async def test_what_clinit_replies_to_an_order_for_an_entry_is_reported(
    short_dir: Path, reply: Reply | None, *, ok: bool | None, text: str
) -> None:
    told: list[Event] = []
    order = EntryOrder("g", "t1", EntryVerb.STOP, "1.1.1", 7)
    async with prepared(short_dir) as monitor, anyio.create_task_group() as tasks:
        path = monitor.settings.socket_path
        if reply is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

            async def answer(_request: ClinitRequest, _client: ClientConnection) -> list[Message]:
                return [reply]

            server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, answer)
            tasks.start_soon(server.run)
        ports = monitor._ports
        ports._report = told.append
        ports.open(tasks)
        ports.table()[EntryOrder](order)
        await until(lambda: told)
        assert told == [EntryOrderAnswered(order, ok, text)]
        tasks.cancel_scope.cancel()


async def test_a_shot_is_given_up_and_its_command_killed_when_the_victim_is_heard_again(
    short_dir: Path,
) -> None:
    """Else the next attempt would switch off a node that runs groups again."""
    told: list[Event] = []
    begun, second = short_dir / "begun", short_dir / "second"
    methods = [
        FencingMethod(type="command", command=("/bin/sh", "-c", f"echo $$ > {begun}; sleep 600")),
        FencingMethod(type="command", command=("/bin/sh", "-c", f"echo $$ > {second}")),
    ]
    fencing = Fencing(methods=tuple(methods))
    async with prepared(short_dir, nodes=[1, 2]) as monitor, anyio.create_task_group() as tasks:
        monitor.settings = replace(monitor.settings, fencing=fencing)
        ports = monitor._ports
        ports._report = told.append
        ports.open(tasks)
        order = FenceOrder(2, INC)
        ports.table()[FenceOrder](order)
        await until(lambda: begun.exists() and begun.read_text().strip())
        pid = int(begun.read_text())
        now = boottime()
        monitor.node.peer_read(2, status(2, 5), began=now, now=now)
        monitor.announce()
        await until(lambda: told and isinstance(told[-1], ShotEnded))
        begun_by, ended = told
        assert isinstance(begun_by, MethodBegun)
        assert isinstance(ended, ShotEnded)
        assert (ended.outcome, ended.detail) == ("failed", "given up: node 2 is heard again")
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not second.exists()
        tasks.cancel_scope.cancel()
