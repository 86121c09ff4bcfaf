"""The process that the demo's groups run: it records in a file that it runs.

Every line is one write to a file opened for appending, so lines of many processes do not
mix: ``BOOTTIME GROUP NODE TERM PID WORD``, where WORD is `start`, `alive` (every ALIVE_S) or
`stop`. After a SIGKILL the last `alive` is a lower bound of how long it ran.

Run as a script by a bare Python (-I -S): it imports nothing slow.
"""

from __future__ import annotations

import os
import signal
import sys
import time

ALIVE_S = 0.05


class _Ended(Exception):  # noqa: N818 - it is not an error
    """A signal asked the process to end."""


def _end(_number: int, _frame: object) -> None:
    raise _Ended


def note(file: int, word: str) -> None:
    """Append one line about this process."""
    here = (os.environ.get(f"MOSHA_{name}", "-") for name in ("GROUP", "NODE", "TOKEN"))
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    os.write(file, f"{now:.4f} {' '.join(here)} {os.getpid()} {word}\n".encode())


def main(path: str) -> None:
    """Write `start`, then `alive` periodically, and `stop` at SIGINT or SIGTERM."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        signal.signal(signal.SIGINT, _end)
        signal.signal(signal.SIGTERM, _end)
        note(file, "start")
        while True:
            time.sleep(ALIVE_S)
            note(file, "alive")
    except _Ended:
        note(file, "stop")


if __name__ == "__main__":
    main(sys.argv[1])
