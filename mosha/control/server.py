"""The server end of a unix socket: many clients, none of which can block the daemon.

One JSON object per line (`protocol.py`). Every client has its own coroutine; a silent one blocks
only itself, a slow reader is dropped as soon as its unread answers exceed a bound, requests have
a size limit, and the number of clients is bounded (the NO of C4.19, C4.20).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import select
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Struct

from mosha.control.address import peer_of
from mosha.control.listener import LOOK_S, Listener
from mosha.control.protocol import MALFORMED, Message, Reply
from mosha.errors import HostError, UsageError
from mosha.host import logs

RequestT = TypeVar("RequestT")

CHUNK_BYTES = 1 << 16
# How often a client with a thousand requests lets others run. Not after each request: what is
# looked up once per iteration of the loop would be looked up as often.
TURN_S = 0.005


class ServerLimits(Struct, frozen=True):
    """What a client may cost."""

    # A renewal of the leases of 1000 groups takes about 100 kB.
    request_max_bytes: int = 1 << 20
    # A monitor that is stopped for a minute must not be dropped for the updates it missed.
    unsent_max_bytes: int = 4 << 20
    clients_max: int = 128
    # A client that sends nothing for this long and is not a subscriber is abandoned.
    idle_max_s: float = 600.0
    # How long the end of the server waits for clients to read their last reply.
    farewell_s: float = 1.0


class ClientConnection:
    """One connected client, as the handler of its requests sees it."""

    def __init__(
        self, writer: asyncio.StreamWriter, pid: int, limits: ServerLimits, number: int
    ) -> None:
        self.pid = pid
        self.number = number  # greater than that of any earlier client
        self.subscribed = False
        self.asked_at = 0.0  # since when it may send requests, by the clock of the loop
        self.heard_at = math.inf  # when the current request had arrived, by the same clock
        self._writer = writer
        self._limits = limits
        self._hang_up = select.poll()
        # POLLHUP alone, which is reported unasked; not if the client only sends no more (shutdown).
        self._hang_up.register(writer.get_extra_info("socket"), 0)

    @property
    def gone(self) -> bool:
        """Whether the connection is closed."""
        return self._writer.is_closing()

    @property
    def hung_up(self) -> bool:
        """Whether the client has closed its end: nobody waits for an answer any more."""
        return bool(self._hang_up.poll(0))

    @property
    def unsent_bytes(self) -> int:
        """How much of what was sent it has not read yet."""
        return self._writer.transport.get_write_buffer_size()

    def send(self, message: Message) -> None:
        """Send without waiting; a client that does not read is dropped."""
        self.send_bytes(msgspec.json.encode(message) + b"\n")

    def send_bytes(self, line: bytes) -> None:
        """Send one encoded line: a message to many clients is encoded once."""
        if self.gone:
            return
        self._writer.write(line)
        if self.unsent_bytes > self._limits.unsent_max_bytes:
            self.drop(f"reads too slowly: {self.unsent_bytes} bytes unread")

    async def flush(self) -> None:
        """Wait until everything has been sent, or the client is gone."""
        self._writer.transport.set_write_buffer_limits(high=0)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def drop(self, reason: str) -> None:
        """End the connection at once."""
        logs.get().warning("client_refused", pid=self.pid, reason=reason)
        self._writer.transport.abort()


class Server(Generic[RequestT]):
    """Answers requests of one type that arrive at a listening socket.

    `answer` gets each request and its client and returns what to send: the reply first. Requests
    of one client are answered in order. `on_trouble` gets the reason if this server can no longer
    be reached, and "" when it can again.
    """

    def __init__(
        self,
        listener: Listener,
        request_type: Any,
        answer: Callable[[RequestT, ClientConnection], Awaitable[Sequence[Message]]],
        limits: ServerLimits | None = None,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._listener = listener
        self._accepting = anyio.CancelScope()
        self._on_trouble = on_trouble
        self._trouble = ""
        self._decoder = msgspec.json.Decoder(request_type)
        self._answer = answer
        self._limits = limits or ServerLimits()
        self._clients: set[ClientConnection] = set()
        self._arrived = 0

    async def run(self) -> None:
        """Serve until cancelled; then close the socket and remove its file."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_listening)
                while True:
                    await self._accept_all(tasks)
        finally:
            self._listener.close()

    async def flush(self) -> None:
        """Wait, for a short time, until the clients have read what was sent to them."""
        with anyio.move_on_after(self._limits.farewell_s):
            for client in tuple(self._clients):
                await client.flush()

    async def _keep_listening(self) -> None:
        """Check periodically whether the socket file exists, and make it again if not."""
        while True:
            await anyio.sleep(LOOK_S)
            trouble = ""
            try:
                if self._listener.restore():
                    logs.get().warning("socket_restored", path=str(self._listener.path))
                    self._accepting.cancel()
            except (HostError, UsageError, OSError) as error:
                trouble = f"the socket {self._listener.path} is gone: {error}"
            if trouble != self._trouble:
                self._trouble = trouble
                self._on_trouble(trouble)
                if trouble:
                    logs.get().error("socket_lost", path=str(self._listener.path), reason=trouble)

    async def _accept_all(self, tasks: TaskGroup) -> None:
        """Serve new clients, until the socket has been made again."""
        listening = self._listener.socket
        with listening, anyio.CancelScope() as self._accepting:
            while True:
                connection = await self._accept(listening)
                if connection is not None:
                    tasks.start_soon(self._serve, connection)

    async def _accept(self, listening: socket.socket) -> socket.socket | None:
        try:
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
        except OSError as error:  # no descriptors left, or the client has gone already
            logs.get().warning("client_refused", reason=f"cannot accept: {error.strerror}")
            await anyio.sleep(0.1)
            return None
        pid, uid = peer_of(connection)
        if uid not in (0, os.geteuid()):
            logs.get().warning("client_refused", pid=pid, uid=uid, reason="another user")
            connection.close()
            return None
        return connection

    async def _serve(self, connection: socket.socket) -> None:
        pid, _ = peer_of(connection)
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=CHUNK_BYTES)
        self._arrived += 1
        client = ClientConnection(writer, pid, self._limits, self._arrived)
        self._make_room()
        self._clients.add(client)
        try:
            # A client may disconnect at any moment.
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self._converse(client, reader)
        finally:
            self._clients.discard(client)
            writer.close()

    def _make_room(self) -> None:
        if len(self._clients) < self._limits.clients_max:
            return
        idle = [client for client in self._clients if not client.subscribed]
        oldest = min(idle or self._clients, key=lambda client: client.asked_at)
        self._clients.discard(oldest)
        oldest.drop("too many clients, and this one was idle for longest")

    async def _converse(self, client: ClientConnection, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        begun = bytearray()
        while not client.gone:
            client.asked_at = loop.time()
            async with asyncio.timeout(None if client.subscribed else self._limits.idle_max_s):
                lines = await self._requests(reader, begun)
            client.heard_at = turn_began = loop.time()
            for line in lines:
                if not await self._obey(line, client):
                    return
                if loop.time() - turn_began > TURN_S:
                    await asyncio.sleep(0)
                    turn_began = loop.time()
            if not lines:
                return

    async def _requests(self, reader: asyncio.StreamReader, begun: bytearray) -> list[bytes]:
        """Wait for a whole request; return all that have arrived, none at the end.

        `begun` is the part of the next one that has arrived. One that is too long counts as whole.
        """
        while came := await reader.read(CHUNK_BYTES):
            whole, newline, rest = came.rpartition(b"\n")
            if newline:
                lines = bytes(begun + whole).split(b"\n")
                begun[:] = rest
                return lines
            begun += rest
            if len(begun) > self._limits.request_max_bytes:
                return [bytes(begun)]
        return []

    async def _obey(self, line: bytes, client: ClientConnection) -> bool:
        """Answer a request; return whether to go on with the next one.

        Who has gone away takes the requests along: one that this process finds when it goes on
        after a stop may be minutes old.
        """
        if client.hung_up:
            return False
        if len(line) > self._limits.request_max_bytes:
            self._refuse(client, f"request longer than {self._limits.request_max_bytes} bytes")
            return False
        try:
            request = self._decoder.decode(line)
        except msgspec.MsgspecError as error:
            self._refuse(client, f"{MALFORMED}: {error}")
            return False
        for message in await self._answer(request, client):
            client.send(message)
        return not client.gone

    def _refuse(self, client: ClientConnection, reason: str) -> None:
        logs.get().warning("client_refused", pid=client.pid, reason=reason)
        client.send(Reply(ok=False, text=reason))
