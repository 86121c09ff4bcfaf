"""clinit's end of the fork server: how its children are started, and why this way.

Getting a child into its cgroup before its first instruction was measured at real-time priority
on a busy machine (Linux 6.18, median of 40; spawn until the first output of /bin/echo, ms), with
a quarter of a second between two spawns, as respawns are apart, and with none:

                                                        apart   in a row
    no cgroup, subprocess.Popen (vfork)                   1.5     1.0
    clinit enters the cgroup, spawns, goes home           9.8     1.0
    sh -c 'echo 0 > PROCS; exec "$@"'                    13.6     1.7
    setpriv --pdeathsig KILL, no cgroup                   2.6     2.0
    preexec_fn, no cgroup                                 5.2     3.8
    clone3 into the cgroup, from 30 MB (clinit itself)    3.0     2.6
    clone3 into the cgroup, from a server of 10 MB        2.3     1.9

Moving an existing process takes a lock that waits for an RCU grace period, 8 to 16 ms, unless
another move has just done so; a tight loop does not show it. Cloning into a cgroup costs nothing,
but only clone3 can do that, and a fork costs as much as the memory of the process that forks.
Hence the server. It also confines a hanging exec to its child, sets the parent-death signal at no
cost (setpriv as a wrapper: 1 ms), and is the guard if clinit is killed.

Sharing the parent's memory, as vfork does, costs nothing whatever its size, and on another machine
reduced the call of clone3 from 0.4 to 0.05 ms and the time until the exec from 1.1 to 0.35 ms
(median of 100 in a row). The server does that (`child_steps.py`) and not clinit: processes that
share memory can be killed together, and a child has all files of its parent until it executes its
command.

What each of the three ways (`spawn_ways.py`) costs on yet another machine (Linux 6.18, median of
60, a quarter of a second apart, /bin/true in a cgroup; CPU of server and child together):

              pid known   executed   CPU
    shared       1.1 ms     1.9 ms   1.7 ms
    copied       2.2        3.5      3.6
    plain        2.4       17.4      4.4
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import marshal
import math
import os
import resource
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mosha.clinit import forkserver
from mosha.clinit.descriptors import NoDescriptorThereError
from mosha.clinit.guard import Guard
from mosha.clinit.spawn_ways import IN_CGROUP
from mosha.errors import HostError
from mosha.formats.spawn import PLAIN, SHARED, SPAWN_WAYS
from mosha.host import logs
from mosha.host.marks import RLIMIT_LOCKS, limit_of
from mosha.host.programs import source_of

PROGRAM = source_of("mosha.clinit.forkserver")
"""The fork server's, which has no site-packages: they cost it more than all the rest."""

# A fork takes a thousandth of it. Only the entry in question waits meanwhile.
ANSWER_LIMIT_S = 2.0
# Python takes a second to start on a busy machine.
START_LIMIT_S = 20.0
# This many requests fit into the socket buffer whatever they contain.
UNDER_WAY_MAX = 8
# From the server: a pid, or how children are started and why not in a better way.
ANSWER_MAX_BYTES = 4096
# To the current server, and to the one that replaces it.
SENDS_MAX = 2
# Between the end of a server that did not begin to serve and the next attempt.
RETRY_S = 1.0


class LostError(OSError):
    """It is not known whether there is a child."""


class CommandError(OSError):
    """The command cannot be executed on any host: trying again is pointless."""


