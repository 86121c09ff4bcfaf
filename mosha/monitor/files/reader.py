"""Reads the statuses of all peers: one task and one abandonable thread for each.

`core.cluster.reading` decides when a peer is read, and what follows. Every attempt ends in one
event, also one that hangs, and a hung peer affects no other.
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

from mosha.core.cluster.effects import ReadStatus
from mosha.core.cluster.events import Event, ReadFailed, StatusRead
from mosha.core.cluster.peers import NO_CLSTAT
from mosha.core.status import Status
from mosha.formats.clstat import CLSTAT_MAX_BYTES, TornStatus, UnreadableStatus, parse_clstat
from mosha.host.files import read_file
from mosha.host.mounts import file_system_at
from mosha.host.workers import HungError, NoThreadError, Worker
from mosha.monitor.files.cluster_fs import Layout

WatchMode = Literal["auto", "events", "poll"]


class _Peer(Struct):
    node: int
    path: Path
    worker: Worker
    ordered: asyncio.Event = field(default_factory=asyncio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    limit_s: float = 0.0
    reading: _Reading | None = None


class _Reading(Struct, frozen=True):
    """The result of an attempt: the bytes and their status. `remote`: no change events."""

    data: bytes
    status: Status | None
    error: str
    remote: bool
    torn: bool = False


class StatusReader:
    """Carries out reads and reports the results. `run` is a task of the caller's group.

    The reported status is the same object as before if the bytes are the same.
    """

    def __init__(
        self, layout: Layout, report: Callable[[Event], None], *, watch: WatchMode = "auto"
    ) -> None:
        self._layout = layout
        self._report = report
        self._watch = watch
        self._peers: dict[int, _Peer] = {}
        self._group: TaskGroup | None = None
        # The hung threads of nodes that went away: a node that comes and goes must not cost a
        # thread each time.
        self._hung: dict[int, Worker] = {}

    def watch(self, nodes: Iterable[int]) -> None:
        """Keep a thread for each of these nodes from now on, and no others."""
        wanted = set(nodes)
        for node in self._peers.keys() - wanted:
            self._forget(self._peers.pop(node))
        for node in sorted(wanted - self._peers.keys()):
            worker = self._hung.pop(node, None) or Worker(f"reader of node {node}")
            peer = self._peers[node] = _Peer(node, self._layout.clstat(node), worker)
            if self._group is not None:
                self._group.start_soon(self._follow, peer)

    def read(self, order: ReadStatus) -> None:
        """Read the status of a watched node; reports `StatusRead` or `ReadFailed`."""
        peer = self._peers[order.node]
        peer.limit_s = order.limit_s
        peer.ordered.set()

    async def run(self) -> None:
        """Read until cancelled. Hung threads are abandoned."""
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
                await peer.ordered.wait()
                peer.ordered.clear()
                self._report(await self._attempt(peer))

    async def _attempt(self, peer: _Peer) -> Event:
        try:
            peer.reading = found = await peer.worker.call(
                _read, peer.node, peer.path, peer.reading, limit_s=peer.limit_s
            )
        except NoThreadError as problem:
            return ReadFailed(peer.node, str(problem))
        except HungError as problem:
            return ReadFailed(peer.node, str(problem), hung=True)
        polled = self._watch == "poll" or (self._watch == "auto" and found.remote)
        if found.status is None:
            return ReadFailed(peer.node, found.error, polled=polled, torn=found.torn)
        return StatusRead(peer.node, found.status, polled=polled)


def _read(node: int, path: Path, last: _Reading | None) -> _Reading:
    """Read and parse a status, in the thread. The same bytes are not parsed again."""
    remote = last is not None and last.remote
    try:
        # Links are followed here in the thread, where it may hang.
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
