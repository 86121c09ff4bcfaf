"""The client end of a unix socket, for programs with an event loop.

`Client` asks and gets replies; `follow` subscribes and gets news, on a connection of its own.
Both speak to clinit unless other types are given. `call`, for programs without a loop, is in
`calls.py` and can be had from here too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import msgspec

from mosha.control.address import check_path
from mosha.control.calls import NoAnswerError, call, call_for
from mosha.control.protocol import Message, Reply, Subscribe, Update
from mosha.errors import HostError

__all__ = [
    "Client",
    "NoAnswerError",
    "call",
    "call_for",
    "connect",
    "connect_for",
    "follow",
    "follow_news",
]

ANSWER_LIMIT_S = 10.0
LINE_MAX_BYTES = 64 << 20
"""A report of 1000 groups with 10 entries each has some 2 MB."""

ReplyT = TypeVar("ReplyT")
NewsT = TypeVar("NewsT")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client(Generic[ReplyT]):
    """One connection on which requests are answered in order."""

    def __init__(self, path: Path, streams: Streams, reply_type: type[ReplyT]) -> None:
        self.path = path
        self._reader, self._writer = streams
        self._decoder = msgspec.json.Decoder(reply_type)
        self._one_at_a_time = asyncio.Lock()

    async def request(self, message: Message, limit_s: float = ANSWER_LIMIT_S) -> ReplyT:
        """Send a request and return its reply.

        After an error or a cancellation the connection is of no use any more, and closed:
        the reply might still come and be taken for that of the next request.

        Raises:
            NoAnswerError: the daemon went away or did not answer within `limit_s`.
        """
        async with self._one_at_a_time:
            line = b""
            try:
                async with asyncio.timeout(limit_s):
                    self._writer.write(msgspec.json.encode(message) + b"\n")
                    await self._writer.drain()
                    line = await self._reader.readuntil(b"\n")
            except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
                raise NoAnswerError(_no_answer(self.path, error)) from error
            finally:
                if not line:
                    self._writer.close()
            return self._decoder.decode(line)

    def close(self) -> None:
        """End the connection."""
        self._writer.close()

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
        self.close()


async def connect(path: Path, limit_s: float = ANSWER_LIMIT_S) -> Client[Reply]:
    """Return a client of the clinit at `path`; see `connect_for`."""
    return await connect_for(path, Reply, limit_s)


async def connect_for(
    path: Path, reply_type: type[ReplyT], limit_s: float = ANSWER_LIMIT_S
) -> Client[ReplyT]:
    """Return a client of the daemon at `path` whose replies have this type.

    Raises:
        UsageError: the path is too long for a socket.
        NoAnswerError: no daemon listens there.
    """
    return Client(path, await _open(path, limit_s), reply_type)


async def follow(path: Path, limit_s: float = ANSWER_LIMIT_S) -> AsyncGenerator[Update, None]:
    """Yield everything the clinit at `path` knows, then each change; see `follow_news`."""
    async with contextlib.aclosing(follow_news(path, Subscribe(), Update, limit_s)) as news:
        async for update in news:
            yield update


async def follow_news(
    path: Path, request: Message, news_type: type[NewsT], limit_s: float = ANSWER_LIMIT_S
) -> AsyncGenerator[NewsT, None]:
    """Subscribe with `request` to the daemon at `path` and yield what it has to tell.

    The first news is everything, each later one a change.

    Raises:
        HostError: the daemon refuses.
        NoAnswerError: no daemon listens at `path`, it does not answer, or it went away.
    """
    reader, writer = await _open(path, limit_s)
    decoder = msgspec.json.Decoder(news_type)
    try:
        async with asyncio.timeout(limit_s):
            writer.write(msgspec.json.encode(request) + b"\n")
            reply = msgspec.json.decode(await reader.readuntil(b"\n"), type=Reply)
        if not reply.ok:
            raise HostError(f"{path} refuses the subscription: {reply.text}")
        while True:
            yield decoder.decode(await reader.readuntil(b"\n"))
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise NoAnswerError(_no_answer(path, error)) from error
    finally:
        writer.close()


async def _open(path: Path, limit_s: float) -> Streams:
    check_path(path)
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.open_unix_connection(path, limit=LINE_MAX_BYTES)
    except (OSError, TimeoutError) as error:
        raise NoAnswerError(_no_answer(path, error)) from error


def _no_answer(path: Path, error: BaseException) -> str:
    match error:
        case TimeoutError():
            return f"the daemon at {path} did not answer in time"
        case asyncio.IncompleteReadError():
            return f"the daemon at {path} went away"
    return f"no daemon answers at {path}: {error}"
