"""Who had the volume mounted, and whether two nodes ever had it at once: a witness of its own.

It asks the kernel, not mosha: each change of the mounts of a node is an event on its mountinfo
(proc(5), proc_pid_mountinfo(5)), at which those of all nodes are read.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self


class MountWitness:
    """Watches a device in the mounts of several processes, each with a number. A context."""

    def __init__(self, device: str, pids: Mapping[int, int]) -> None:
        self._device = f" {device} ".encode()
        self._files = contextlib.ExitStack()
        places = {number: Path(f"/proc/{pid}/mountinfo") for number, pid in pids.items()}
        self._open = {n: self._files.enter_context(it.open("rb")) for n, it in places.items()}
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="mounts")
        self.together: list[str] = []
        """What it saw: two nodes that had it mounted at the same time."""
        self.changes = 0
        """How often it went from one node to another, or to the first."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopper)
        self._thread.join()
        os.close(self._stop)
        self._files.close()

    def where(self) -> list[int]:
        """Return the nodes that have it mounted, as two looks in a row saw it."""
        seen = self._look()
        while (again := self._look()) != seen:
            seen = again
        return seen

    def _look(self) -> list[int]:
        found = []
        for number, file in self._open.items():
            file.seek(0)
            if self._device in file.read():
                found.append(number)
        return found

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        for file in self._open.values():
            poll.register(file, select.POLLPRI)
        last: list[int] = []
        while not any(fd == self._stop for fd, _ in poll.poll()):
            now = self.where()
            if len(now) > 1:
                self.together.append(f"nodes {' and '.join(map(str, now))} had it mounted at once")
            elif now and now != last:
                self.changes += 1
                last = now
