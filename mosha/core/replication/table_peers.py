"""The versions of one table that are in force on the peers: the newest is fetched.

A peer publishes in its status which version it has, so no file of a peer is read needlessly. A peer
that hangs is tried last.
"""

from __future__ import annotations

import enum
import math

from msgspec.structs import replace

from mosha.core.replication.judging import ahead_s, choose_peer, is_newer
from mosha.core.replication.lineage import Past
from mosha.core.replication.table_adoption import Adoption, Source
from mosha.core.replication.table_effects import ReadPeerTable
from mosha.core.replication.table_events import PeerTableRead
from mosha.core.replication.table_record import TableRecord
from mosha.core.replication.table_texts import named
from mosha.core.status import TableVersion
from mosha.errors import BugError

FETCH_PAUSES_S = (0.05, 0.2, 0.5)
"""A peer may publish a version a moment before its file shows it. After these pauses its next
status asks again."""

REJECTED_MAX = 16
"""How many versions that cannot be read here are remembered, to avoid fetching them again."""


class PeerStage(enum.Enum):
    """What the pull from the peers waits for."""

    IDLE = "idle"
    READING = "reading"
    ADOPTING = "adopting"
    PAUSING = "pausing"


class PeerTables:
    """The peers' versions of one table.

    `due` is the next retry. `pulled_no` is the number of the last pull that has ended.
    """

    def __init__(self, record: TableRecord, adoption: Adoption) -> None:
        self.stage = PeerStage.IDLE
        self.due = math.inf
        self.begun_no = 0
        self.pulled_no = 0
        self._record = record
        self._adoption = adoption
        self._adverts: dict[int, TableVersion] = {}
        self._pasts: dict[int, Past] = {}
        self._rejected: dict[TableVersion, str] = {}
        self._failed: dict[int, TableVersion] = {}
        self._wanted = False
        self._pauses = 0
        self._asked: set[int] = set()
        self._node = 0
        self._version: TableVersion | None = None

    def known(self) -> tuple[TableVersion, ...]:
        """Return the versions that are in force here and there."""
        own = self._record.version
        return (*self._adverts.values(), *([own] if own else []))

    def nodes_with(self, version: TableVersion) -> frozenset[int]:
        """Return the peers on which a version or a descendant of it is in force."""
        return frozenset(
            node
            for node, there in self._adverts.items()
            if there == version or version in self._pasts[node]
        )

    def has(self, node: int, version: TableVersion | None, past: Past) -> None:
        """Handle the version in force on a peer; None for one that has none or is not heard.

        `past` is the ancestry of that version.
        """
        record = self._record
        self._pasts[node] = past
        if version is None:
            self._adverts.pop(node, None)
            self._failed.pop(node, None)
            record.clear(node)
            return
        self._adverts[node] = version
        if version == record.version:
            record.clear(node)
            return
        refusal = record.refusal(node)
        if refusal and refusal.what != version:
            record.clear(node)
        ahead = ahead_s(version, record.wall_ns)
        if is_newer(version, record.version, record.wall_ns):
            if version in self._rejected:
                record.refuse(node, version, self._rejected[version])
            else:
                self._wanted = True
        elif ahead:
            path = f"{record.places.directory(node)}/{record.name}"
            problem = f"{path}: its time lies {ahead} s ahead of this node's clock"
            record.refuse(node, version, f"{problem}; set the clocks, then touch it")
        else:
            record.clear(node)

    def want(self) -> None:
        """Request a pull from peers with newer versions now."""
        self._wanted = True

    def go_on(self) -> None:
        """Start a pull if one is wanted, or if a pause is over."""
        if self.stage is PeerStage.PAUSING:
            if not self._wanted and self.due > self._record.now:
                return
        elif self.stage is not PeerStage.IDLE or not self._wanted:
            return
        self._wanted = False
        self.due = math.inf
        self.begun_no += 1
        self._asked.clear()
        self._ask_next()

    # --- one after the other -----------------------------------------------------------

    def _ask_next(self) -> None:
        record = self._record
        node = self._choose(self._asked)
        if node is None:
            self._end()
            return
        self._node = node
        self._version = version = self._adverts[node]
        force = record.force
        if force is not None and force.version.digest == version.digest:
            self.stage = PeerStage.ADOPTING
            same = replace(force, version=version, past=self._pasts[node])
            self._adoption.adopt(same, node, Source.PEER)
        else:
            self.stage = PeerStage.READING
            record.order(ReadPeerTable(record.name, node, version))

    def _choose(self, asked: set[int]) -> int | None:
        """Return the peer to ask next; those that failed last time come last."""
        version, wall_ns = self._record.version, self._record.wall_ns
        left = {node: has for node, has in self._adverts.items() if node not in asked}
        good = {node: has for node, has in left.items() if node not in self._failed}
        chosen = choose_peer(version, good, wall_ns, self._rejected)
        return chosen or choose_peer(version, left, wall_ns, self._rejected)

    def _end(self) -> None:
        self.pulled_no = self.begun_no
        if self._choose(set()) is None or self._pauses == len(FETCH_PAUSES_S):
            self.stage, self._pauses = PeerStage.IDLE, 0
            return
        self.stage = PeerStage.PAUSING
        self.due = self._record.now + FETCH_PAUSES_S[self._pauses]
        self._pauses += 1

    def read(self, event: PeerTableRead) -> None:
        """Handle a peer's file."""
        if self.stage is not PeerStage.READING or self._version is None:
            raise BugError(f"{self._record.name} of a peer was read while {self.stage.value}")
        node, version, seen = self._node, self._version, event.seen
        if event.error:
            self._note_failure(event.error)
        elif seen.version is None or seen.version.digest != version.digest:
            self._note_failure(seen.distrust or "its file shows another text")
        elif seen.table is None:
            self._reject(seen.mistakes)
        else:
            self.stage = PeerStage.ADOPTING
            past = self._pasts[node] if self._adverts.get(node) == version else ()
            self._adoption.adopt(seen.in_force(version, past), node, Source.PEER)
            return
        self._ask_next()

    def adopted(self, *, in_force: bool) -> None:
        """Handle whether the version of a peer is in force."""
        if self.stage is not PeerStage.ADOPTING:
            raise BugError(f"{self._record.name} of a peer was adopted while {self.stage.value}")
        if in_force:
            self._failed.pop(self._node, None)
        else:
            self._asked.add(self._node)
        self._ask_next()

    def _note_failure(self, why: str) -> None:
        node, version = self._node, self._version
        self._asked.add(node)
        if version is not None and self._failed.get(node) != version:
            self._failed[node] = version
            self._record.log("table_fetch_failed", origin=node, reason=why, **named(version))

    def _reject(self, why: str) -> None:
        version = self._version
        while len(self._rejected) >= REJECTED_MAX:
            del self._rejected[next(iter(self._rejected))]
        if version is not None:
            self._rejected[version] = why
            self._record.refuse(self._node, version, why)
