"""One table of one node: what is in force, announced, refused and noticed.

The record of `table_replica`: its parts, this node's file (`table_own`), the peers (`table_peers`)
and the adoption (`table_adoption`), change it and add orders to it, while an event is handled.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

from msgspec import Struct

from mosha.core.cluster.state import LogRecord
from mosha.core.replication.judging import NS_PER_S, ahead_s
from mosha.core.replication.table_effects import TableEffect
from mosha.core.replication.table_texts import InForce, Places
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab

DISK = 0
"""Stands in for a node number as the source of refusals: the local disk."""

SHOWN_MAX = 64
"""How many versions are remembered that this node's file may still have: that many edits can pass
while its directory cannot be written."""

NOTICE_S = 900.0
"""How long a warning about something past stands, such as an edit that was set aside: long enough
for its author, or for what watches `mosha status`, but not a reason for an alarm an hour later."""


class Notice(enum.Enum):
    """What people should know about a table besides refusals."""

    UNREAD = "unread"  # this node's file cannot be read
    DISTRUST = "distrust"  # it has what is in force, but other users may change it
    UNWRITTEN = "unwritten"  # it cannot be written
    ASIDE = "aside"  # an edit was set aside
    EMPTIED = "emptied"  # the table is empty now
    LOST = "lost"  # part of one of two concurrent edits is lost


PASSING = (Notice.ASIDE, Notice.LOST)
"""Notices about something past: they go after NOTICE_S, or with the next edit on this node. An edit
on another node may be made by somebody who has not seen them."""


class TableRefusal(Struct, frozen=True):
    """What was refused, what was in force then, and the message."""

    what: object
    under: TableVersion | None
    text: str


class TableRecord:
    """The record of the table `name` on node `me`.

    `announced` is what is published: what is in force, as soon as this node's file has it too, if
    it can. `shown` are versions that the file may have without an edit. `news`: something that is
    published has changed. `cltab` is the cltab in force here.
    """

    def __init__(self, name: str, me: int, places: Places) -> None:
        self.name = name
        self.me = me
        self.places = places
        self.path = f"{places.directory(me)}/{name}"
        self.force: InForce | None = None
        self.announced: InForce | None = None
        self.shown: tuple[TableVersion, ...] = ()
        self.cltab: Cltab | None = None
        self.news = True
        self.now = 0.0
        self.wall_ns = 0
        self.effects: list[TableEffect | LogRecord] = []
        self._refusals: dict[int, TableRefusal] = {}
        self._notices: dict[Notice, str] = {}
        self._notice_ends: dict[Notice, float] = {}
        self._wall_less_boot_ns = 0

    def at(self, now: float, wall_ns: int | None = None) -> None:
        """Start to handle an event now; without `wall_ns`, wall time has advanced as much."""
        self.now = now
        boot_ns = int(now * NS_PER_S)
        if wall_ns is not None:
            self._wall_less_boot_ns = wall_ns - boot_ns
        self.wall_ns = boot_ns + self._wall_less_boot_ns

    def order(self, effect: TableEffect) -> None:
        """Add an order for work on a file."""
        self.effects.append(effect)

    def log(self, event: str, **fields: object) -> None:
        """Add a log record."""
        self.effects.append(LogRecord(event, {"table": self.name, **fields}))

    # --- in force ----------------------------------------------------------------------

    @property
    def version(self) -> TableVersion | None:
        """The version in force."""
        return self.force.version if self.force is not None else None

    def announce(self) -> None:
        """Publish what is in force here: this node's file has it, or cannot have it."""
        if self.announced is not self.force:
            self.announced = self.force
            self.news = True

    def agreed(self, found: TableVersion | None) -> None:
        """Record that this node's file has what is in force: any later change is an edit.

        `found` is its version there, whose time may be another one: the same text came into force
        once more on another node.
        """
        in_force = (self.force.version,) if self.force is not None else ()
        self.shown = (*in_force, found) if found is not None and found not in in_force else in_force

    def show(self, version: TableVersion) -> None:
        """Record that this node's file may have this version without an edit."""
        self.shown = (*self.shown, version)[-SHOWN_MAX:]

    # --- refused -----------------------------------------------------------------------

    @property
    def refused(self) -> str:
        """What is not in force and why, this node's file first; "" if nothing is refused."""
        sources = sorted(self._refusals, key=lambda source: (source != self.me, source))
        return "; ".join(self._refusals[source].text for source in sources)

    def refusal(self, source: int) -> TableRefusal | None:
        """Return what was refused of a node."""
        return self._refusals.get(source)

    def refuse(self, source: int, what: object, text: str) -> None:
        """Refuse what a node has. The same thing again keeps its first message."""
        former = self._refusals.get(source)
        if former is None or former.what != what:
            self._refusals[source] = TableRefusal(what, self.version, text)
            self.log("table_refused", source=source or "disk", reason=text)
            self.news = True

    def clear(self, source: int) -> None:
        """Forget what was refused of a node: it is corrected or gone."""
        if self._refusals and self._refusals.pop(source, None) is not None:
            self.news = True

    # --- noticed -----------------------------------------------------------------------

    @property
    def notices(self) -> tuple[str, ...]:
        """What people should know besides refusals."""
        ahead = ahead_s(self.force.version, self.wall_ns) if self.force is not None else 0
        future = f"{self.name} in force is from the future; any edit of now replaces it"
        remarks = self.force.remarks if self.force is not None else ()
        return (*self._notices.values(), *([future] if ahead else ()), *remarks)

    def notice(self, kind: Notice, text: str) -> bool:
        """Set or (with "") remove a notice; return whether that is a change."""
        if self._notices.get(kind, "") == text:
            return False
        if text:
            self._notices[kind] = text
        else:
            self._notices.pop(kind, None)
        if text and kind in PASSING:
            self._notice_ends[kind] = self.now + NOTICE_S
        else:
            self._notice_ends.pop(kind, None)
        self.news = True
        return True

    def unwritten(self, text: str) -> None:
        """Record why something cannot be written; the same again is not logged."""
        if self.notice(Notice.UNWRITTEN, text):
            self.log("table_write_failed", reason=text)

    def drop_former_notices(self, *, edited_here: bool) -> None:
        """Remove the notices about the former version; `edited_here`: those of past edits too."""
        for kind in (Notice.EMPTIED, *(PASSING if edited_here else ())):
            self.notice(kind, "")

    @property
    def due(self) -> float:
        """When a notice ends (boottime)."""
        return min(self._notice_ends.values()) if self._notice_ends else math.inf

    def drop_ended_notices(self) -> None:
        """Take away the notices of what happened long ago."""
        if not self._notice_ends:
            return
        for kind in [kind for kind, end in self._notice_ends.items() if self.now >= end]:
            self.notice(kind, "")


Records = Mapping[str, TableRecord]
