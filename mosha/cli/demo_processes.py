"""The processes of the demo's nodes, found by a mark in their environment, never by name.

Children inherit the mark, whatever session or cgroup they are in; so a node can be killed as
a whole, and nothing of the demo can stay behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from mosha.clinit import cgroups

MARK = "MOSHA_DEMO"
STEP_S = 0.005
GONE_LIMIT_S = 10.0
REAPED_LIMIT_S = 3.0


def mark_of(demo: str, node: int) -> str:
    """Return the value of the mark of one node's processes."""
    return f"{demo}.{node}"


def marked(mark: str) -> list[int]:
    """Return the processes whose mark begins so; a zombie has no environment any more."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            # It may be gone, or not ours to look at: then it is none of the demo.
            with contextlib.suppress(OSError):
                words = Path(entry.path, "environ").read_bytes().split(b"\0")
                if any(word.startswith(wanted) for word in words):
                    found.append(int(entry.name))
    return found


class Boxes:
    """The cgroups in which processes of the demo were seen, to be removed at its end.

    A clinit removes its own when it ends in an orderly way; one that is killed cannot.
    """

    def __init__(self) -> None:
        self._own = cgroups.own_cgroup()
        self._seen: set[Path] = set()

    def note(self, pids: Iterable[int]) -> None:
        """Remember the cgroups of these processes."""
        own = self._own
        if own is None:
            return
        root = self._root(own)
        for pid in pids:
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
                inside = next((line[4:] for line in lines if line.startswith("0::/")), "")
                box = root / inside
                while own in box.parents:
                    self._seen.add(box)
                    box = box.parent

    @staticmethod
    def _root(own: Path) -> Path:
        """Return the mount: the own directory without the path that the kernel tells."""
        lines = cgroups.OWN_CGROUP.read_text(encoding="utf-8").splitlines()
        inside = next((line[4:] for line in lines if line.startswith("0::/")), "")
        return Path(str(own).removesuffix(inside)) if inside else own

    def remove(self) -> None:
        """Remove them, the inner ones first; one that others use stays.

        A process that was killed is in its cgroup until somebody has reaped it, so this
        takes up to `REAPED_LIMIT_S`.
        """
        deadline = time.monotonic() + REAPED_LIMIT_S
        boxes = sorted(self._seen, key=lambda box: len(box.parts), reverse=True)
        while boxes := [box for box in boxes if box.exists() and not cgroups.remove(box)]:
            if time.monotonic() > deadline:
                return
            time.sleep(STEP_S)


def kill(mark: str, first: Iterable[int], boxes: Boxes) -> int:
    """SIGKILL every process with this mark, `first` of all those; return how many.

    `first` are monitor and clinit: nobody shall start again what is being killed. Returns
    when none is left.

    Raises:
        TimeoutError: one is still there after GONE_LIMIT_S.
    """
    before = marked(mark)
    boxes.note(before)
    for pid in (pid for pid in first if pid in before):
        _send(pid)
    killed = set(before)
    deadline = time.monotonic() + GONE_LIMIT_S
    while left := marked(mark):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} do not end")
        killed.update(left)
        for pid in left:
            _send(pid)
        time.sleep(STEP_S)
    return len(killed)


def _send(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
