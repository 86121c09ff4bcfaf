"""Replication of cltab and hactl: one node's part in agreeing on the newest valid tables.

People edit MFSBASE/NODE/VARPATH/{cltab,hactl} of any node. What is in force here lies in
STATE_DIR on the local disk, where clinit reads it, and as a copy in the own directory, for
people and peers. Each node publishes which versions are in force on it. The decisions are
in `mosha.core.replication`, the work on one table in `table_keeper` and its neighbours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import anyio
from msgspec import Struct, field

from mosha.core.lineage import Past
from mosha.core.replication import CLTAB, HACTL, TABLES, spread_limit_s
from mosha.core.status import TableVersion
from mosha.core.tables import STOP_LEVEL, Change, Cltab, Hactl, Wish
from mosha.errors import HostError, UsageError
from mosha.formats.agreement import Doubt, against_cltab, unknown_group
from mosha.formats.hactl import OPTIONS, parse_hactl, render_wish, set_wish
from mosha.monitor.table_files import few
from mosha.monitor.table_keeper import Keeper, Means
from mosha.monitor.table_own import OwnFile
from mosha.monitor.table_peers import PeerVersions
from mosha.monitor.table_store import TableStore
from mosha.monitor.workers import Worker

LIMIT_S = 5.0
"""How long a call on a file system may take. The network file systems that were measured
answer within 3 s when nothing is wrong."""


class Places(Protocol):
    """Where nodes publish; `mosha.monitor.mfs.Layout` is one."""

    def directory(self, node: int) -> Path:
        """Return the directory of a node."""
        ...


class Tables(Struct, frozen=True):
    """What is in force on this node, and what is wrong with what is not.

    `versions` are those that the own files show too, a moment later than they come into force.
    `pasts` are the versions that those in force came from. `refused` has a line for each table
    of which a text is not in force: the first mistake and how many there are. `missing` has the
    path at which to write each table that there is none of here. `warnings` are lines for people.
    """

    hactl: Hactl | None = None
    cltab: Cltab | None = None
    versions: Mapping[str, TableVersion] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    pasts: Mapping[str, Past] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Done(Struct, frozen=True):
    """What an edit came to: the line of hactl, where it is in force, and whether it is new."""

    line: str
    nodes: tuple[int, ...]
    changed: bool = True


class Replicator:
    """Keeps the tables of one node the newest valid ones of the cluster.

    `on_tables` is called on the event loop with everything, at the end of `load` and after
    each change; `tables` is what it was called with last. No call waits longer than
    `limit_s` for a file system; `heartbeat_s` is how often nodes hear each other at the least.
    """

    def __init__(
        self,
        layout: Places,
        me: int,
        state_dir: Path,
        on_tables: Callable[[Tables], None],
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        limit_s: float = LIMIT_S,
        heartbeat_s: float = 0.0,
    ) -> None:
        self.tables = Tables()
        self._on_tables = on_tables
        self._loaded = False
        self._setting = asyncio.Lock()
        self._news = asyncio.Event()
        self._spread_s = spread_limit_s(heartbeat_s)
        self._heard: set[int] = set()  # also those that have no table yet
        self._workers: dict[int, Worker] = {}
        self._means = Means(
            me=me,
            place=layout.directory,
            store=TableStore(state_dir),
            own=Worker("own tables"),
            disk=Worker("tables in force"),
            peer=self._worker,
            wall_ns=wall_ns,
            limit_s=limit_s,
        )
        self._keepers = {name: Keeper(name, self._means, self._tell) for name in TABLES}
        self._own = {name: OwnFile(keeper) for name, keeper in self._keepers.items()}
        self._peers = {name: PeerVersions(keeper) for name, keeper in self._keepers.items()}
        for name, keeper in self._keepers.items():
            keeper.on_adopted = self._own[name].want_look
            keeper.cltab = self._cltab

    async def load(self) -> None:
        """Bring into force what was so before, or a newer edit; once, before `run`."""
        async with anyio.create_task_group() as tasks:
            for name in TABLES:
                tasks.start_soon(self._load, name)
        self._loaded = True
        self.tables = self._now()
        self._on_tables(self.tables)

    async def _load(self, name: str) -> None:
        await self._keepers[name].load()
        await self._own[name].look()

    async def run(self) -> None:
        """Do what `look` and `peer_tables` ask for, until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                for name in TABLES:
                    tasks.start_soon(self._own[name].run, name=f"own {name}")
                    tasks.start_soon(self._peers[name].run, name=f"{name} of peers")
        finally:
            self.close()

    async def restore(self) -> None:
        """Write all that is in force once more, after a loss of the state directory."""
        for keeper in self._keepers.values():
            await keeper.restore()

    def close(self) -> None:
        """Let the threads go; nothing can be asked afterwards."""
        for worker in (self._means.own, self._means.disk, *self._workers.values()):
            worker.close()

    def look(self) -> None:
        """Have the own directory looked at soon: it changed, or a heartbeat has passed."""
        for own in self._own.values():
            own.want_look()

    def peer_tables(
        self,
        node: int,
        tables: Mapping[str, TableVersion],
        pasts: Mapping[str, Past] | None = None,
        *,
        fresh: bool,
    ) -> None:
        """Take in which versions a peer's newest status shows in force there, and their pasts."""
        if node != self._means.me:
            (self._heard.add if fresh else self._heard.discard)(node)
            for name, peers in self._peers.items():
                version = tables.get(name) if fresh else None
                peers.peer_has(node, version, (pasts or {}).get(name, ()))
            self._announce()

    async def set_wish(self, wish: Wish | Change, *, force: bool = False) -> Done:
        """Edit the wish of a group, newest everywhere; return what hactl says then, and where.

        Returns when all nodes that are heard have it, or some have and the others take long.
        `force`: also a wish that does not agree with cltab.

        Raises:
            UsageError: a group or a level that cltab in force lacks.
            HostError: hactl cannot be written, or is not in force here.
        """
        change = wish if isinstance(wish, Change) else Change(wish, frozenset(OPTIONS))
        async with self._setting:
            for name in TABLES:
                await self._own[name].look()
                await self._peers[name].pull()
            if not force:
                self._check(change.wish)

            def edit(data: bytes) -> bytes:
                before = parse_hactl(data, HACTL).wishes.get(change.wish.group)
                return set_wish(data.decode("utf-8"), change.applied(before)).encode("utf-8")

            before = self._keepers[HACTL].version
            after = await self._own[HACTL].put(edit, self._peers[HACTL].known)
            wanted = self._said(change.wish.group)
        return await self._spread(wanted, after, changed=before != after)

    async def _spread(self, wanted: str, version: TableVersion, *, changed: bool) -> Done:
        """Wait until the nodes that are heard have a version."""
        group = wanted.partition(" ")[0]
        with anyio.move_on_after(self._spread_s / 2):
            await self._until_on(version, lambda here: here >= self._heard)
        with anyio.move_on_after(self._spread_s / 2):
            await self._until_on(version, bool)
        said, nodes = self._said(group), self._nodes_with(version)
        if said != wanted:
            text = f"{wanted!r} was in force for a moment, and another edit holds: {said!r}"
            raise HostError(text)
        return Done(wanted, tuple(sorted({*nodes, self._means.me})), changed)

    async def _until_on(
        self, version: TableVersion, enough: Callable[[frozenset[int]], bool]
    ) -> None:
        while self._heard and not enough(self._nodes_with(version)):
            await self._news.wait()

    def _nodes_with(self, version: TableVersion) -> frozenset[int]:
        """Return the peers that have a version, or what is in force here and came from it."""
        peers, now = self._peers[HACTL], self._keepers[HACTL].version
        return peers.nodes_with(version) | (peers.nodes_with(now) if now else frozenset())

    def _said(self, group: str) -> str:
        """Return what hactl in force here says of a group."""
        force = self._keepers[HACTL].force
        table = force.table if force else None
        wish = table.wishes.get(group) if isinstance(table, Hactl) else None
        return render_wish(wish) if wish else ""

    def unknown_groups(self) -> list[str]:
        """Return the groups that hactl in force names and cltab lacks (H4.6)."""
        return _unknown_groups(self.tables.hactl, self.tables.cltab)

    def _cltab(self) -> Cltab | None:
        force = self._keepers[CLTAB].force
        return force.table if force and isinstance(force.table, Cltab) else None

    def _check(self, wish: Wish) -> None:
        cltab = self._cltab()
        doubt = _doubt(wish, cltab)
        if wish.level == STOP_LEVEL and (cltab is None or self._said(wish.group)):
            doubt = None  # it may be a way to end it, and takes nothing
        if doubt is not None:
            raise UsageError(f"{doubt.told}; {doubt.remedy}")

    def _worker(self, node: int) -> Worker:
        found = self._workers.get(node)
        if found is None:
            found = self._workers[node] = Worker(f"tables of node {node}")
        return found

    # --- telling ---------------------------------------------------------------------

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _tell(self) -> None:
        self._announce()
        if self._loaded:
            now = self._now()
            if now != self.tables:
                self.tables = now
                self._on_tables(now)

    def _now(self) -> Tables:
        hactl, cltab = self._keepers[HACTL].force, self._keepers[CLTAB].force
        wishes = hactl.table if hactl and isinstance(hactl.table, Hactl) else None
        entries = cltab.table if cltab and isinstance(cltab.table, Cltab) else None
        keepers = self._keepers.values()
        return Tables(
            hactl=wishes,
            cltab=entries,
            versions={k.name: k.announced.version for k in keepers if k.announced},
            refused={k.name: k.refused for k in keepers if k.refused},
            pasts={k.name: k.announced.past for k in keepers if k.announced and k.announced.past},
            missing={k.name: str(k.path) for k in keepers if k.force is None and not k.refused},
            warnings=(
                *(line for keeper in keepers for line in keeper.notices),
                *self._remarks(wishes, entries),
            ),
        )

    def _remarks(self, hactl: Hactl | None, cltab: Cltab | None) -> Sequence[str]:
        """Return what hardly is meant: groups that cltab lacks, ignored words."""
        wishes = hactl.wishes.values() if hactl else ()
        doubts = ((wish, _doubt(wish, cltab)) for wish in wishes)
        found = [f"hactl:{w.line}: {d.told}; {d.remedy}" for w, d in doubts if d is not None]
        return few(found, HACTL)


def _unknown_groups(hactl: Hactl | None, cltab: Cltab | None) -> list[str]:
    known = set(cltab.groups()) if cltab else set()
    return sorted(set(hactl.wishes) - known) if hactl else []


def _doubt(wish: Wish, cltab: Cltab | None) -> Doubt | None:
    if wish.group not in (cltab.groups() if cltab else ()):
        return unknown_group(wish.group, cltab.groups() if cltab else ())
    return against_cltab(wish, cltab) if cltab else None
