"""cltab and hactl on one node: an edit, its judgement, and what peers have that is newer.

The decisions are those of the real `core.replication`; texts travel with their versions.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from msgspec import Struct, field

from mosha.core import replication
from mosha.core.agent_effects import LookAround, PeerTables
from mosha.core.agent_events import TablesAdopted
from mosha.core.memory import Memory
from mosha.core.quorum import Electorate
from mosha.core.recovery import NOTHING
from mosha.core.replication import CLTAB, HACTL, TABLES, Do, Found
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import parse_hactl
from mosha.formats.mistakes import Mistakes
from mosha.monitor.table_keeper import SHOWN_MAX

if TYPE_CHECKING:
    from tests.sim.monitor import Monitor


class Shelf(Struct):
    """One table in a node's directory: the file that people edit, and what is in force.

    `beside` is the text in force, shown to peers while the file has one that is refused.
    """

    file: tuple[bytes, int] | None = None
    beside: bytes | None = None
    in_force: tuple[bytes, TableVersion] | None = None
    shown: tuple[TableVersion, ...] = ()
    refused: TableVersion | None = None
    superseded: bool = False


class Disk(Struct):
    """What a node has on disk besides its clstat; it survives all but its loss."""

    tables: dict[str, Shelf] = field(default_factory=lambda: {name: Shelf() for name in TABLES})
    electorate: Electorate | None = None
    memory: Memory = NOTHING

    def text(self, name: str) -> bytes | None:
        """Return the text of a table in force."""
        kept = self.tables[name].in_force
        return kept[0] if kept else None

    def shown(self, name: str, wanted: TableVersion) -> bytes | None:
        """Return the text of a version if its file shows it to peers, or what is beside that."""
        shelf = self.tables[name]
        texts = (shelf.file[0] if shelf.file else None, shelf.beside)
        return next(
            (
                t
                for t in texts
                if t is not None and replication.version_of(t, 0).digest == wanted.digest
            ),
            None,
        )


class Tables:
    """The replicator of one monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.of = {name: _Table(self, name) for name in TABLES}

    def open(self) -> None:
        """Bring into force what was so before, or a newer edit."""
        if any(shelf.in_force for shelf in self.monitor.machine.disk.tables.values()):
            self.tell()
        self.look()

    def look_around(self, order: LookAround) -> None:
        """Judge what lies in the own directory, and fetch what peers have that is newer."""
        del order
        self.look()
        for table in self.of.values():
            table.choose()

    def look(self) -> None:
        """Judge what lies in the own directory."""
        for table in self.of.values():
            table.look()

    def heard(self, order: PeerTables) -> None:
        """Take in what a peer has in force; fetch it if it is newer."""
        for name, version in order.versions.items():
            self.of[name].heard(order.node, version)

    def tell(self) -> None:
        """Report what is in force."""
        monitor, shelves = self.monitor, self.monitor.machine.disk.tables
        versions = {n: shelf.in_force[1] for n, shelf in shelves.items() if shelf.in_force}
        refused = {name: table.refusal for name, table in self.of.items() if table.refusal}
        wishes, entries = shelves[HACTL].in_force, shelves[CLTAB].in_force
        hactl = read_hactl(wishes[0])[0] if wishes else None
        cltab = read_cltab(entries[0])[0] if entries else None
        monitor.report(TablesAdopted(hactl, cltab, versions, refused))


