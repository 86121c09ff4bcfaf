"""The tables of one node as a state machine: a replica of each, and the edits by programs.

Part of the agent (`core.cluster.agent`), which passes it events about files and what peers publish,
and takes its effects and, after changes, what is in force.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from mosha.core.cluster.state import LogRecord
from mosha.core.replication.judging import CLTAB, HACTL, TABLES, spread_limit_s
from mosha.core.replication.lineage import Past
from mosha.core.replication.table_edits import Edits
from mosha.core.replication.table_effects import TableEffect
from mosha.core.replication.table_events import EditAsked, StoredTablesLost, TableEvent, TextEdited
from mosha.core.replication.table_replica import TableReplica
from mosha.core.replication.table_texts import Places
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl, Table


class Tables(Struct, frozen=True):
    """What is in force on this node, and what is wrong with what is not.

    `versions` are those that this node's files have too, a moment after they come into force.
    `pasts` are their ancestors. `refused` has a line for each table with a text that is not in
    force: the first mistake and how many there are. `missing` has the path at which to write each
    table that does not exist here. `notices` are lines for people.
    """

    hactl: Hactl | None = None
    cltab: Cltab | None = None
    versions: Mapping[str, TableVersion] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    pasts: Mapping[str, Past] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


class NodeTables:
    """All tables of node `me`; `heartbeat_s` is how often nodes hear each other at least.

    `due` is when `pass_time` is wanted. `now` is what is in force and published; it changes only
    after everything that was in force before, and newer edits of it, have been found (`complete`).
    """

    def __init__(self, me: int, places: Places, heartbeat_s: float = 0.0) -> None:
        self.me = me
        self.now = Tables()
        self.due = math.inf
        self.complete = False
        self._replicas = {name: TableReplica(name, me, places) for name in TABLES}
        self._records = [replica.record for replica in self._replicas.values()]
        self._edits = Edits(self._replicas, spread_limit_s(heartbeat_s))
        self._said: dict[int, tuple[object, object, bool]] = {}
        self._in_force: dict[str, TableVersion] = {}

    @property
    def idle(self) -> bool:
        """Whether every order has been answered, and none is pending."""
        return all(replica.idle for replica in self._replicas.values())

    def replica(self, name: str) -> TableReplica:
        """Return the machine of one table."""
        return self._replicas[name]

    def handle(self, event: TableEvent, now: float) -> None:
        """Handle an event about a file, or a request for an edit.

        Raises:
            BugError: it answers no order.
        """
        match event:
            case EditAsked():
                self._edits.asked(event, now)
            case TextEdited():
                self._hactl.record.at(now, event.wall_ns)
                self._edits.edited(event, now)
            case StoredTablesLost():
                for replica in self._replicas.values():
                    replica.handle(event, now)
            case _:
                self._replicas[event.table].handle(event, now)
        self._go_on(now)

    def look(self, now: float) -> None:
        """Check this node's files: a heartbeat has passed, or they may have changed."""
        for replica in self._replicas.values():
            replica.own.want()
            replica.go_on(now)
        self._go_on(now)

    def peer_has(
        self,
        node: int,
        versions: Mapping[str, TableVersion],
        pasts: Mapping[str, Past],
        now: float,
        *,
        fresh: bool,
    ) -> bool:
        """Take in which versions a peer's newest status shows in force there, and their pasts.

        Returns whether anything can follow from that.
        """
        said = (versions, pasts, fresh)
        in_force = not versions or versions == self._in_force
        if node == self.me or (self._said.get(node) == said and in_force):
            return False  # it has nothing, or what is in force here, and it was so before
        self._said[node] = said
        (self._edits.heard.add if fresh else self._edits.heard.discard)(node)
        for name, replica in self._replicas.items():
            version = versions.get(name) if fresh else None
            replica.peer_has(node, version, pasts.get(name, ()), now)
        self._go_on(now)
        return True

    def pass_time(self, now: float) -> None:
        """Do what is due."""
        for replica in self._replicas.values():
            replica.go_on(now)
        self._go_on(now)

    def take_effects(self) -> Iterator[TableEffect | LogRecord]:
        """Yield what is to be done."""
        for record in self._records:
            if record.effects:
                effects, record.effects = record.effects, []
                yield from effects

    def take_news(self) -> bool:
        """Bring `now` up to date; say whether it has changed."""
        if not self.complete:
            return False
        news = False
        for record in self._records:
            news, record.news = news or record.news, False
        if not news:
            return False
        before, self.now = self.now, self._tables()
        return self.now != before

    @property
    def _hactl(self) -> TableReplica:
        return self._replicas[HACTL]

    def _go_on(self, now: float) -> None:
        due = math.inf
        if self._edits.busy:
            self._edits.go_on(now)
            due = self._edits.due
        for name, replica in self._replicas.items():
            force = replica.record.force
            if force is not None and force.version is not self._in_force.get(name):
                self._in_force[name] = force.version
                if name == CLTAB:
                    self._cltab_in_force(force.table)
            due = min(due, replica.due)
        self.due = due
        if not self.complete:
            self.complete = all(r.own.ended_no for r in self._replicas.values())

    def _cltab_in_force(self, table: Table) -> None:
        for record in self._records:
            record.cltab = table if isinstance(table, Cltab) else None

    def _tables(self) -> Tables:
        records = self._records
        force = {record.name: record.force.table for record in records if record.force}
        hactl, cltab = force.get(HACTL), force.get(CLTAB)
        shown = {record.name: record.announced for record in records if record.announced}
        return Tables(
            hactl=hactl if isinstance(hactl, Hactl) else None,
            cltab=cltab if isinstance(cltab, Cltab) else None,
            versions={name: text.version for name, text in shown.items()},
            refused={r.name: r.refused for r in records if r.refused},
            pasts={name: text.past for name, text in shown.items() if text.past},
            missing={r.name: r.path for r in records if r.force is None and not r.refused},
            notices=tuple(line for record in records for line in record.notices),
        )
