"""The floor of a supervisor: what asyncio with pidfd and two pipes a child costs by itself.

    python floor_supervisor.py COUNT PROGRAM [WORD ...]

Says `ready`, waits for a line on stdin, then keeps COUNT children running, each started again
as soon as it has ended. When stdin ends it kills them and goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

PIPE = asyncio.subprocess.PIPE


async def keep(command: list[str], children: dict[int, asyncio.subprocess.Process]) -> None:
    while True:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE
        )
        children[child.pid] = child
        await child.wait()
        del children[child.pid]


async def main(count: int, command: list[str]) -> None:
    loop = asyncio.get_running_loop()
    if sys.version_info < (3, 12):  # later ones use pidfd by themselves
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        asyncio.set_child_watcher(watcher)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await reader.readline()
    children: dict[int, asyncio.subprocess.Process] = {}
    tasks = [asyncio.create_task(keep(command, children)) for _ in range(count)]
    end = asyncio.ensure_future(reader.read())
    done, _ = await asyncio.wait({end, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {end}:
        await task  # it has failed
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for child in children.values():
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
