"""Brings versions of one table into force, one after the other.

They come from this node's file and from peers, at any time and concurrently. Each is merged with
the one in force if the two diverged, judged, stored on the local disk, and is then in force.
"""

from __future__ import annotations

import enum
from collections import deque

from msgspec import Struct

from mosha.core.replication.judging import ahead_s, is_newer, would_empty
from mosha.core.replication.lineage import apart
from mosha.core.replication.table_effects import JoinTables, StoreTable
from mosha.core.replication.table_events import TablesJoined, TableStored
from mosha.core.replication.table_record import DISK, Notice, TableRecord
from mosha.core.replication.table_texts import InForce, Joined, named
from mosha.errors import BugError


class Source(enum.Enum):
    """Where a version comes from."""

    OWN = "own"
    PEER = "peer"
    DISK = "disk"  # it is in force, but was removed from the disk


class Candidate(Struct, frozen=True):
    """A version that is to come into force; `origin` is the node that has it."""

    new: InForce
    origin: int
    source: Source


class Ended(Struct, frozen=True):
    """A candidate is finished; `in_force`: its whole content is in force."""

    source: Source
    in_force: bool


class Adoption:
    """Brings versions of a table into force. At most one candidate of each source waits.

    `ended` is for the replica, which takes its items and passes them to the sources.
    """

    def __init__(self, record: TableRecord) -> None:
        self.ended: deque[Ended] = deque()
        self._record = record
        self._waiting: deque[Candidate] = deque()
        self._current: Candidate | None = None
        self._joining = False
        self._joined: Joined | None = None
        self._storing: InForce | None = None

    @property
    def idle(self) -> bool:
        """Whether no version is being brought into force."""
        return self._current is None and not self._waiting

    def adopt(self, new: InForce, origin: int, source: Source) -> None:
        """Bring a version into force unless a newer one is.

        One that diverged from the version in force is merged with it, whether newer or older. On
        failure the reason is among the refusals.
        """
        self._waiting.append(Candidate(new, origin, source))
        self._go_on()

    def restore(self) -> None:
        """Store what is in force again: it was removed, and clinit reads it there."""
        if self._record.force is not None:
            self.adopt(self._record.force, self._record.me, Source.DISK)

    def joined(self, event: TablesJoined) -> None:
        """Handle the result of a merge."""
        candidate = self._current
        if candidate is None or not self._joining:
            raise BugError(f"{self._record.name}: an unexpected merge result")
        self._joining = False
        if event.joined is None:  # the newer one wins as a whole
            version = named(candidate.new.version)
            self._record.log("table_join_failed", reason=event.error, **version)
            self._store(candidate.new)
            return
        self._joined = event.joined
        if event.joined.text.version == self._record.version:
            self._end(in_force=not event.joined.lost)
        else:
            self._store(event.joined.text)

    def stored(self, event: TableStored) -> None:
        """Handle: a version is on the disk, or could not be written there."""
        record, candidate, new = self._record, self._current, self._storing
        if candidate is None or new is None:
            raise BugError(f"{record.name}: an unexpected stored version")
        self._storing = None
        if event.error:
            problem = f"{record.places.state}/{record.name}: cannot be written: {event.error}"
            record.refuse(DISK, problem, f"{problem}; a newer version waits for that")
            self._end(in_force=False)
            return
        record.clear(DISK)
        if new is not record.force:
            self._in_force(candidate, new)
        self._end(in_force=True)

    def _go_on(self) -> None:
        while self._current is None and self._waiting:
            self._current = self._waiting.popleft()
            self._begin(self._current)

    def _begin(self, candidate: Candidate) -> None:
        record, new = self._record, candidate.new
        mine = record.force
        if candidate.source is Source.DISK:
            self._write(mine or new)
        elif mine is not None and mine.version == new.version:
            self._end(in_force=True)
        elif mine is not None and self._are_to_be_joined(mine, new):
            self._joining = True
            record.order(JoinTables(record.name, mine, new))
        else:
            self._store(new)

    def _are_to_be_joined(self, mine: InForce, new: InForce) -> bool:
        if not apart(mine.version, mine.past, new.version, new.past):
            return False
        # A version in the future has no rank, and neither would a merge with it.
        wall_ns = self._record.wall_ns
        return not (ahead_s(mine.version, wall_ns) or ahead_s(new.version, wall_ns))

    def _store(self, new: InForce) -> None:
        if is_newer(new.version, self._record.version, self._record.wall_ns):
            self._write(new)
        else:
            self._end(in_force=False)

    def _write(self, new: InForce) -> None:
        self._storing = new
        self._record.order(StoreTable(self._record.name, new.text))

    def _in_force(self, candidate: Candidate, new: InForce) -> None:
        record = self._record
        emptied = would_empty(new.table, record.force.table if record.force else None)
        record.force = new
        record.show(new.version)
        record.news = True
        record.drop_former_notices(edited_here=candidate.source is Source.OWN)
        if self._joined is not None:
            self._tell_joined(candidate, self._joined)
        version = named(new.version)
        record.log("table_adopted", origin=candidate.origin, **version)
        if emptied:
            record.log("table_emptied", origin=candidate.origin, **version)
            history = record.places.history
            text = f"{record.name} is empty now; what it said is in {history}"
            record.notice(Notice.EMPTIED, text)

    def _tell_joined(self, candidate: Candidate, joined: Joined) -> None:
        record, lost = self._record, ", ".join(joined.lost)
        version = named(joined.text.version)
        record.log("table_joined", origin=candidate.origin, lost=lost, **version)
        if lost:
            record.notice(
                Notice.LOST,
                f"{record.name}: {lost} was edited on two nodes at once; the later edit holds, the "
                f"other one is in {joined.kept}",
            )

    def _end(self, *, in_force: bool) -> None:
        if self._current is None:
            raise BugError(f"{self._record.name}: nothing was on its way into force")
        self.ended.append(Ended(self._current.source, in_force))
        self._current = self._joined = None
        self._go_on()
