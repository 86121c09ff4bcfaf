"""The witness that asks the kernel: which processes of which group and node lived when.

`python -m tests.chaos.kernel RECORD MARK` listens to the kernel's process connector (cn_proc),
which reports each fork, exec and exit with the nanosecond at which it happened, whatever the
process itself is able to do: one that is stopped, frozen or blocked lives until its exit, and an
exit counts when it happened, however late it is read. It prints `ready`, appends to RECORD, and
ends when its input does. RECORD belongs in /dev/shm: no fault of a file system reaches it.

A process belongs to a group from the exec on that has MOSHA_GROUP, MOSHA_TAG and a value of
MOSHA_DEMO that begins with MARK in its environment. What it forks belongs to the same group from
the fork on, in whatever session, cgroup and environment it goes on. It is gone when its last
thread is.

Each line of RECORD is written when a process has ended; what still lives at the end of the witness
follows a line ``left``: ``SINCE UNTIL GROUP NODE TOKEN LEVEL PID TAG``, times in seconds of
CLOCK_BOOTTIME.
The last line is ``end LOST``: how often the kernel dropped events because nobody read them. More
than none makes the record worthless.

Source: linux/cn_proc.h, linux/connector.h. Needs root, and CONFIG_PROC_EVENTS.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mosha.cli.demo.processes import MARK

NETLINK_CONNECTOR = 11
CN_IDX_PROC = 1
CN_VAL_PROC = 1
NLMSG_DONE = 3
PROC_CN_MCAST_LISTEN = 1
FORK, EXEC, EXIT = 0x1, 0x2, 0x80000000
SO_RCVBUFFORCE = 33

_NETLINK = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=IIIIHH")
_EVENT = struct.Struct("=IIQ")
_PIDS = struct.Struct("=IIII")
_EVENT_AT = _NETLINK.size + _MESSAGE.size
_PIDS_AT = _EVENT_AT + _EVENT.size

BUFFER_BYTES = 64 << 20
ACK_LIMIT_S = 2.0


@dataclass(slots=True)
class Life:
    """One process of a group; times in nanoseconds of CLOCK_MONOTONIC."""

    group: str
    node: str
    token: str
    level: str
    tag: str
    since_ns: int
    threads: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Lives:
    """What lives, made from the kernel's events in the order they are read."""

    mark: str
    record: IO[str]
    offset_ns: int
    known: dict[int, Life] = field(default_factory=dict)

    def happened(self, what: int, at_ns: int, pids: tuple[int, int, int, int]) -> None:
        if what == FORK:
            self._forked(at_ns, *pids)
        elif what == EXEC:
            self._executed(at_ns, pids[1])
        elif what == EXIT:
            self._exited(at_ns, pids[0], pids[1])

    def _forked(self, at_ns: int, _parent: int, parent: int, thread: int, process: int) -> None:
        if process != thread:  # its parent is the parent of the process
            if life := self.known.get(process):
                life.threads.add(thread)
        elif life := self.known.get(parent):
            self.known[process] = Life(
                life.group, life.node, life.token, life.level, life.tag, at_ns, {thread}
            )

    def _executed(self, at_ns: int, process: int) -> None:
        if life := self.known.get(process):
            life.threads = {process}  # exec ends all other threads
            return
        words = _environment(process)
        if "MOSHA_TAG" in words and words.get(MARK, "").startswith(self.mark):
            names = ("GROUP", "NODE", "TOKEN", "LEVEL", "TAG")
            group, node, token, level, tag = (words.get(f"MOSHA_{name}") or "-" for name in names)
            self.known[process] = Life(group, node, token, level, tag, at_ns, {process})

    def _exited(self, at_ns: int, thread: int, process: int) -> None:
        life = self.known.get(process)
        if life is None:
            return
        life.threads.discard(thread)
        if not life.threads:
            del self.known[process]
            self.note(process, life, at_ns)

    def note(self, process: int, life: Life, until_ns: int) -> None:
        times = (f"{(at + self.offset_ns) / 1e9:.9f}" for at in (life.since_ns, until_ns))
        words = (*times, life.group, life.node, life.token, life.level, str(process), life.tag)
        self.record.write(" ".join(words) + "\n")
        self.record.flush()


def _environment(process: int) -> dict[str, str]:
    """Return what a process was given at its exec; nothing if it is gone already."""
    try:
        words = Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words.split("\0") if "=" in word)


def subscribe() -> socket.socket:
    """Return a socket on which the kernel reports what happens to processes.

    Raises:
        OSError: it does not, with the reason.
    """
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
    try:
        kernel.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        kernel.bind((0, CN_IDX_PROC))
        order = struct.pack("=I", PROC_CN_MCAST_LISTEN)
        message = _MESSAGE.pack(CN_IDX_PROC, CN_VAL_PROC, 0, 0, len(order), 0) + order
        length = _NETLINK.size + len(message)
        kernel.send(_NETLINK.pack(length, NLMSG_DONE, 0, 0, os.getpid()) + message)
        kernel.settimeout(ACK_LIMIT_S)
        kernel.recv(4096)
        kernel.setblocking(False)
    except TimeoutError as error:
        kernel.close()
        raise OSError(errno.ENODEV, "the kernel reports no processes") from error
    except OSError:
        kernel.close()
        raise
    return kernel


def missing() -> str:
    """Return why the kernel cannot be asked here, "" if it can."""
    try:
        subscribe().close()
    except OSError as error:
        return f"no process connector: {error.strerror} (needs root and CONFIG_PROC_EVENTS)"
    return ""


def _read(kernel: socket.socket, lives: Lives) -> int:
    """Take in all that waits; return how often something was dropped."""
    lost = 0
    while True:
        try:
            data = kernel.recv(4096)
        except BlockingIOError:
            return lost
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            lost += 1
            continue
        what, _cpu, at_ns = _EVENT.unpack_from(data, _EVENT_AT)
        if what in (FORK, EXEC, EXIT):
            lives.happened(what, at_ns, _PIDS.unpack_from(data, _PIDS_AT))


def main(record: str, mark: str) -> None:
    # Environments are read after the exec: the shorter the wait, the fewer have gone by then.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    lost = 0
    offset_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    with subscribe() as kernel, Path(record).open("a", encoding="utf-8") as file:
        lives = Lives(mark, file, offset_ns)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin.fileno() not in select.select([kernel, sys.stdin.fileno()], [], [])[0]:
            lost += _read(kernel, lives)
        now_ns = time.monotonic_ns()
        lost += _read(kernel, lives)
        file.write("left\n")
        for process, life in list(lives.known.items()):
            lives.note(process, life, now_ns)
        file.write(f"end {lost}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
