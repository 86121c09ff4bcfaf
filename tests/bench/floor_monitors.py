"""The floor of monitors: a bare asyncio loop that starts the same commands as often.

    python floor_monitors.py COUNT INTERVAL_S PROGRAM [WORD ...]

Keeps COUNT commands, each run again and again, INTERVAL_S from start to start, with a pipe for
what it prints, as clinit does. It goes when it is killed.
"""

from __future__ import annotations

import asyncio
import sys

PIPE = asyncio.subprocess.PIPE


async def keep(command: list[str], interval_s: float) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE
        )
        await child.communicate()
        await asyncio.sleep(max(0.0, began + interval_s - loop.time()))


async def main(count: int, interval_s: float, command: list[str]) -> None:
    if sys.version_info < (3, 12):  # later ones use pidfd by themselves
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)
    await asyncio.gather(*(keep(command, interval_s) for _ in range(count)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
