"""The tables of one node whose files a test reads, writes and loses by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from mosha.core.cluster.state import LogRecord
from mosha.core.replication import table_effects as effects
from mosha.core.replication import table_events as events
from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S, version_of
from mosha.core.replication.lineage import Past
from mosha.core.replication.node_tables import NodeTables
from mosha.core.replication.table_effects import TableEffect
from mosha.core.replication.table_events import TableEvent
from mosha.core.replication.table_replica import TableReplica
from mosha.core.replication.table_texts import InForce, Seen
from mosha.core.status import TableVersion
from mosha.formats.table_kinds import seen_of
from tests.core.story import PLACES, START_S

E = TypeVar("E")

WALL_S = 1_700_000_000
FOO, BAR = "foo start\n", "bar start\n"
ENTRIES = "foo:f:start:respawn:exec sleep 9\nbar:b:start:respawn:exec sleep 9\n"


def version(text: str, age_s: float = 60.0) -> TableVersion:
    """Return the version of a text that was edited so long before the beginning."""
    return version_of(text.encode(), WALL_S * NS_PER_S - round(age_s * NS_PER_S))


def seen(text: str, age_s: float = 60.0, name: str = HACTL) -> Seen:
    """Return what a look finds of it."""
    return seen_of(name, text.encode(), version(text, age_s))


def force(text: str, age_s: float = 60.0, past: Past = (), name: str = HACTL) -> InForce:
    """Return it as it is in force."""
    return seen(text, age_s, name).in_force(version(text, age_s), past)


def of(kind: type[E], done: Iterable[object]) -> list[E]:
    return [effect for effect in done if isinstance(effect, kind)]


class Desk:
    """The tables of node 1 of which hactl is what the test is about; cltab has two groups.

    What they order is in the answers of `report` and the others; nothing is answered by itself.
    """

    def __init__(self, stored: InForce | None = None, file: Seen | None = None) -> None:
        self.now = START_S
        self.tables = NodeTables(1, PLACES, heartbeat_s=1.0)
        entries = force(ENTRIES, name=CLTAB)
        self.report(events.TableLoaded(CLTAB, self.wall_ns, entries))
        self.report(events.OwnTableRead(CLTAB, self.wall_ns, seen(ENTRIES, name=CLTAB)))
        self.logs: list[str] = []
        self.first = self.report(events.TableLoaded(HACTL, self.wall_ns, stored))
        if file is not None:
            self.found(file)

    @property
    def wall_ns(self) -> int:
        return round((WALL_S + self.now - START_S) * NS_PER_S)

    @property
    def hactl(self) -> TableReplica:
        return self.tables.replica(HACTL)

    @property
    def in_force(self) -> TableVersion | None:
        return self.hactl.record.version

    @property
    def announced(self) -> TableVersion | None:
        return self.tables.now.versions.get(HACTL)

    def notices(self) -> tuple[str, ...]:
        return self.tables.now.notices

    def report(self, event: TableEvent) -> list[TableEffect]:
        self.tables.handle(event, self.now)
        return self.done()

    def done(self) -> list[TableEffect]:
        """Return what was ordered, and take down what was logged."""
        found = list(self.tables.take_effects())
        self.logs = [effect.event for effect in found if isinstance(effect, LogRecord)]
        self.tables.take_news()
        return [effect for effect in found if not isinstance(effect, LogRecord)]

    def found(self, what: Seen, mount: str = "ext4") -> list[TableEffect]:
        """Let the look that was ordered find this."""
        return self.report(events.OwnTableRead(HACTL, self.wall_ns, what, mount))

    def look(self) -> list[TableEffect]:
        """Have the own file looked at."""
        return self.report(events.OwnTableChanged(HACTL))

    def wait(self) -> float:
        """Let time pass until something is due; return how long that was."""
        before, self.now = self.now, self.tables.due
        self.tables.pass_time(self.now)
        return self.now - before

    def settled(self, what: Seen) -> list[TableEffect]:
        """Let the look that was ordered find this, and once more after the pause."""
        assert self.found(what) == []
        self.wait()
        assert len(of(effects.ReadOwnTable, self.done())) == 1
        return self.found(what)

    def stored(self, error: str = "") -> list[TableEffect]:
        return self.report(events.TableStored(HACTL, self.wall_ns, error))

    def written(self, error: str = "", *, changed: bool = False) -> list[TableEffect]:
        return self.report(events.OwnTableWritten(HACTL, self.wall_ns, changed, error))

    def kept(self, path: str = "/state/history/it", error: str = "") -> list[TableEffect]:
        return self.report(events.TextKept(HACTL, self.wall_ns, path, error))

    def hears(self, node: int, has: TableVersion | None, past: Past = ()) -> list[TableEffect]:
        """Let a status of a node say which hactl is in force there."""
        versions = {HACTL: has} if has is not None else {}
        self.tables.peer_has(node, versions, {HACTL: past}, self.now, fresh=True)
        return self.done()

    def fetched(self, what: Seen, error: str = "") -> list[TableEffect]:
        return self.report(events.PeerTableRead(HACTL, self.wall_ns, what, error))


def with_foo() -> Desk:
    """The tables of a node whose hactl is FOO, in force and in its file."""
    return Desk(force(FOO), seen(FOO))
