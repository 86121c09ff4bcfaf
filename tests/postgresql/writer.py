"""Clients that insert rows, and note each one whose commit was acknowledged.

Run as a script: `writer.py HOST FILE`. Each of the WRITERS has a psql of its own, and inserts its
numbers in order: the next one when the last was acknowledged, or when that failed. Each
acknowledged row is a line of the file: ``TIME WRITER NUMBER``, the time in seconds of boottime. It
ends with its stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time

WRITERS = 4
PAUSE_S = 0.02
LIMIT_S = 1.0
"""Then a row that was not acknowledged is given up, and with it the connection."""

INSERT = "INSERT INTO commits VALUES ({}, {}) RETURNING number;\n"


class Writer:
    """One client: its number, its connection, the file of what was acknowledged."""

    def __init__(self, host: str, number: int, file: int) -> None:
        self._number = number
        self._file = file
        self._psql = ("psql", "-h", host, "-U", "postgres", "-qAtX", "-d", "postgres")

    async def run(self) -> None:
        """Insert rows for ever."""
        row = 0
        while True:
            process = await asyncio.create_subprocess_exec(
                *self._psql,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                while await self._insert(process, row):
                    row += 1
                    await _pause()
            finally:
                # `process.kill` would bury it, and what waits for its end would complain.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                await process.wait()
            row += 1  # nobody knows what became of this one
            await _pause()

    async def _insert(self, process: asyncio.subprocess.Process, row: int) -> bool:
        """Insert one row, and note it if it was acknowledged; say whether it was."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(LIMIT_S):
                process.stdin.write(INSERT.format(self._number, row).encode())
                await process.stdin.drain()
                answer = await process.stdout.readline()
        except (TimeoutError, ConnectionError):
            return False
        if answer.strip() != str(row).encode():
            return False
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.write(self._file, f"{now:.4f} {self._number} {row}\n".encode())
        return True


def _pause() -> asyncio.Future[None]:
    """Return what is done after PAUSE_S: a client is no load test."""
    loop = asyncio.get_running_loop()
    paused = loop.create_future()
    loop.call_later(PAUSE_S, _end_pause, paused)
    return paused


def _end_pause(paused: asyncio.Future[None]) -> None:
    if not paused.done():  # it was cancelled
        paused.set_result(None)


async def main(host: str, path: str) -> None:
    """Insert rows until standard input ends."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)
    writers = [asyncio.ensure_future(Writer(host, it, file).run()) for it in range(WRITERS)]
    await ended.wait()
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
