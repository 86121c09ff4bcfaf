"""The floor of an idle node: what a heartbeat costs a process that does nothing but that.

    python floor_idle.py DIRECTORY PERIOD_S

Once a period it replaces a file of its own and reads two others, in an event loop, with the
libraries of the monitor loaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click
import msgspec
import structlog

LOADED = (click, msgspec, structlog)
TEXT = b"Cluster::Init::Group g start DONE\n" * 60


async def main(directory: Path, period_s: float) -> None:
    others = [directory / "1", directory / "2"]
    for path in others:
        path.write_bytes(TEXT)
    while True:
        draft = directory / "draft"
        draft.write_bytes(TEXT)
        draft.rename(directory / "own")
        for path in others:
            path.read_bytes()
        await anyio.sleep(period_s)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), float(sys.argv[2]))
