"""The guard: a small process that kills everything clinit had, should clinit go without a word.

A parent-death signal reaches clinit's children; what forked away from them it does not reach.
So this stays at one end of a socket, and when the other end closes without `LEFT` it kills the
cgroup of all groups, or without cgroups whatever has clinit's mark in its environment.

It is started as a program of its own (`python -I -S guard.py SOCKET MARK TREE`), by
`guard_link.py`. It imports next to nothing (`socket` and `signal` bring enum, 1 MB): it is there
on every node, and does nothing.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys
import time

LEFT = b"left"
ROUNDS_MAX = 500
PAUSE_S = 0.02

# HUP, INT, QUIT and TERM: whoever means clinit shall not hit its guard.
_IGNORED = (1, 2, 3, 15)


def avenge(mark: str, tree: str) -> None:
    """Kill all that clinit had: its cgroup, or what carries its mark."""
    for _ in range(ROUNDS_MAX):
        left = _kill_tree(tree) if tree else _kill_marked(mark)
        if not left:
            return
        time.sleep(PAUSE_S)


def _kill_tree(tree: str) -> bool:
    try:
        with open(f"{tree}/cgroup.kill", "wb", buffering=0) as kill:  # noqa: PTH123
            kill.write(b"1")
    except OSError:
        return False
    for path, _, _ in os.walk(tree, topdown=False):
        try:
            os.rmdir(path)  # noqa: PTH106 - pathlib would be the biggest import here
        except OSError:
            continue  # something in there is still dying
    return True


def _kill_marked(mark: str) -> bool:
    word = f"MOSHA_RUN={mark}".encode()
    found = False
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as environment:  # noqa: PTH123
                if word in environment.read().split(b"\0"):
                    os.kill(int(name), _signal.SIGKILL)
                    found = True
        except OSError:
            continue  # gone, or not ours
    return found


def main() -> None:
    """Guard the clinit that started this process."""
    fd, mark, tree = sys.argv[1:]
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_IGN)
    connection = _socket.socket(fileno=int(fd))
    try:
        word = connection.recv(len(LEFT))
    except ConnectionResetError:
        word = b""
    if word != LEFT:
        avenge(mark, tree)


if __name__ == "__main__":
    main()
