"""The versions of one table that are in force on the peers: the newest is fetched.

A peer says in its status which version it has, so no file of a peer is read in vain. A peer
that hangs is asked last, and its thread is its own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
from msgspec.structs import replace

from mosha.core.lineage import Past
from mosha.core.replication import ahead_s, choose_peer, is_newer
from mosha.core.status import TableVersion
from mosha.errors import HostError
from mosha.monitor.table_files import Seen, in_force, read_table, shown_beside
from mosha.monitor.table_keeper import Keeper, named
from mosha.monitor.workers import reason

FETCH_PAUSES_S = (0.05, 0.2, 0.5)
"""A peer may publish a version a moment before its file shows it. After these pauses its next
status asks again."""

REJECTED_MAX = 16
"""How many versions that cannot be read here are remembered, so as not to fetch them again."""


class PeerVersions:
    """What the peers have of one table."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._means = keeper.means
        self._adverts: dict[int, TableVersion] = {}
        self._pasts: dict[int, Past] = {}
        self._rejected: dict[TableVersion, str] = {}
        self._failed: dict[int, TableVersion] = {}
        self._wanted = asyncio.Event()
        self._pulling = asyncio.Lock()

    def known(self) -> list[TableVersion]:
        """Return the versions that are in force here and there."""
        own = self._keeper.version
        return [*self._adverts.values(), *([own] if own else [])]

    def nodes_with(self, version: TableVersion) -> frozenset[int]:
        """Return the peers on which a version is in force, or one that came from it."""
        return frozenset(
            node
            for node, there in self._adverts.items()
            if there == version or version in self._pasts[node]
        )

    def peer_has(self, node: int, version: TableVersion | None, past: Past = ()) -> None:
        """Take in what is in force on a peer; None for one that has none or is not heard.

        `past` is what that version came from.
        """
        keeper = self._keeper
        self._pasts[node] = past
        if version is None:
            self._adverts.pop(node, None)
            self._failed.pop(node, None)
            keeper.clear(node)
            return
        self._adverts[node] = version
        refusal = keeper.refusal(node)
        if refusal and refusal.what != version:
            keeper.clear(node)
        now_ns = self._means.wall_ns()
        ahead = ahead_s(version, now_ns)
        if is_newer(version, keeper.version, now_ns):
            if version in self._rejected:
                keeper.refuse(node, version, self._rejected[version])
            else:
                self._wanted.set()
        elif ahead and version != keeper.version:
            path = self._means.place(node) / keeper.name
            problem = f"{path}: its time lies {ahead} s ahead of this node's clock"
            keeper.refuse(node, version, f"{problem}; set the clocks, then touch it")
        else:
            keeper.clear(node)

    async def run(self) -> None:
        """Fetch whenever a peer has something newer, until cancelled."""
        while True:
            await self._wanted.wait()
            for pause_s in (*FETCH_PAUSES_S, 0.0):
                self._wanted.clear()
                if await self.pull():
                    break
                with anyio.move_on_after(pause_s):
                    await self._wanted.wait()

    async def pull(self) -> bool:
        """Fetch the newest version and bring it into force; tell whether none is left."""
        async with self._pulling:
            asked: set[int] = set()
            while (node := self._choose(asked)) is not None:
                version = self._adverts[node]
                if await self._fetch(node, version):
                    self._failed.pop(node, None)
                else:
                    asked.add(node)
        return self._choose(set()) is None

    def _choose(self, asked: set[int]) -> int | None:
        """Return whom to ask next; those that failed last time come last."""
        version, now_ns = self._keeper.version, self._means.wall_ns()
        left = {node: has for node, has in self._adverts.items() if node not in asked}
        good = {node: has for node, has in left.items() if node not in self._failed}
        chosen = choose_peer(version, good, now_ns, self._rejected)
        return chosen or choose_peer(version, left, now_ns, self._rejected)

    async def _fetch(self, node: int, version: TableVersion) -> bool:
        """Bring a peer's version into force; tell whether there is no need to ask again."""
        keeper, means, past = self._keeper, self._means, self._pasts[node]
        if keeper.force and keeper.force.version.digest == version.digest:
            return await keeper.adopt(replace(keeper.force, version=version, past=past), node)
        path = means.place(node) / keeper.name
        try:
            seen = await means.peer(node).call(
                _read_either, path, keeper.name, version.digest, limit_s=means.limit_s
            )
        except (OSError, HostError) as error:
            self._note_failure(node, version, reason(error))
            return False
        if seen.version is None or seen.version.digest != version.digest:
            self._note_failure(node, version, seen.distrust or "its file shows another text")
            return False
        if seen.table is None:
            self._reject(node, version, seen.mistakes)
            return True
        return await keeper.adopt(in_force(seen, version, past), node)

    def _note_failure(self, node: int, version: TableVersion, why: str) -> None:
        if self._failed.get(node) != version:
            self._failed[node] = version
            self._keeper.log.warning(
                "table_fetch_failed", origin=node, reason=why, **named(version)
            )

    def _reject(self, node: int, version: TableVersion, why: str) -> None:
        while len(self._rejected) >= REJECTED_MAX:
            del self._rejected[next(iter(self._rejected))]
        self._rejected[version] = why
        self._keeper.refuse(node, version, why)


def _read_either(path: Path, name: str, digest: str) -> Seen:
    """Read a peer's file, or what it shows beside a text of that file which it refuses."""
    seen = read_table(path, name)
    if seen.version is not None and seen.version.digest == digest:
        return seen
    beside = read_table(shown_beside(path), name)
    return beside if beside.version is not None else seen
