"""Reads the statuses of all peers, in threads that can be abandoned.

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
from mosha.formats.clstat import (
    CLSTAT_MAX_BYTES,
    ParsedStatus,
    TornStatus,
    UnreadableStatus,
    parse_next,
)
from mosha.host.files import read_facts
from mosha.host.mounts import Mounts, file_system_at, read_mounts
from mosha.host.workers import HungError, NoThreadError, Worker
from mosha.monitor.files.cluster_fs import Layout

WatchMode = Literal["auto", "events", "poll"]


SHARED_LIMIT_SHARE = 0.5
"""Reads in the shared thread get this share of their limit: what hangs there is read once more."""


class _Peer(Struct):
    node: int
    path: Path
    worker: Worker
    ordered: asyncio.Event = field(default_factory=asyncio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    limit_s: float = 0.0
    reading: _Reading | None = None
    hung: bool = False


class _Reading(Struct, frozen=True):
    """The result of an attempt: the bytes and their status. `remote`: no change events.

    `device` and `mounts` are what `remote` was derived from.
    """

    data: bytes
    parsed: ParsedStatus | None
    error: str
    remote: bool
    torn: bool = False
    device: int = -1
    mounts: Mounts | None = None


class StatusReader:
    """Carries out reads and reports the results. `run` is a task of the caller's group.

    The reported status is the same object as before if the bytes are the same. A peer that was
    found on a local file system is read in one thread together with the others of that kind: to
    hand over to a thread and back costs more than to read. If that thread hangs, each of them is
    read in a thread of its own, as those on remote file systems always are; one that hung there
    stays by itself until it answers.
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
        self._shared = Worker("reader of local nodes")
        self._shared_hangs = False
        self._shared_orders: list[_Peer] = []
        self._shared_ordered = asyncio.Event()

    def watch(self, nodes: Iterable[int]) -> None:
        """Read these nodes from now on, and no others."""
        wanted = set(nodes)
        for node in self._peers.keys() - wanted:
            self._forget(self._peers.pop(node))
        for node in sorted(wanted - self._peers.keys()):
            worker = self._hung.pop(node, None) or _worker(node)
            peer = self._peers[node] = _Peer(node, self._layout.clstat(node), worker)
            if self._group is not None:
                self._group.start_soon(self._follow, peer)

    def read(self, order: ReadStatus) -> None:
        """Read the status of a watched node; reports `StatusRead` or `ReadFailed`."""
        peer = self._peers[order.node]
        peer.limit_s = order.limit_s
        if self._shares(peer):
            self._shared_orders.append(peer)
            self._shared_ordered.set()
        else:
            peer.ordered.set()

    async def run(self) -> None:
        """Read until cancelled. Hung threads are abandoned."""
        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._follow_shared)
                for peer in self._peers.values():
                    self._group.start_soon(self._follow, peer)
                await anyio.sleep_forever()
        finally:
            self._group = None
            for worker in (*self._hung.values(), *(p.worker for p in self._peers.values())):
                worker.close()
            self._shared.close()

    def _forget(self, peer: _Peer) -> None:
        peer.scope.cancel()
        if peer.worker.busy is None:
            peer.worker.close()
        else:
            self._hung[peer.node] = peer.worker

    def _shares(self, peer: _Peer) -> bool:
        """Say whether a peer is read in the shared thread."""
        if self._shared_hangs:
            self._shared_hangs = self._shared.busy is not None
        found = peer.reading
        known_as_local = found is not None and not found.remote
        return known_as_local and not peer.hung and not self._shared_hangs

    async def _follow_shared(self) -> None:
        while True:
            await self._shared_ordered.wait()
            self._shared_ordered.clear()
            peers, self._shared_orders = self._shared_orders, []
            limit_s = min(peer.limit_s for peer in peers) * SHARED_LIMIT_SHARE
            reads = [(peer.node, peer.path, peer.reading) for peer in peers]
            try:
                found = await self._shared.call(_read_all, reads, limit_s=limit_s)
            except HungError:
                self._shared_hangs = True
                for peer in (*peers, *self._shared_orders):
                    peer.ordered.set()
                self._shared_orders = []
                self._shared_ordered.clear()
            else:
                for peer, reading in zip(peers, found, strict=True):
                    if self._peers.get(peer.node) is peer:
                        self._report(self._read(peer, reading))

    async def _follow(self, peer: _Peer) -> None:
        with peer.scope:
            while True:
                await peer.ordered.wait()
                peer.ordered.clear()
                self._report(await self._attempt(peer))
                if self._shares(peer):
                    peer.worker.close()  # an idle thread costs memory
                    peer.worker = _worker(peer.node)

    async def _attempt(self, peer: _Peer) -> Event:
        try:
            found = await peer.worker.call(
                _read, peer.node, peer.path, peer.reading, limit_s=peer.limit_s
            )
        except NoThreadError as problem:
            return ReadFailed(peer.node, str(problem))
        except HungError as problem:
            peer.hung = True  # it gets little time, and the others shall not have as little
            return ReadFailed(peer.node, str(problem), hung=True)
        peer.hung = False
        return self._read(peer, found)

    def _read(self, peer: _Peer, found: _Reading) -> Event:
        """Return the event of an attempt that has returned."""
        peer.reading = found
        polled = self._watch == "poll" or (self._watch == "auto" and found.remote)
        if found.parsed is None:
            return ReadFailed(peer.node, found.error, polled=polled, torn=found.torn)
        return StatusRead(peer.node, found.parsed.status, polled=polled)


def _worker(node: int) -> Worker:
    return Worker(f"reader of node {node}")


def _read_all(reads: Iterable[tuple[int, Path, _Reading | None]]) -> list[_Reading]:
    return [_read(node, path, last) for node, path, last in reads]


def _read(node: int, path: Path, last: _Reading | None) -> _Reading:
    """Read and parse a status, in the thread. The same bytes are not parsed again."""
    remote = last is not None and last.remote
    try:
        mounts = read_mounts()
        try:
            facts = read_facts(path, CLSTAT_MAX_BYTES)
        except FileNotFoundError:
            return _Reading(b"", None, NO_CLSTAT, file_system_at(path.parent).remote)
        if last is None or last.mounts is not mounts or last.device != facts.device:
            # Links are followed here in the thread, where it may hang.
            remote = file_system_at(path.parent).remote
    except OSError as error:
        return _Reading(b"", None, f"cannot be read: {error.strerror}", remote)
    found = _Reading(facts.data, None, "", remote, device=facts.device, mounts=mounts)
    if last is not None and facts.data and facts.data == last.data:
        return replace(found, parsed=last.parsed, error=last.error, torn=last.torn)
    try:
        parsed = parse_next(facts.data, last.parsed if last is not None else None)
    except TornStatus as error:
        return replace(found, error=f"torn: {error}", torn=True)
    except UnreadableStatus as error:
        return replace(found, error=f"unreadable: {error}")
    if parsed.status.node != node:
        return replace(found, error=f"it is of node {parsed.status.node}")
    return replace(found, parsed=parsed)
