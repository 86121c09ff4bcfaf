"""Asks a monitor twice a second and writes 24 lines once a second, with nothing laid out.

python floor_screen.py SOCKET
"""

from __future__ import annotations

import asyncio
import json
import os
import sys


async def ask(path: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 26)
    writer.write(b'{"op":"report"}\n')
    line = await reader.readline()
    writer.close()
    return line


async def show(path: str) -> None:
    turn = 0
    while True:
        told = json.loads(await ask(path))
        if turn % 2 == 0:
            text = f"{told['report']['groups'][turn % 10]}"[:80]
            head = f"seen from node 1 at {told['report']['time']:60}"
            lines = [head, *(f"{text:80}" for _ in range(23))]
            drawn = "".join(f"\x1b[{n};1H{line}" for n, line in enumerate(lines, 1))
            os.write(1, drawn.encode())
        turn += 1
        await asyncio.sleep(0.5)


def main() -> None:
    asyncio.run(show(sys.argv[1]))
