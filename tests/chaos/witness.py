"""A process of a group that notes when it is there, in the words of the demo's witness.

`witness.py FILE [stubborn | forks | foreign]`: a stubborn one ends by SIGKILL only; one that forks
has a child in a session of its own and without its environment, which notes as well, and which
nobody but mosha will end; a foreign one becomes another user, and loses the parent-death signal
by that. Run by a bare Python (-I -S); every line is one write to a file opened for appending.
"""

from __future__ import annotations

import os
import signal
import sys
import time

ALIVE_S = 0.05
KINDS = ("stubborn", "forks", "foreign")
NAMES = ("GROUP", "NODE", "TOKEN")
NOBODY = 65534


class _Ended(Exception):  # noqa: N818 - it is no error
    """A signal asked the process to end."""


def _end(_number: int, _frame: object) -> None:
    raise _Ended


def _note(file: int, names: list[str], word: str) -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    os.write(file, f"{now:.4f} {' '.join(names)} {os.getpid()} {word}\n".encode())


def main(path: str, kind: str, names: list[str]) -> None:
    """Note until a signal ends it; `names` are group, node and token, if it has no environment."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    answer = signal.SIG_IGN if kind == "stubborn" else _end
    try:
        signal.signal(signal.SIGINT, answer)
        signal.signal(signal.SIGTERM, answer)
        if kind == "forks" and not names and os.fork() == 0:
            os.setsid()
            given = [os.environ.get(f"MOSHA_{name}", "-") for name in NAMES]
            command = [sys.executable, "-I", "-S", __file__, path, kind, *given]
            os.execve(sys.executable, command, {})  # noqa: S606 - itself, as a daemon does it
        names = names or [os.environ.get(f"MOSHA_{name}", "-") for name in NAMES]
        if kind == "foreign":
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        _note(file, names, "start")
        while True:
            time.sleep(ALIVE_S)
            _note(file, names, "alive")
    except _Ended:
        _note(file, names, "stop")


if __name__ == "__main__":
    main(sys.argv[1], (sys.argv[2:] or ["plain"])[0], sys.argv[3:])
