"""One table of one node as a state machine: events go in, effects come out.

It finds edits in this node's file and newer versions on the peers, judges them, brings them into
force, writes them back, and reports what is refused. It uses no clock, no file and no coroutine; it
is mutable inside and pure from outside. Which version wins is decided in `judging.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mosha.core.replication.lineage import Past
from mosha.core.replication.table_adoption import Adoption, Source
from mosha.core.replication.table_events import (
    OwnTableChanged,
    OwnTableRead,
    OwnTableWritten,
    PeerTableRead,
    StoredTablesLost,
    TableLoaded,
    TableShown,
    TablesJoined,
    TableStored,
    TextKept,
)
from mosha.core.replication.table_own import OwnStage, OwnTable
from mosha.core.replication.table_peers import PeerStage, PeerTables
from mosha.core.replication.table_record import DISK, TableRecord
from mosha.core.replication.table_texts import Places
from mosha.core.status import TableVersion
from mosha.errors import BugError

ROUNDS_MAX = 50
"""Each adoption makes room for the next: more rounds at once are a bug."""

ReplicaEvent = (
    TableLoaded
    | OwnTableChanged
    | OwnTableRead
    | PeerTableRead
    | TablesJoined
    | TableStored
    | OwnTableWritten
    | TableShown
    | TextKept
    | StoredTablesLost
)


class TableReplica:
    """The table `name` of node `me`. `due` is when `pass_time` is wanted, in seconds of boottime.

    Until it is loaded nothing is done, and nothing is in force.
    """

    def __init__(self, name: str, me: int, places: Places) -> None:
        self.record = TableRecord(name, me, places)
        self.loaded = False
        self._adoption = Adoption(self.record)
        self.own = OwnTable(self.record, self._adoption)
        self.peers = PeerTables(self.record, self._adoption)
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            TableLoaded: self._load,
            OwnTableChanged: lambda _: self.own.want(),
            OwnTableRead: self.own.read,
            OwnTableWritten: self.own.written,
            TableShown: self.own.shown,
            TextKept: self.own.kept,
            PeerTableRead: self.peers.read,
            TablesJoined: self._adoption.joined,
            TableStored: self._adoption.stored,
            StoredTablesLost: lambda _: self._adoption.restore(),
        }

    @property
    def due(self) -> float:
        """When time alone requires something."""
        return min(self.own.due, self.peers.due, self.record.due)

    @property
    def idle(self) -> bool:
        """Whether no order is unanswered or pending."""
        own, peers = self.own, self.peers
        resting = peers.stage in {PeerStage.IDLE, PeerStage.PAUSING}
        return own.stage is OwnStage.IDLE and not own.wanted and resting and self._adoption.idle

    def handle(self, event: ReplicaEvent, now: float) -> None:
        """Handle an event; its effects are in `record.effects`.

        Raises:
            BugError: it answers no order.
        """
        try:
            handler = self._handlers[type(event)]
        except KeyError as error:
            raise BugError(f"a table knows no {type(event).__name__}") from error
        self.record.at(now, getattr(event, "wall_ns", None))
        force = self.record.force
        handler(event)
        if self.record.force is not force:
            self.own.want()  # the file must get what came into force
        self.go_on(now)

    def peer_has(self, node: int, version: TableVersion | None, past: Past, now: float) -> None:
        """Handle the version in force on a peer; None for one that has none or is not heard."""
        self.record.at(now)
        self.peers.has(node, version, past)
        self.go_on(now)

    def go_on(self, now: float) -> None:
        """Do what has become possible, or is due."""
        record, adoption = self.record, self._adoption
        record.at(now)
        if not self.loaded:
            return
        record.drop_ended_notices()
        for _ in range(ROUNDS_MAX):
            while adoption.ended:
                ended = adoption.ended.popleft()
                if ended.source is Source.OWN:
                    self.own.adopted(in_force=ended.in_force)
                elif ended.source is Source.PEER:
                    self.peers.adopted(in_force=ended.in_force)
            self.own.go_on()
            self.peers.go_on()
            if not adoption.ended:
                return
        raise BugError(f"{record.name} has something to adopt for ever")

    def _load(self, event: TableLoaded) -> None:
        record = self.record
        record.force, record.shown = event.in_force, event.adopted
        if event.error:
            record.refuse(DISK, "load", event.error)
        self.loaded = True
        self.own.want()
