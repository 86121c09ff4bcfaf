"""Says when watchfiles shows a change of a file, one line of CLOCK_BOOTTIME for each.

python floor_watch.py STEP_MS DEBOUNCE_MS DIRECTORY ...
"""

from __future__ import annotations

import sys

import anyio
from watchfiles import awatch

from mosha.host.clock import boottime


async def main(step_ms: int, debounce_ms: int, directories: list[str]) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    changes = awatch(
        *directories, step=step_ms, debounce=debounce_ms, recursive=False, watch_filter=None
    )
    async for found in changes:
        if any(path.endswith("/clstat") for _, path in found):
            sys.stdout.write(f"{boottime()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