class Forker:
    """A running fork server. Acquire `room` before each fork."""

    def __init__(  # noqa: PLR0917 - what all its children have, then where they are
        self,
        environment: Mapping[str, str],
        mark: str,
        tree: Path | None,
        files: tuple[int, int] | None = None,
        first_way: str = SPAWN_WAYS[0],
        units: Path | None = None,
    ) -> None:
        """Start the server; needs a running loop.

        `files` are the children's limits of open files (soft, hard): those of clinit before it
        raised its own; None leaves them as they are. `first_way` is the first of `SPAWN_WAYS` to
        try. `units` is the cgroup of what systemd runs for clinit, for the guards.
        """
        self._files = files
        self._first_way = first_way
        self.way = ""
        """How children are started, of `SPAWN_WAYS`; empty while unknown, or if none works."""

        self.refused = ""
        """The ways tried before, and why they do not work."""

        self.leaders: set[int] = set()
        """The children that are known to their entries and not reaped yet (`child.py`)."""

        self._environment = environment
        self._mark = mark
        self._tree = tree
        self._units = units
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._under_way = 0
        self._retry: asyncio.TimerHandle | None = None
        self.ready = asyncio.Event()
        """Set while there is a server that serves."""

        self.room = asyncio.Semaphore(UNDER_WAY_MAX)
        self._start()
        self.guard = Guard(mark, tree, units)

    @property
    def staff(self) -> set[int]:
        """The children of clinit that belong to no entry: the server, and the second guard."""
        return {self.pid, self.guard.pid}

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    @property
    def busy(self) -> bool:
        """Whether there may be children whose pids their entries do not know yet."""
        return self._under_way > 0

    async def spawn(
        self,
        argv: list[str],
        extra: Mapping[str, str],
        cgroup: Path | None,
        fds: list[int],
        *,
        until: float = math.inf,
        wanted: dict[str, Any] | None = None,
    ) -> int:
        """Return the pid of a new child of this process that will execute `argv`.

        `extra` is added to its environment; `fds` are its stdout, its stderr, and a pipe that
        gets the reason if `argv` cannot be executed (`problem_of`). The caller closes them. The
        server starts nothing from `until` (boottime) on: it may have been stopped meanwhile.
        `wanted` is what the child is to become before, see `preparing.py`.

        Raises:
            LostError: the server ended or hung meanwhile: there may be a child.
            CommandError: `argv` and `extra` are too long.
            OSError: no child could be started.
        """
        # cltab is UTF-8, whatever the locale of clinit.
        encoded = [_encoded(f"{key}={value}") for key, value in extra.items()]
        words = [_encoded(word) for word in argv]
        request = marshal.dumps((words, encoded, os.fsencode(cgroup or ""), until, wanted))
        if len(request) > forkserver.REQUEST_MAX_BYTES:
            raise CommandError(errno.E2BIG, os.strerror(errno.E2BIG))
        # Until the end of this call, not only until the answer, which arrives one iteration of
        # the loop before the caller goes on.
        self._under_way += 1
        try:
            pid = await self._ask(request, fds)
        finally:
            self._under_way -= 1
        if pid == -errno.EMFILE:
            raise NoDescriptorThereError("the fork server", self.pid)
        if pid == -errno.ETIME:
            raise OSError(errno.ETIME, "kill_at had passed before it was started")
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid

    async def _ask(self, request: bytes, fds: list[int]) -> int:
        self._send(request, fds)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[int] = loop.create_future()
        self._waiting.append(answer)
        # A timer costs a tenth of asyncio.timeout, and every start waits here.
        limit_s = ANSWER_LIMIT_S if self.ready.is_set() else START_LIMIT_S
        timer = loop.call_later(limit_s, self._give_up_waiting, answer)
        try:
            return await answer
        finally:
            timer.cancel()

    def _give_up_waiting(self, answer: asyncio.Future[int]) -> None:
        if not answer.done():
            answer.set_exception(LostError(errno.EIO, "the fork server does not answer"))
            self._lose()

    def dismiss(self) -> None:
        """Dismiss the server: there is nothing left to guard."""
        with contextlib.suppress(OSError):
            self._connection.send(forkserver.LEFT)
        self._close()
        self.guard.dismiss()

    def give_up(self) -> None:
        """Make the server kill everything now, as if clinit were dead."""
        self._close()
        self.guard.give_up()

    def _send(self, request: bytes, fds: list[int]) -> None:
        for _ in range(SENDS_MAX):
            if self._closed:
                break
            try:
                socket.send_fds(self._connection, [request], fds)
            except ConnectionError:
                # The server was killed. Its children are clinit's and are not affected.
                self._lose()
            else:
                return
        raise OSError(errno.EIO, "the fork server does not start")

    def _hear(self) -> None:
        while True:  # several may have come: another read is cheaper than an iteration of the loop
            try:
                answer = self._connection.recv(ANSWER_MAX_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                answer = b""
            if not answer:
                self._lose()
                return
            if answer == forkserver.READY:
                self.ready.set()
                continue
            if answer.startswith(forkserver.WAY):
                self._learn(*marshal.loads(answer[len(forkserver.WAY) :]))  # noqa: S302 - our own
                continue
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(int(answer))
            if not self._waiting:
                return

    def _learn(self, way: str, refused: list[tuple[str, str]]) -> None:
        """Record how children are started; log it unless the server before found the same."""
        known = (self.way, self.refused)
        self.way, self.refused = way, "; ".join(f"{what}: {why}" for what, why in refused)
        if refused and known != (self.way, self.refused):
            lost = _lost(way, [what for what, _ in refused])
            logs.get().warning("spawn_degraded", spawn=way, reason=self.refused, lost=lost)

    def _lose(self) -> None:
        """Give up the server and its pending requests, and start another one."""
        # It may only be stopped: it must not carry out these requests later.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        lost, self._waiting = self._waiting, deque()
        for waiting in lost:
            if not waiting.done():
                waiting.set_exception(LostError(errno.EIO, "the fork server is gone"))
        self._close()
        if self.ready.is_set():
            self._start_again()
        else:  # it cannot even start: do not retry in a tight loop
            logs.get().error("fork_server_failed", reason="it ended before it began to serve")
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._start_again)

    def _start_again(self) -> None:
        try:
            self._start()
        except HostError as error:
            logs.get().error("fork_server_failed", reason=str(error))
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._start_again)

    @property
    def _closed(self) -> bool:
        return self._connection.fileno() < 0

    def _close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        if not self._closed:
            asyncio.get_running_loop().remove_reader(self._connection)
            self._connection.close()

    def _start(self) -> None:
        self.ready.clear()
        try:
            # Datagrams: each request is one, and so is its answer.
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise HostError(f"cannot start the fork server: {error.strerror or error}") from error
        fd = theirs.fileno()
        words = [str(fd), str(os.getpid()), self._mark, str(self._tree or ""), self._first_way]
        words.append(str(self._units or ""))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", PROGRAM, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[fd],
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise HostError(f"cannot start the fork server: {error.strerror or error}") from error
        finally:
            theirs.close()
        # Its children inherit this. It has not forked yet: no request was sent.
        if self._files is not None:
            resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, self._files)
        limit = limit_of(self._mark)
        if self._tree is None and limit is not None:
            resource.prlimit(self._process.pid, RLIMIT_LOCKS, (limit, limit))
        # `reaper.py` reaps it like any other child of clinit, not Popen.
        self._process.returncode = 0
        ours.setblocking(False)
        self._connection = ours
        asyncio.get_running_loop().add_reader(ours, self._hear)


def _lost(way: str, refused: Sequence[str]) -> str:
    """Return what a way costs compared with the best one."""
    if not way:
        return "no process can be started"
    costs = ["each start costs 2 ms more CPU"] if SHARED in refused else []
    if way == PLAIN or IN_CGROUP in refused:
        costs.append("with cgroups, each start takes 8 to 16 ms more")
    return "; ".join(costs)


def _encoded(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")
