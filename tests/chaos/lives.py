"""The kernel's witness as a context, and what its record says."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from msgspec import structs

from mosha.cli.demo.overlaps import Ran
from tests.chaos import kernel

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - made with a name of its own, as mkstemp does
END_LIMIT_S = 20.0

UNLEASED = frozenset({"plan"})
"""Levels at which several nodes may run entries at once; see the promise in protocol.md."""


@dataclass(frozen=True, slots=True)
class Record:
    """Which processes of groups there were; `left` are those of them that lived at the end.

    `unleased` counts those that need no lease, `lost` the reports that the kernel dropped.
    """

    ran: list[Ran]
    left: list[Ran]
    unleased: int
    lost: int


@dataclass(frozen=True, slots=True)
class StoodStill:
    """Processes of a machine that stood still from `since` on and was reset at `until`.

    They did nothing any more, as those of a machine whose watchdog resets it; see the promise.
    """

    pids: frozenset[int]
    since: float
    until: float


def without_still(ran: list[Ran], stood: list[StoodStill]) -> list[Ran]:
    """Return the processes, each of a machine that stood still until its reset up to then only."""
    return [
        structs.replace(one, until=min([one.until, *(it.since for it in stood if _ended(one, it))]))
        for one in ran
    ]


def _ended(one: Ran, still: StoodStill) -> bool:
    return one.pid in still.pids and one.since <= still.since and still.until <= one.until


@dataclass(slots=True)
class KernelWitness:
    """The process that listens to the kernel, for processes whose mark begins with `mark`."""

    mark: str
    path: Path | None = None
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with tempfile.NamedTemporaryFile(prefix="mc", dir=SHARED_MEMORY, delete=False) as file:
            self.path = Path(file.name)
        self.process = subprocess.Popen(
            [sys.executable, "-m", kernel.__name__, str(self.path), self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            self.__exit__()
            raise RuntimeError("the witness of the kernel does not begin")
        return self

    def end(self) -> Record:
        """Let it write the rest, and return all."""
        assert self.path is not None
        self._end()
        return read_record(self.path.read_text(encoding="utf-8"))

    def _end(self) -> None:
        if self.process is not None:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.close()
            try:
                self.process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.process = None

    def __exit__(self, *_: object) -> None:
        self._end()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def read_record(text: str) -> Record:
    """Return what a record says, processes in the order of their starts.

    Raises:
        ValueError: it is not whole: the witness did not end as it should.
    """
    *lines, last = text.splitlines() or [""]
    word, _, lost = last.partition(" ")
    if word != "end":
        raise ValueError(f"the record of the kernel's witness ends with {last!r}")
    ended: list[Ran] = []
    left: list[Ran] = []
    unleased, found = 0, ended
    for line in lines:
        if line == "left":
            found = left
            continue
        since, until, group, node, token, level, pid, _tag = line.split(" ", 7)
        if level in UNLEASED:
            unleased += 1
        else:
            found.append(Ran(group, node, int(token), int(pid), float(since), float(until)))
    ran = sorted([*ended, *left], key=lambda one: one.since)
    return Record(ran, left, unleased, int(lost))
