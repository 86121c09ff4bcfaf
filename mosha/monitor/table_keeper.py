"""One table of one node: what is in force, what is refused, and what people should know.

The own file (`table_own`) and the peers (`table_peers`) both bring versions here, at any
time and at once. Bringing one into force excludes itself only, and judges once more before
it acts, so a call that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from mosha import logs
from mosha.core.lineage import apart
from mosha.core.replication import Looks, ahead_s, is_newer, looks
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl
from mosha.errors import HostError
from mosha.formats.mistakes import Mistakes
from mosha.monitor.table_files import InForce, Seen, Table, parse_table, remarks, told
from mosha.monitor.table_join import Joined, join
from mosha.monitor.table_store import TableStore
from mosha.monitor.workers import Worker, reason

DISK = 0
"""Stands among the nodes, the sources of refusals, for the local disk."""


class Means(Struct, frozen=True):
    """What a node's tables are kept with. `place` gives the directory of a node."""

    me: int
    place: Callable[[int], Path]
    store: TableStore
    own: Worker
    disk: Worker
    peer: Callable[[int], Worker]
    wall_ns: Callable[[], int]
    limit_s: float


SHOWN_MAX = 64
"""How many versions are remembered that the own file may still show: so many edits can pass while
the own directory cannot be written."""

NOTE_NS = 900 * 10**9
"""How long a warning stands of what is over, such as an edit that was put aside: long enough for
who made it, or for what watches `mosha status`, and no reason to be woken an hour later."""


class Refusal(Struct, frozen=True):
    """What was refused, what was in force then, and the words for it."""

    what: object
    under: TableVersion | None
    text: str


