"""The two supervisors that are compared: a real clinit, and the floor."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mosha.control.address import answers
from mosha.control.calls import call
from mosha.control.protocol import Hello, Reply, Shutdown
from mosha.core.tell import Tell
from mosha.host.clock import boottime
from tests.bench import floor_supervisor
from tests.waiting import wait_until

READY_LIMIT_S = 60.0
END_LIMIT_S = 60.0
REPLY_MAX_BYTES = 1 << 16


@dataclass(slots=True)
class Clinit:
    """A running clinit, alone."""

    pid: int
    socket: Path

    def tell(self, levels: Mapping[str, str]) -> float:
        """Tell groups their levels at once, on one connection; return when that began."""
        tells = [Tell(group=group, level=level) for group, level in levels.items()]
        lines = [msgspec.json.encode(tell) + b"\n" for tell in tells]
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self.socket))
            began = boottime()
            connection.sendall(b"".join(lines))
            replies = b""
            while replies.count(b"\n") < len(lines):
                replies += connection.recv(REPLY_MAX_BYTES)
        for line in replies.splitlines():
            reply = msgspec.json.decode(line, type=Reply)
            if not reply.ok:
                raise RuntimeError(f"clinit refuses: {reply.text}")
        return began


@contextlib.contextmanager
def clinit(directory: Path, entries: Sequence[str], more: Sequence[str] = ()) -> Iterator[Clinit]:
    """Run a clinit with this cltab, and `more` words; what it started ends with the context."""
    directory.mkdir()
    cltab, path = directory / "cltab", directory / "s"
    cltab.write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    words = ["-d", "-c", str(cltab), "-s", str(path), *more]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mosha.cli.clinit", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: path.exists() and answers(path), READY_LIMIT_S)
        call(path, Hello())  # it listens before it can start anything
        yield Clinit(process.pid, path)
        call(path, Shutdown())
        process.wait(END_LIMIT_S)
    finally:
        process.kill()  # its guard ends what it has started
        process.wait()


@dataclass(slots=True)
class Floor:
    """A running floor; nothing is started before `go`."""

    process: subprocess.Popen[bytes]

    def go(self) -> float:
        """Have the children started; return when that began."""
        began = boottime()
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        return began


@contextlib.contextmanager
def floor(count: int, command: str) -> Iterator[Floor]:
    process = subprocess.Popen(
        [sys.executable, floor_supervisor.__file__, str(count), *command.split()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield Floor(process)
    finally:
        process.stdin.close()  # it ends its children and goes
        process.stdout.close()
        process.wait(END_LIMIT_S)
