"""Logs the output of entries' processes: bounded in length, rate and cost.

Two bounds per second and entry: on lines logged, the rest is counted and reported
(`output_dropped`); and on bytes read, then the pipe is left full until the second is over, and a
child that floods blocks there instead of keeping clinit busy.
"""

from __future__ import annotations

import asyncio
import os

from msgspec import Struct, field

from mosha.clinit.process_tracker import EntryKey
from mosha.clinit.tail import Tail
from mosha.formats.letters import cut
from mosha.host import logs

LINE_MAX_BYTES = 8192
"""A longer line is logged in pieces of whole characters."""

LINES_PER_S_MAX = 500
BYTES_PER_S_MAX = 4 << 20
CHUNK_BYTES = 1 << 16
RUNS_MAX = 32
"""For how many runs of an entry the pipes stay open for processes that the runs left behind."""


class _Pipe(Struct):
    fd: int
    pid: int
    stream: str
    rest: bytes = b""


class Output(Struct):
    """The pipes of one entry: of its latest run, and of what earlier ones left behind."""

    key: EntryKey
    tail: Tail = field(default_factory=Tail)
    _pipes: list[_Pipe] = field(default_factory=list)
    _lines: int = 0
    _bytes: int = 0
    _dropped: int = 0
    _window: asyncio.TimerHandle | None = None
    _full: bool = False

    def follow(self, pid: int, stdout: int, stderr: int, term: int = 0) -> None:
        """Log what comes out of these pipes from now on; they are closed at end of file.

        `term` is that of the claim under which the run was started, 0 without a monitor.
        """
        self.tail.begin(term)
        while len(self._pipes) + 2 > 2 * RUNS_MAX:
            self._close(self._pipes[0])
        for fd, stream in ((stdout, "stdout"), (stderr, "stderr")):
            pipe = _Pipe(fd, pid, stream)
            self._pipes.append(pipe)
            if not self._full:
                self._watch(pipe)

    def drain(self, pid: int) -> None:
        """Log the rest of a run's output, so that it precedes the report of its end."""
        for pipe in [pipe for pipe in self._pipes if pipe.pid == pid]:
            if not self._full:
                self._read(pipe)

    def close(self) -> None:
        """Close all pipes."""
        while self._pipes:
            self._close(self._pipes[0])
        if self._window is not None:
            self._window.cancel()

    @property
    def open(self) -> bool:
        """Whether more output may come."""
        return bool(self._pipes)

    def _watch(self, pipe: _Pipe) -> None:
        asyncio.get_running_loop().add_reader(pipe.fd, self._read, pipe)

    def _read(self, pipe: _Pipe) -> None:
        try:
            chunk = os.read(pipe.fd, CHUNK_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            if pipe.rest:
                self._log(pipe, pipe.rest)
            self._close(pipe)
            return
        if self._window is None:
            self._window = asyncio.get_running_loop().call_later(1.0, self._next_second)
        self.tail.take(pipe.stream, chunk)
        self._split(pipe, chunk)
        self._bytes += len(chunk)
        if self._bytes >= BYTES_PER_S_MAX and not self._full:
            self._full = True
            for each in self._pipes:
                asyncio.get_running_loop().remove_reader(each.fd)

    def _split(self, pipe: _Pipe, chunk: bytes) -> None:
        *whole, rest = (pipe.rest + chunk).split(b"\n")
        for at, line in enumerate(whole):
            if self._lines >= LINES_PER_S_MAX:
                self._dropped += len(whole) - at
                break
            self._log(pipe, line)
        while len(rest) > LINE_MAX_BYTES:
            end = cut(rest, LINE_MAX_BYTES)
            self._log(pipe, rest[:end])
            rest = rest[end:]
        pipe.rest = rest

    def _log(self, pipe: _Pipe, line: bytes) -> None:
        rest = line
        while True:
            if self._lines >= LINES_PER_S_MAX:
                self._dropped += 1
                return
            self._lines += 1
            end = cut(rest, LINE_MAX_BYTES)
            logs.get().info(
                "output",
                group=self.key.group,
                tag=self.key.tag,
                pid=pipe.pid,
                stream=pipe.stream,
                text=rest[:end].decode("utf-8", "backslashreplace"),
            )
            rest = rest[end:]
            if not rest:
                return

    def _next_second(self) -> None:
        self._window = None
        if self._dropped:
            logs.get().warning(
                "output_dropped",
                group=self.key.group,
                tag=self.key.tag,
                lines=self._dropped,
                in_s=1.0,
                reason=f"more than {LINES_PER_S_MAX} lines a second",
            )
        self._lines = self._bytes = self._dropped = 0
        if self._full:
            self._full = False
            for pipe in self._pipes:
                self._watch(pipe)

    def _close(self, pipe: _Pipe) -> None:
        self._pipes.remove(pipe)
        asyncio.get_running_loop().remove_reader(pipe.fd)
        os.close(pipe.fd)