class _Table(Struct):
    """One table of one monitor."""

    tables: Tables
    name: str
    adverts: dict[int, TableVersion] = field(default_factory=dict)
    rejected: set[TableVersion] = field(default_factory=set)
    failed: dict[int, TableVersion] = field(default_factory=dict)
    refusal: str = ""
    fetching: bool = False
    _quiet: tuple[object, object] | None = None
    _agreed: object = None

    @property
    def monitor(self) -> Monitor:
        return self.tables.monitor

    @property
    def shelf(self) -> Shelf:
        return self.monitor.machine.disk.tables[self.name]

    @property
    def _now_ns(self) -> int:
        return int(self.monitor.machine.wall_s * replication.NS_PER_S)

    def look(self) -> None:
        """Judge what lies in the own directory."""
        shelf, now_ns = self.shelf, self._now_ns
        if (shelf.file, shelf.in_force) == self._quiet:
            return  # what was looked at already, and there was nothing to do about it
        in_force = shelf.in_force[1] if shelf.in_force else None
        found = Found()
        if shelf.file is not None:
            data, mtime_ns = shelf.file
            version = replication.version_of(data, mtime_ns)
            superseded = shelf.superseded and version == shelf.refused
            found = Found(version, mistakes=mistakes_in(self.name, data), superseded=superseded)
        verdict = replication.judge_local(in_force, found, now_ns, shelf.shown)
        self.monitor.machine.cover(f"rule {self.name} {verdict.do.value}")
        refusal = ""
        self._quiet = (shelf.file, shelf.in_force) if verdict.do is Do.NOTHING else None
        if verdict.do is Do.NOTHING:
            shelf.shown = (in_force,) if in_force else ()
        shelf.beside = (
            self.monitor.machine.disk.text(self.name) if verdict.do is Do.REFUSE else None
        )
        match verdict.do:
            case Do.ADOPT if shelf.file is not None and found.version is not None:
                self._take(shelf.file[0], found.version)
                return
            case Do.REFUSE:
                refusal = verdict.why
                if found.version != shelf.refused:
                    shelf.refused, shelf.superseded = found.version, False
            case Do.DISCARD | Do.WRITE if shelf.in_force is not None:
                shelf.file = (shelf.in_force[0], shelf.in_force[1].mtime_ns)
        if refusal != self.refusal:
            self.refusal = refusal
            self.tables.tell()

    def _take(self, data: bytes, version: TableVersion) -> None:
        shelf = self.shelf
        shelf.shown = (*shelf.shown, version)[-SHOWN_MAX:]
        shelf.in_force = (data, version)
        shelf.superseded = shelf.refused is not None
        self.refusal = ""
        self.monitor.cluster.in_force(self.monitor.machine.id, self.name, data)
        self.tables.tell()

    def heard(self, node: int, version: TableVersion) -> None:
        """Take in what a peer has in force."""
        if self.adverts.get(node) != version:
            self.adverts[node] = version
            self._agreed = None
            self.choose()

    def choose(self) -> None:
        """Fetch the newest version of all peers; those that failed last time come last."""
        if self.fetching or (self._agreed is not None and self._agreed is self.shelf.in_force):
            return
        in_force = self.shelf.in_force[1] if self.shelf.in_force else None
        if in_force is not None and all(v == in_force for v in self.adverts.values()):
            self._agreed = self.shelf.in_force
            return
        good = {n: v for n, v in self.adverts.items() if self.failed.get(n) != v}
        for adverts in (good, self.adverts):
            node = replication.choose_peer(in_force, adverts, self._now_ns, self.rejected)
            if node is not None:
                self.fetching = True
                self.monitor.soon(self.monitor.world.lag_s, partial(self._fetch, node))
                return

    def _fetch(self, node: int) -> None:
        self.fetching = False
        monitor, wanted = self.monitor, self.adverts[node]
        in_force = self.shelf.in_force[1] if self.shelf.in_force else None
        if not replication.is_newer(wanted, in_force, self._now_ns):
            return
        blocked = monitor.cluster.weather.cut(monitor.machine.id, node)
        data = None if blocked else monitor.cluster.machines[node].disk.shown(self.name, wanted)
        if data is None:
            if self.failed.get(node) != wanted:
                self.failed[node] = wanted
                self.choose()
            return
        self.failed.pop(node, None)
        if mistakes_in(self.name, data):
            self.rejected.add(wanted)
            return
        self.shelf.file = (data, wanted.mtime_ns)
        monitor.machine.cover(f"rule {self.name} fetched")
        self._take(data, wanted)


@cache
def read_hactl(data: bytes) -> tuple[Hactl | None, str]:
    """Read a hactl: its wishes, or its mistakes."""
    try:
        return parse_hactl(data, HACTL), ""
    except Mistakes as error:
        return None, str(error)


@cache
def read_cltab(data: bytes) -> tuple[Cltab | None, str]:
    """Read a cltab: its entries, or its mistakes."""
    try:
        return parse_cltab(data, CLTAB), ""
    except Mistakes as error:
        return None, str(error)


def mistakes_in(name: str, data: bytes) -> str:
    """Return the mistakes of a text that shall be this table."""
    return (read_hactl if name == HACTL else read_cltab)(data)[1]
