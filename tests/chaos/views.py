"""The mounts of all nodes: one FUSE file system for each, through which it sees everybody.

None of it survives: the context unmounts, the processes end by themselves when their input
does, and what a killed process left mounted is detached.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from tests.waiting import wait_until

MNT_DETACH = 2
END_LIMIT_S = 10.0


def missing() -> str:
    """Return why no FUSE file system can be had here, "" if one can."""
    if os.geteuid() != 0:
        return "needs root to mount"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse"
    if importlib.util.find_spec("mfusepy") is None:
        return "the Python package mfusepy is not installed"
    try:
        ctypes.CDLL("libfuse3.so.3")
    except OSError:
        return "libfuse3 is not installed (Debian: apt install fuse3)"
    return ""


@dataclass(slots=True)
class View:
    """The mount of one node."""

    node: int
    point: Path
    process: subprocess.Popen[str]

    def _command(self, **words: object) -> int:
        assert isinstance(self.process.stdin, IO) or self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.strip().isdecimal():
            raise RuntimeError(f"the view of node {self.node} is gone: {answer!r}")
        return int(answer)

    def begin(self, number: int, peer: int, kind: str, amount: float) -> None:
        self._command(id=number, peer=peer, kind=kind, amount=amount)

    def end(self, number: int) -> None:
        self._command(id=number, end=True)

    def held(self, number: int) -> int:
        """Return how many calls a freeze holds: the kernel gives none of them up any more."""
        return self._command(id=number, held=True)


@dataclass(slots=True)
class Views:
    """All mounts over the directory `source`; `base`/vN is that of node N."""

    base: Path
    source: Path
    seed: int
    nodes: dict[int, View] = field(default_factory=dict)

    def open(self, numbers: range) -> Self:
        for number in numbers:
            point = self.base / f"v{number}"
            point.mkdir()
            log = (self.base / f"v{number}.log").open("ab")
            words = [str(self.source), str(point), f"{self.seed}/{number}"]
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.passthrough", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            log.close()
            self.nodes[number] = View(number, point, process)
        for view in self.nodes.values():
            wait_until(view.point.is_mount)
        return self

    def close(self) -> None:
        for view in self.nodes.values():
            assert view.process.stdin is not None
            assert view.process.stdout is not None
            view.process.stdin.close()
            try:
                view.process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                view.process.kill()  # with the device closed every call of it ends
                view.process.wait()
            view.process.stdout.close()
            ctypes.CDLL(None).umount2(os.fsencode(view.point), MNT_DETACH)
