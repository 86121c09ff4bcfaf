"""The client end of a unix socket, for programs with an event loop.

`Client` sends requests to clinit and gets replies; `subscribe` gets its updates, on a separate
connection. `Connection` and `subscribe_for` do the same for the messages of any daemon of mosha.
`call`, for programs without a loop, is in `calls.py` and is exported from here too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import msgspec

from mosha.control.address import check_path, peer_of
from mosha.control.calls import NoAnswerError, call, call_for
from mosha.control.protocol import AnyMessage, Reply, Subscribe, Update
from mosha.errors import HostError

__all__ = [
    "Client",
    "Connection",
    "NoAnswerError",
    "call",
    "call_for",
    "connect",
    "open_streams",
    "subscribe",
    "subscribe_for",
]

ANSWER_LIMIT_S = 10.0
UNDER_WAY_MAX = 64
"""How many requests may be pending on one connection: some milliseconds of work."""

LINE_MAX_BYTES = 64 << 20
"""A report of 1000 groups with 10 entries each takes about 2 MB."""

ReplyT = TypeVar("ReplyT")
NewsT = TypeVar("NewsT")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connection(Generic[ReplyT]):
    """One connection on which requests are answered in order.

    Many coroutines may use it at once. A request is sent without waiting for earlier replies, up
    to `UNDER_WAY_MAX`; further ones wait.
    """

    def __init__(self, path: Path, streams: Streams, reply_type: type[ReplyT]) -> None:
        self.path = path
        self._reader, self._writer = streams
        self._decoder = msgspec.json.Decoder(reply_type)
        self._places = asyncio.Semaphore(UNDER_WAY_MAX)
        # asyncio.Lock is fair: the first to send reads first.
        self._reading = asyncio.Lock()

    @property
    def server_pid(self) -> int:
        """The process that listens at the other end, whether it answers or not (unix(7))."""
        return peer_of(self._writer.get_extra_info("socket"))[0]

    async def request(self, message: AnyMessage, limit_s: float = ANSWER_LIMIT_S) -> ReplyT:
        """Send a request and return its reply.

        After an error or a cancellation the connection is closed, for all pending requests: the
        reply might still come and be taken for that of the next request.

        Raises:
            NoAnswerError: the daemon closed the connection, or did not answer within `limit_s`
                after its reply to the previous request.
        """
        async with self._places:
            line = b""
            try:
                if not self._writer.is_closing():
                    self._writer.write(msgspec.json.encode(message) + b"\n")
                async with self._reading:  # no await between the write and this
                    line = await self._next_line(limit_s)
            finally:
                if not line:
                    self._writer.close()
            return self._decoder.decode(line)

    async def _next_line(self, limit_s: float) -> bytes:
        try:
            if self._writer.is_closing():  # what comes now is the reply to another request
                raise ConnectionAbortedError("the connection was given up")
            async with asyncio.timeout(limit_s):
                await self._writer.drain()
                return await self._reader.readuntil(b"\n")
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise NoAnswerError(_no_answer(self.path, error)) from error

    async def close(self) -> None:
        """End the connection."""
        await _close(self._writer)

    async def __aenter__(self) -> Self:
        """Return the connection itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the connection."""
        await self.close()


class Client(Connection[Reply]):
    """A connection to clinit."""


async def connect(path: Path, limit_s: float = ANSWER_LIMIT_S) -> Client:
    """Return a client of the clinit at `path`.

    Raises:
        NoAnswerError: no daemon listens there.
    """
    return Client(path, await open_streams(path, limit_s), Reply)


def subscribe(
    path: Path, request: AnyMessage | None = None, limit_s: float = ANSWER_LIMIT_S
) -> contextlib.AbstractAsyncContextManager[AsyncIterator[Update]]:
    """Subscribe to the clinit at `path`; see `subscribe_for`."""
    return subscribe_for(path, request or Subscribe(), Update, limit_s)


@contextlib.asynccontextmanager
async def subscribe_for(
    path: Path, request: AnyMessage, news_type: type[NewsT], limit_s: float = ANSWER_LIMIT_S
) -> AsyncIterator[AsyncIterator[NewsT]]:
    """Yield an iterator over the updates of the daemon at `path`, until it ends.

    The first update has everything, each later one a change.

    Raises:
        HostError: the daemon refuses.
        NoAnswerError: no daemon listens at `path`, or it does not answer.
    """
    reader, writer = await open_streams(path, limit_s)
    try:
        try:
            async with asyncio.timeout(limit_s):
                writer.write(msgspec.json.encode(request) + b"\n")
                reply = msgspec.json.decode(await reader.readuntil(b"\n"), type=Reply)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise NoAnswerError(_no_answer(path, error)) from error
        if not reply.ok:
            raise HostError(f"{path} refuses the subscription: {reply.text}")
        yield _news(reader, msgspec.json.Decoder(news_type))
    finally:
        await _close(writer)


async def _news(
    reader: asyncio.StreamReader, decoder: msgspec.json.Decoder[NewsT]
) -> AsyncIterator[NewsT]:
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        yield decoder.decode(line)


async def open_streams(path: Path, limit_s: float = ANSWER_LIMIT_S) -> Streams:
    """Connect to the daemon at `path`.

    Raises:
        UsageError: the path is too long for a socket.
        NoAnswerError: no daemon listens there.
    """
    check_path(path)
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.open_unix_connection(path, limit=LINE_MAX_BYTES)
    except (OSError, TimeoutError) as error:
        raise NoAnswerError(_no_answer(path, error)) from error


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):  # it was closed already
        await writer.wait_closed()


def _no_answer(path: Path, error: BaseException) -> str:
    match error:
        case TimeoutError():
            return f"the daemon at {path} did not answer in time"
        case asyncio.IncompleteReadError():
            return f"the daemon at {path} went away"
        case OSError() if error.strerror:
            return f"no daemon answers at {path}: {error.strerror}"
    return f"no daemon answers at {path}: {error}"
