"""What a node has on its disk besides its clstat, and the ports of its tables: files of no time.

The ports carry out the orders of the product's tables (`core.replication.node_tables`) and report
what came of them, as `mosha.monitor.tables.ports` does; texts are read and joined by the product's
functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from mosha.core.cluster.events import Event
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.quorum import Electorate
from mosha.core.cluster.recovery import NOTHING
from mosha.core.cluster.state import LogRecord
from mosha.core.replication import table_effects as effects
from mosha.core.replication import table_events as events
from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S, TABLES, ahead_s, version_of
from mosha.core.replication.table_texts import Fate, Places, Seen, Text
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl
from mosha.errors import UsageError
from mosha.formats.table_kinds import in_force_of, seen_of
from mosha.monitor.tables import join, wish_edits
from mosha.monitor.tables.ports import LIMIT_S
from tests.sim.threads import Thread
from tests.sim.world import Fault

if TYPE_CHECKING:
    from tests.sim.files import Weather
    from tests.sim.monitor import Monitor

KEPT_MAX = 20
READ, WRITE = "hangread", "hangwrite"
HUNG = "no answer from the file system"
NOTHING_SEEN = Seen()


class Shelf(Struct):
    """One table of a node: the file that people edit, and what is on the local disk.

    `beside` is the text in force, shown to peers while the file has one that is refused. `kept` is
    the history of what was in force.
    """

    name: str
    file: tuple[bytes, int] | None = None
    beside: Text | None = None
    stored: Text | None = None
    kept: dict[TableVersion, Text] = field(default_factory=dict)

    @property
    def seen(self) -> Seen:
        """The file, as whoever looks at it finds it; the same object while it is the same."""
        return found(self.name, *self.file) if self.file is not None else NOTHING_SEEN

    def write(self, text: Text) -> None:
        """Write the file."""
        self.file = (text.data, text.version.mtime_ns)

    def store(self, text: Text) -> None:
        """Bring a text into force."""
        self.stored = text
        self.keep(self.name, text, 0)

    def lose(self) -> None:
        """Lose what is on the local disk."""
        self.stored = None
        self.kept.clear()

    def is_refused(self, wall_ns: int) -> bool:
        """Say whether what lies there can never come into force, or not for long."""
        version = self.seen.version
        return version is not None and (not self.seen.table or ahead_s(version, wall_ns) > 0)

    # --- the history, as `table_join.Kept` -----------------------------------------------

    def keep(self, name: str, text: Text, now_ns: int) -> Path:
        """Keep a text that is in force here or elsewhere."""
        del now_ns
        self.kept[text.version] = text
        while len(self.kept) > KEPT_MAX:
            del self.kept[next(iter(self.kept))]
        return Path(name)

    def data_of(self, name: str, version: TableVersion) -> bytes | None:
        """Return the text of a version, None if it is not kept any more."""
        del name
        return next((t.data for v, t in self.kept.items() if v.digest == version.digest), None)


class Disk(Struct):
    """What a node has on disk besides its clstat; it survives all but its loss."""

    tables: dict[str, Shelf] = field(default_factory=lambda: {name: Shelf(name) for name in TABLES})
    electorate: Electorate | None = None
    memory: Memory = NOTHING

    def text(self, name: str) -> bytes | None:
        """Return the text of a table in force."""
        stored = self.tables[name].stored
        return stored.data if stored is not None else None

    def shown(self, name: str, wanted: TableVersion) -> Seen:
        """Return what a file shows to peers, or what is beside that if it is what is wanted."""
        shelf = self.tables[name]
        seen, beside = shelf.seen, shelf.beside
        if beside is None or (seen.version is not None and seen.version.digest == wanted.digest):
            return seen
        return found(name, beside.data, beside.version.mtime_ns)


class TableDoors:
    """The ports of the tables of one monitor: as slow, and as prone to fail, as its statuses are.

    What is done on the local disk ends at once and well.
    """

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.machine = monitor.machine
        self.weather: Weather = monitor.cluster.weather
        self._threads: dict[int, Thread] = {}
        self.places = Places(str, "state", "history")

    def table(self) -> dict[type, Callable[[Any], None]]:
        """Return the port of each kind of effect."""
        return {
            effects.ReadOwnTable: self._read_own,
            effects.ReadPeerTable: self._read_peer,
            effects.JoinTables: self._join,
            effects.StoreTable: self._store,
            effects.WriteOwnTable: self._write_own,
            effects.ShowTable: self._show,
            effects.KeepText: self._keep,
            effects.EditText: self._edit,
            effects.AnswerEdit: lambda _: None,
        }

    @property
    def _wall_ns(self) -> int:
        return int(self.machine.wall_s * NS_PER_S)

    def load(self) -> None:
        """Read what was in force in the former life."""
        for name, shelf in self.machine.disk.tables.items():
            force = in_force_of(name, shelf.stored) if shelf.stored is not None else None
            kept = tuple(shelf.kept)
            self.monitor.report(events.TableLoaded(name, self._wall_ns, force, kept))

    # --- in a thread -----------------------------------------------------------------------

    def _do(self, node: int, kind: str, work: Callable[[str], Event], takes_s: float = 0.0) -> None:
        """Do what has to be done in the directory of a node, later if that hangs.

        `kind` is of the fault that makes it hang: `hangread`, `hangwrite`; `work` gets the error
        that the file system returns, "" if there is none, and makes the answer.
        """
        if not self.weather.in_force and not takes_s and not self._threads:
            self.monitor.report(work(self._error(node, kind)))
            return
        thread = self._threads.get(node)
        if thread is None:
            thread = self._threads[node] = Thread(self.monitor)

        def begin() -> tuple[float, Callable[[], None]]:
            hang = self._hang(node, kind)
            if hang is None:
                return takes_s, lambda: self.monitor.report(work(self._error(node, kind)))
            self.machine.cover("fault work on a table hangs")
            ends_s = max(0.0, hang.at + hang.lasts - self.monitor.agenda.now)
            if ends_s > LIMIT_S:  # it was given up, and is done all the same
                self.machine.after(ends_s, partial(self._do_late, work))
            return ends_s, lambda: self.monitor.report(work(self._error(node, kind)))

        thread.call(begin, LIMIT_S, partial(work, HUNG))

    @staticmethod
    def _do_late(work: Callable[[str], Event]) -> None:
        work("")  # nobody waits for its answer any more

    def _hang(self, node: int, kind: str) -> Fault | None:
        if not self.weather.in_force:
            return None
        cut = self.weather.cut(self.machine.id, node)
        if cut is not None and cut.word.startswith("hang"):
            return cut
        return self.weather.of(kind, self.machine.id)

    def _error(self, node: int, kind: str) -> str:
        """Return why the file system refuses, "" if it does not."""
        me, weather = self.machine.id, self.weather
        if node in self.monitor.cluster.files.gone:
            return "No such file or directory"
        if not weather.in_force:
            return ""
        if weather.cut(me, node) is not None:
            return "Input/output error"
        trouble = weather.of("full" if kind == WRITE else "readerror", me)
        if trouble is None:
            return ""
        self.machine.cover("fault work on a table fails")
        return trouble.word or trouble.kind

    def _read_own(self, order: effects.ReadOwnTable) -> None:
        name = order.table

        def read(error: str) -> Event:
            if error:
                return events.OwnTableRead(name, self._wall_ns, error=error)
            return events.OwnTableRead(name, self._wall_ns, self.machine.disk.tables[name].seen)

        self._do(self.machine.id, READ, read)

    def _read_peer(self, order: effects.ReadPeerTable) -> None:
        name, node = order.table, order.node

        def read(error: str) -> Event:
            if error:
                return events.PeerTableRead(name, self._wall_ns, error=error)
            disk = self.monitor.cluster.machines[node].disk
            return events.PeerTableRead(name, self._wall_ns, disk.shown(name, order.version))

        # A lag is how late others see a file, and no read of one takes as long in calm weather.
        self._do(node, READ, read, takes_s=min(self.monitor.world.lag_s, LIMIT_S / 2))

    def _write_own(self, order: effects.WriteOwnTable) -> None:
        def write(error: str) -> Event:
            shelf = self.machine.disk.tables[order.table]
            changed = not error and shelf.seen.version != order.expected
            if not error and not changed:
                shelf.write(order.text)
            return events.OwnTableWritten(order.table, self._wall_ns, changed, error)

        self._do(self.machine.id, WRITE, write)

    def _show(self, order: effects.ShowTable) -> None:
        def show(error: str) -> Event:
            if not error:
                self.machine.disk.tables[order.table].beside = order.text
            return events.TableShown(order.table, self._wall_ns, error)

        self._do(self.machine.id, WRITE, show)

    # --- on the local disk -----------------------------------------------------------------

    def _join(self, order: effects.JoinTables) -> None:
        shelf, wall_ns = self.machine.disk.tables[order.table], self._wall_ns
        joined = join.join(shelf, order.table, order.mine, order.other, wall_ns)
        self.monitor.report(events.TablesJoined(order.table, wall_ns, joined))

    def _store(self, order: effects.StoreTable) -> None:
        self.machine.disk.tables[order.table].store(order.text)
        self.monitor.cluster.in_force(self.machine.id, order.table, order.text.data)
        self.monitor.report(events.TableStored(order.table, self._wall_ns))

    def _keep(self, order: effects.KeepText) -> None:
        fate: Fate = order.fate
        self.monitor.report(events.TextKept(order.table, self._wall_ns, f"history/{fate}"))

    def _edit(self, order: effects.EditText) -> None:
        try:
            event = events.TextEdited(order.number, self._wall_ns, wish_edits.edited(order))
        except UsageError as error:
            event = events.TextEdited(order.number, self._wall_ns, error=str(error), usage=True)
        self.monitor.report(event)


@cache
def found(name: str, data: bytes, mtime_ns: int) -> Seen:
    """Read a text that lies in a file."""
    return seen_of(name, data, version_of(data, mtime_ns))


def read_hactl(data: bytes) -> Hactl | None:
    """Return what a hactl says, None if it has mistakes."""
    table = found(HACTL, data, 0).table
    return table if isinstance(table, Hactl) else None


def read_cltab(data: bytes) -> Cltab | None:
    """Return what a cltab says, None if it has mistakes."""
    table = found(CLTAB, data, 0).table
    return table if isinstance(table, Cltab) else None


def done_to(me: int, note: LogRecord) -> str:
    """Say what was done to a table, in the words of the coverage; "" of other notes."""
    fields = note.fields
    match note.event:
        case "table_adopted":
            do = "adopt" if fields["origin"] == me else "fetched"
        case "table_refused" if fields["source"] == me:
            do = "refuse"
        case "table_discarded":
            do = "discard"
        case "table_written":
            do = "write"
        case _:
            return ""
    return f"rule {fields['table']} {do}"
