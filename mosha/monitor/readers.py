"""Reads the statuses of all peers: one task and one abandonable thread for each.

A peer is read when somebody asks for a look, about once a heartbeat in any case, and once a
poll where no events arrive. Every attempt is reported with the time it began, also one that
hangs: so a peer whose mount died with it becomes stale as well (O3), and a hung peer costs
nothing but that peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct, field
from msgspec.structs import replace

from mosha.clock import boottime
from mosha.core.peers import NO_CLSTAT
from mosha.core.status import Status
from mosha.core.timing import Timing
from mosha.formats.clstat import CLSTAT_MAX_BYTES, TornStatus, UnreadableStatus, parse_clstat
from mosha.host.files import read_file
from mosha.host.mounts import file_system_at
from mosha.monitor.mfs import Layout
from mosha.monitor.waking import set_within
from mosha.monitor.workers import GRACE_MAX_S, HungError, NoThreadError, Worker

WatchMode = Literal["auto", "events", "poll"]
OnRead = Callable[[int, Status | None, float, float, str], None]

# A server that does not answer within two heartbeats would not have been heard in time
# anyhow; half a second is what a busy machine may take for anything.
LIMIT_PER_HEARTBEAT = 2.0
LIMIT_MIN_S = 0.5
# Yet a hang must be known long before the peer could become stale for it.
LIMIT_PER_TIMEOUT = 0.25

# The event of a peer's next status comes a heartbeat after the last, and some milliseconds: a
# timer of one heartbeat would fire just before each and double all reading for nothing.
REREAD_PER_HEARTBEAT = 1.25


class _Peer(Struct):
    node: int
    path: Path
    worker: Worker
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    wanted: bool = True
    timed_at: float | None = None
    began: float = 0.0
    hung_since: float | None = None
    polled: bool = False
    reading: _Reading | None = None

    def look(self) -> None:
        self.wanted = True
        self.wake.set()


class _Reading(Struct, frozen=True):
    """What an attempt brought: the bytes and what they mean. `remote`: no events from there."""

    data: bytes
    status: Status | None
    error: str
    remote: bool
    torn: bool = False


class PeerReaders:
    """The readers of all peers. `run` is one task of the caller's task group.

    `on_read` gets node, status, began, ended (boottime, seconds) and error of every
    completed attempt. The status is None where there is none to be had, and `error` says
    why; it is the same object as before if the bytes are the same.
    """

    def __init__(
        self, layout: Layout, timing: Timing, on_read: OnRead, *, watch: WatchMode = "auto"
    ) -> None:
        self._layout = layout
        self._timing = timing
        self._on_read = on_read
        self._watch = watch
        self._limit_s = min(
            max(timing.heartbeat_s * LIMIT_PER_HEARTBEAT, LIMIT_MIN_S),
            timing.timeout_s * LIMIT_PER_TIMEOUT,
        )
        # What is known to hang is given a little time only, so that each of its attempts
        # ends within the heartbeat in which it began.
        self._hung_limit_s = min(timing.heartbeat_s / 2, GRACE_MAX_S)
        self._peers: dict[int, _Peer] = {}
        self._group: TaskGroup | None = None
        # The threads of nodes that went while they hung: a node that comes and goes must
        # not cost a thread each time.
        self._hung: dict[int, Worker] = {}

    def set_members(self, nodes: Iterable[int]) -> None:
        """Read these peers from now on, and no others. The own node is not among them."""
        wanted = set(nodes)
        for node in self._peers.keys() - wanted:
            self._forget(self._peers.pop(node))
        for node in sorted(wanted - self._peers.keys()):
            worker = self._hung.pop(node, None) or Worker(f"reader of node {node}")
            peer = self._peers[node] = _Peer(node, self._layout.clstat(node), worker)
            if self._group is not None:
                self._group.start_soon(self._follow, peer)

    def look(self, node: int) -> None:
        """Ask for a read soon. If one is under way, another one follows it; calls add up to one."""
        peer = self._peers.get(node)
        if peer is not None:
            peer.look()

    def look_all(self) -> None:
        """Ask for a read of every peer."""
        for peer in self._peers.values():
            peer.look()

    def look_at(self, node: int, when: float | None) -> None:
        """Ask for a read that begins just after `when` (boottime); replaces the former wish."""
        peer = self._peers.get(node)
        if peer is not None:
            peer.timed_at = when
            peer.wake.set()

    async def run(self) -> None:
        """Read until cancelled. Threads that hang are left to themselves."""
        try:
            async with anyio.create_task_group() as self._group:
                for peer in self._peers.values():
                    self._group.start_soon(self._follow, peer)
                await anyio.sleep_forever()
        finally:
            self._group = None
            for worker in (*self._hung.values(), *(p.worker for p in self._peers.values())):
                worker.close()

    def _forget(self, peer: _Peer) -> None:
        peer.scope.cancel()
        if peer.worker.busy is None:
            peer.worker.close()
        else:
            self._hung[peer.node] = peer.worker

    async def _follow(self, peer: _Peer) -> None:
        with peer.scope:
            while True:
                await self._next(peer)
                await self._attempt(peer)

    async def _next(self, peer: _Peer) -> None:
        """Wait until it is time for an attempt."""
        while not peer.wanted:
            wait_s = self._due(peer) - boottime()
            if wait_s < 0:
                break
            peer.wake.clear()
            # A timer may fire a clock tick early; an attempt must begin after its time (O3).
            await set_within(peer.wake, max(wait_s, 1e-4))
        peer.wanted = False

    def _due(self, peer: _Peer) -> float:
        torn = peer.reading is not None and peer.reading.torn
        often = (peer.polled or torn) and peer.hung_since is None
        reread_s = self._timing.heartbeat_s * REREAD_PER_HEARTBEAT
        due = peer.began + (self._timing.poll_s if often else reread_s)
        return due if peer.timed_at is None else min(due, peer.timed_at)

    async def _attempt(self, peer: _Peer) -> None:
        began = peer.began = boottime()
        if peer.timed_at is not None and began > peer.timed_at:
            peer.timed_at = None
        busy = peer.worker.busy
        limit_s = self._limit_s if busy is None else self._hung_limit_s
        try:
            peer.reading = await peer.worker.call(
                _read, peer.node, peer.path, peer.reading, limit_s=limit_s
            )
        except NoThreadError as problem:
            self._on_read(peer.node, None, began, boottime(), str(problem))
            return
        except HungError:
            ended = boottime()
            peer.hung_since = peer.hung_since or began
            error = f"no answer for {ended - peer.hung_since:.0f} s"
            self._on_read(peer.node, None, began, ended, error)
            return
        peer.hung_since = None
        peer.polled = self._polled(remote=peer.reading.remote)
        self._on_read(peer.node, peer.reading.status, began, boottime(), peer.reading.error)

    def _polled(self, *, remote: bool) -> bool:
        return self._watch == "poll" or (self._watch == "auto" and remote)


def _read(node: int, path: Path, last: _Reading | None) -> _Reading:
    """Read and parse a status, in the thread. The same bytes are not parsed again."""
    remote = last is not None and last.remote
    try:
        # Links are followed here, where it may hang, and not by those who wait.
        remote = file_system_at(path.parent).remote
        data = read_file(path, CLSTAT_MAX_BYTES)
    except FileNotFoundError:
        return _Reading(b"", None, NO_CLSTAT, remote)
    except OSError as error:
        return _Reading(b"", None, f"cannot be read: {error.strerror}", remote)
    if last is not None and data and data == last.data:
        return replace(last, remote=remote)
    try:
        status = parse_clstat(data)
    except TornStatus as error:
        return _Reading(data, None, f"torn: {error}", remote, torn=True)
    except UnreadableStatus as error:
        return _Reading(data, None, f"unreadable: {error}", remote)
    if status.node != node:
        return _Reading(data, None, f"it is of node {status.node}", remote)
    return _Reading(data, status, "", remote)