class Keeper:
    """The table `name` of one node; `changed` is called when anything to be told changed.

    `on_adopted` is called besides when another version came into force. `announced` is what peers
    and people hear of: what is in force, as soon as the own file shows it too, if it can.
    """

    def __init__(self, name: str, means: Means, changed: Callable[[], None]) -> None:
        self.name = name
        self.means = means
        self.path = means.place(means.me) / name
        self.log = logs.get().bind(node=means.me, table=name)
        self.force: InForce | None = None
        self.announced: InForce | None = None
        self.shown: tuple[TableVersion, ...] = ()
        self.on_adopted: Callable[[], None] = lambda: None
        self.cltab: Callable[[], Cltab | None] = lambda: None
        self._changed = changed
        self._refusals: dict[int, Refusal] = {}
        self._notices: dict[str, str] = {}
        self._notes_end_ns: dict[str, int] = {}
        self._adopting = asyncio.Lock()

    @property
    def version(self) -> TableVersion | None:
        """The version in force."""
        return self.force.version if self.force else None

    @property
    def refused(self) -> str:
        """What is not in force and why, the own file first; "" if nothing is refused."""
        sources = sorted(self._refusals, key=lambda source: (source != self.means.me, source))
        return "; ".join(self._refusals[source].text for source in sources)

    @property
    def notices(self) -> tuple[str, ...]:
        """What people should know besides."""
        ahead = ahead_s(self.force.version, self.means.wall_ns()) if self.force else 0
        future = f"{self.name} in force is from the future; any edit of now replaces it"
        remarks_ = self.force.remarks if self.force else ()
        return (*self._notices.values(), *([future] if ahead else ()), *remarks_)

    def refusal(self, source: int) -> Refusal | None:
        """Return what was refused of a node."""
        return self._refusals.get(source)

    def refuse(self, source: int, what: object, text: str) -> None:
        """Refuse what a node has. The same thing again keeps its first words."""
        former = self._refusals.get(source)
        if former is None or former.what != what:
            self._refusals[source] = Refusal(what, self.version, text)
            self.log.warning("table_refused", source=source or "disk", reason=text)
            self._changed()

    def clear(self, source: int) -> None:
        """Forget what was refused of a node: it is mended or gone."""
        if self._refusals.pop(source, None) is not None:
            self._changed()

    def notice(self, key: str, text: str) -> bool:
        """Set or (with "") take away a warning; say whether that is news."""
        former = self._notices.get(key, "")
        if text:
            self._notices[key] = text
        else:
            self._notices.pop(key, None)
        if former != text:
            self._changed()
        return former != text

    def note(self, key: str, text: str) -> None:
        """Set a warning of something that has happened: it goes by itself after a while."""
        self._notes_end_ns[key] = self.means.wall_ns() + NOTE_NS
        self.notice(key, text)

    def drop_old_notes(self) -> None:
        """Take away the warnings of what has happened long ago."""
        now_ns = self.means.wall_ns()
        for key in [key for key, end_ns in self._notes_end_ns.items() if now_ns >= end_ns]:
            del self._notes_end_ns[key]
            self.notice(key, "")

    async def load(self) -> None:
        """Bring into force what was so when this node was running last."""
        store = self.means.store
        path = store.path(self.name)
        try:
            self.force = await self.means.disk.call(
                _load, store, self.name, limit_s=self.means.limit_s
            )
        except Mistakes as error:
            self.refuse(DISK, "load", told(error))
        except (OSError, HostError) as error:
            self.refuse(DISK, "load", f"{path}: cannot be read: {reason(error)}")
        with contextlib.suppress(OSError, HostError):  # then an old copy is taken for an edit
            self.shown = await self.means.disk.call(
                store.adopted, self.name, limit_s=self.means.limit_s
            )

    async def restore(self) -> None:
        """Write what is in force once more: somebody has removed it, and clinit reads it there.

        On failure the reason is among the refusals.
        """
        async with self._adopting:
            if self.force is not None:
                await self._store(self.force, self.means.wall_ns())

    def announce(self) -> None:
        """Let peers hear that what is in force here is: the own file shows it, or cannot."""
        if self.announced is not self.force:
            self.announced = self.force
            self._changed()

    def agreed(self) -> None:
        """Take in that the own file shows what is in force: what it shows next, somebody wrote."""
        self.shown = (self.force.version,) if self.force else ()

    def show(self, version: TableVersion) -> None:
        """Take in that the own file may show this version without anybody having edited it."""
        self.shown = (*self.shown, version)[-SHOWN_MAX:]

    async def adopt(self, new: InForce, origin: int) -> bool:
        """Bring a version into force unless a newer one is; tell whether what it says is in force.

        `origin` is the node that has it. One that was made beside what is in force is joined with
        that, be it newer or older; it may bring nothing that is not in force already. On failure
        the reason is among the refusals.
        """
        async with self._adopting:
            now_ns = self.means.wall_ns()
            if self.version == new.version:
                return True
            joined = await self._join(new, now_ns)
            if joined is not None:
                new = joined.text
                if new.version == self.version:
                    return not joined.lost
            if not is_newer(new.version, self.version, now_ns):
                return False
            if not await self._store(new, now_ns):
                return False
            emptied = self.would_empty(new.table)
            self.force = new
            self.show(new.version)
        for key in ("aside", "emptied", "lost"):
            self._notices.pop(key, None)
        if joined is not None:
            self._note_joined(joined, origin)
        self.log.info("table_adopted", origin=origin, **named(new.version))
        if emptied:
            self.log.warning("table_emptied", origin=origin, **named(new.version))
            history = self.means.store.history
            self._notices["emptied"] = f"{self.name} is empty now; what it said is in {history}"
        self._changed()
        self.on_adopted()
        return True

    async def _join(self, new: InForce, now_ns: int) -> Joined | None:
        """Return a version joined with what is in force, None if there is nothing to join."""
        mine = self.force
        if mine is None or not apart(mine.version, mine.past, new.version, new.past):
            return None
        if ahead_s(mine.version, now_ns) or ahead_s(new.version, now_ns):
            return None  # it has no rank, and what is joined of it would have none
        means = self.means
        try:
            return await means.disk.call(
                join, means.store, self.name, mine, new, now_ns, limit_s=means.limit_s
            )
        except (OSError, HostError) as error:
            self.log.warning("table_joined", reason=reason(error), **named(new.version))
            return None

    def _note_joined(self, joined: Joined, origin: int) -> None:
        lost = ", ".join(joined.lost)
        self.log.info("table_joined", origin=origin, lost=lost, **named(joined.text.version))
        if lost:
            self.note(
                "lost",
                f"{self.name}: {lost} was edited on two nodes at once; the later edit holds, the "
                f"other one is in {joined.kept}",
            )

    async def _store(self, new: InForce, now_ns: int) -> bool:
        means = self.means
        try:
            await means.disk.call(
                means.store.adopt,
                *(self.name, new.text, now_ns),
                limit_s=means.limit_s,
            )
        except (OSError, HostError) as error:
            path = means.store.path(self.name)
            problem = f"{path}: cannot be written: {reason(error)}"
            self.refuse(DISK, problem, f"{problem}; a newer version waits for that")
            return False
        self.clear(DISK)
        return True

    def looks(self, seen: Seen) -> Looks:
        """Say whether what was found may be a text that somebody is still writing."""
        if seen.version is None and seen.distrust:
            return Looks.WHOLE
        return looks(seen.data, seen.table, self.force.table if self.force else None, self.cltab())

    def would_empty(self, table: Table | None) -> bool:
        """Say whether a table has nothing in it, while the one in force has something."""
        if table is None or self.force is None:
            return False
        return _size(table) == 0 < _size(self.force.table)


def named(version: TableVersion) -> dict[str, object]:
    """Return the fields by which a version is logged."""
    return {"mtime_ns": version.mtime_ns, "digest": version.digest}


def _load(store: TableStore, name: str) -> InForce | None:
    kept = store.load(name)
    if kept is None:
        return None
    table = parse_table(kept.data, str(store.path(name)), name)
    return InForce(kept.version, kept.data, table, remarks(kept.data, name), kept.access, kept.past)


def _size(table: Table) -> int:
    return len(table.wishes) if isinstance(table, Hactl) else len(table.entries)
