"""The server's end of a connection: what it knows of its clients, and when it lets them go."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.control.client import connect, subscribe_for
from mosha.control.listener import Listener
from mosha.control.protocol import ClinitRequest, Hello, Message, Reply, Subscribe, Update
from mosha.control.server import ClientConnection, Server, ServerLimits
from mosha.errors import HostError
from tests.clinit.descriptors import without_descriptors
from tests.control.test_sockets import echo, raw
from tests.waiting import until


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "s"


async def test_requests_that_came_together_were_heard_at_one_time(path: Path) -> None:
    heard: list[float] = []

    async def answer(_: ClinitRequest, client: ClientConnection) -> Sequence[Message]:
        heard.append(client.heard_at)
        return [Reply(ok=True)]

    server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, answer)
    task = asyncio.create_task(server.run())
    before = asyncio.get_running_loop().time()
    _, writer = await raw(path, b'{"op":"hello"}\n' * 3)
    await until(lambda: len(heard) == 3)
    assert len(set(heard)) == 1
    assert before <= heard[0] <= asyncio.get_running_loop().time()
    writer.close()
    task.cancel()
    await asyncio.wait({task})


async def test_of_a_client_that_has_gone_nothing_is_obeyed(path: Path) -> None:
    asked: list[ClinitRequest] = []

    async def answer(request: ClinitRequest, _: ClientConnection) -> Sequence[Message]:
        asked.append(request)
        return [Reply(ok=True)]

    server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, answer)
    with socket.socket(socket.AF_UNIX) as gone, socket.socket(socket.AF_UNIX) as mute:
        for client in (gone, mute):  # both before the server gets its turn
            client.connect(str(path))
            client.sendall(b'{"op":"hello"}\n')
        gone.close()
        mute.shutdown(socket.SHUT_WR)
        task = asyncio.create_task(server.run())
        loop = asyncio.get_running_loop()
        mute.setblocking(False)
        assert b'"ok":true' in await loop.sock_recv(mute, 1000)
    assert len(asked) == 1
    task.cancel()
    await asyncio.wait({task})


async def test_of_a_client_that_is_dropped_nothing_more_is_obeyed(path: Path) -> None:
    asked: list[ClinitRequest] = []

    async def refuse(request: ClinitRequest, client: ClientConnection) -> Sequence[Message]:
        asked.append(request)
        client.drop("it is another monitor's turn")
        return [Reply(ok=False)]

    server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, refuse)
    task = asyncio.create_task(server.run())
    reader, writer = await raw(path, b'{"op":"hello"}\n' * 3)
    assert await reader.read() == b""
    assert len(asked) == 1
    writer.close()
    task.cancel()
    await asyncio.wait({task})


async def test_a_client_that_has_gone_takes_nobodys_place(path: Path) -> None:
    async with echo(path, ServerLimits(clients_max=2)) as daemon, await connect(path) as first:
        assert (await first.request(Hello())).ok
        for _ in range(3):
            async with await connect(path) as client:
                assert (await client.request(Hello())).ok
            await until(lambda: len(daemon.server._clients) == 1)
        assert (await first.request(Hello())).ok


async def test_a_subscription_that_is_refused_is_an_error(path: Path) -> None:
    async def refuse(_: ClinitRequest, __: ClientConnection) -> Sequence[Message]:
        return [Reply(ok=False, text="not now")]

    server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, refuse)
    task = asyncio.create_task(server.run())
    with pytest.raises(HostError, match="refuses the subscription: not now"):
        async with subscribe_for(path, Subscribe(), Update):
            raise AssertionError("it was taken for everything")
    task.cancel()
    await asyncio.wait({task})


async def test_without_descriptors_a_server_neither_spins_nor_floods_its_log(path: Path) -> None:
    async with echo(path):
        with socket.socket(socket.AF_UNIX) as client, capture_logs() as log:
            with without_descriptors():
                client.connect(str(path))
                began = time.monotonic()
                await until(lambda: len(log) >= 3)
                took_s = time.monotonic() - began
            assert {line["event"] for line in log} == {"client_refused"}
            assert took_s >= 0.19
        async with await connect(path) as other:
            assert (await other.request(Hello())).ok


async def test_a_flush_waits_until_the_client_has_taken_all() -> None:
    ours, theirs = socket.socketpair()
    reader, other = await asyncio.open_unix_connection(sock=theirs)
    _, writer = await asyncio.open_unix_connection(sock=ours)
    client = ClientConnection(writer, 1, ServerLimits(), 1)
    sent = 0
    while not client.unsent_bytes:  # less than asyncio itself would wait for
        client.send_bytes(b"x" * 10_000)
        sent += 10_000
    flush = asyncio.create_task(client.flush())
    await asyncio.sleep(0)
    assert not flush.done()
    assert len(await reader.readexactly(sent)) == sent
    await flush
    for end in (writer, other):
        end.close()
