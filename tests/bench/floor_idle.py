"""The floor of an idle node: what a heartbeat costs a process that does nothing but that.

    python floor_idle.py DIRECTORY PERIOD_S [FILES BYTES]

Once a period it replaces a file of its own and reads the others (two of 2 kB if nothing else is
asked for), in an event loop, with the libraries of the monitor loaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click
import msgspec
import structlog

LOADED = (click, msgspec, structlog)
FILES, BYTES = 2, 2100
LINE = b"Cluster::Init::Group g start DONE\n"


async def main(directory: Path, period_s: float, files: int = FILES, size: int = BYTES) -> None:
    others = [directory / str(number) for number in range(1, files + 1)]
    text = LINE * (size // len(LINE))
    for path in others:
        path.write_bytes(text)
    while True:
        draft = directory / "draft"
        draft.write_bytes(text)
        draft.rename(directory / "own")
        for path in others:
            path.read_bytes()
        await anyio.sleep(period_s)


if __name__ == "__main__":
    count, length = map(int, sys.argv[3:5] or (FILES, BYTES))
    anyio.run(main, Path(sys.argv[1]), float(sys.argv[2]), count, length)
