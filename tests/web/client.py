"""A client that asks for a page every INTERVAL_S, whatever became of the earlier requests.

Run as a script: `client.py URL_HOST FILE`. Each request has a connection of its own and a
limit of its own, and each is a line of the file: ``SENT ENDED NODE``, times in seconds of
boottime, NODE what the page said, or `-` with the reason after it. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

INTERVAL_S = 0.05
LIMIT_S = 0.2
"""Short, so that a request that was lost does not count as an outage by itself."""

REQUEST = b"GET / HTTP/1.0\r\nHost: web\r\n\r\n"


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def _page(host: str) -> str:
    """Return the text of the page.

    Raises:
        OSError: no connection, or it broke off, or the answer is none.
    """
    reader, writer = await asyncio.open_connection(host, 80)
    try:
        writer.write(REQUEST)
        answer = await reader.read()
    finally:
        writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0] or not body:
        raise ConnectionError("no answer")
    return body.decode().strip()


async def _request(host: str, file: int) -> None:
    sent = _now()
    try:
        async with asyncio.timeout(LIMIT_S):
            told = await _page(host)
    except OSError as error:  # TimeoutError is one
        told = f"- {type(error).__name__}"
    os.write(file, f"{sent:.4f} {_now():.4f} {told}\n".encode())


async def main(host: str, path: str) -> None:
    """Ask until standard input ends."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(0, ended.set)
    tasks: set[asyncio.Task[None]] = set()

    def ask(due: float) -> None:
        task = loop.create_task(_request(host, file))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        loop.call_at(due + INTERVAL_S, ask, due + INTERVAL_S)

    ask(loop.time())
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
