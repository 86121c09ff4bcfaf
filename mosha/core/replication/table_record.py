"""One table of one node: what is in force, announced, refused and noticed.

The record of `core.replication.table_replica`: its parts, the own file (`table_own`), the peers
(`table_peers`) and what brings a version into force (`table_adoption`), change it and order work
in it. They do so while one event is handled, at its time.
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
"""Stands among the nodes, the sources of refusals, for the local disk."""

SHOWN_MAX = 64
"""How many versions are remembered that the own file may still show: so many edits can pass while
the own directory cannot be written."""

NOTICE_S = 900.0
"""How long a warning stands of what is over, such as an edit that was put aside: long enough for
who made it, or for what watches `mosha status`, and no reason to be woken an hour later."""


class Notice(enum.Enum):
    """What people should know of a table besides what is refused."""

    UNREAD = "unread"  # the own file cannot be read
    DISTRUST = "distrust"  # it shows what is in force, and strangers may change it
    UNWRITTEN = "unwritten"  # it cannot be written
    ASIDE = "aside"  # an edit was put aside
    EMPTIED = "emptied"  # nothing is in the table any more
    LOST = "lost"  # of two edits of one moment, part of one is lost


PASSING = frozenset({Notice.ASIDE, Notice.LOST})
"""What has happened, and is over: its notice goes after NOTICE_S."""

OF_ONE_VERSION = (Notice.ASIDE, Notice.EMPTIED, Notice.LOST)
"""What is of no interest any more when another version has come into force."""


class TableRefusal(Struct, frozen=True):
    """What was refused, what was in force then, and the words for it."""

    what: object
    under: TableVersion | None
    text: str


class TableRecord:
    """The record of the table `name` on node `me`.

    `announced` is what peers and people hear of: what is in force, as soon as the own file shows it
    too, if it can. `shown` are versions that the own file may show without an edit. `news`:
    something of this has changed that others hear. `cltab` is the cltab in force here.
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
        """Begin to handle an event at this time; between those that bring it, wall time goes on."""
        self.now = now
        boot_ns = int(now * NS_PER_S)
        if wall_ns is not None:
            self._wall_less_boot_ns = wall_ns - boot_ns
        self.wall_ns = boot_ns + self._wall_less_boot_ns

    def order(self, effect: TableEffect) -> None:
        """Have work on a file done."""
        self.effects.append(effect)

    def log(self, event: str, **fields: object) -> None:
        """Have a line of the log written."""
        self.effects.append(LogRecord(event, {"table": self.name, **fields}))

    # --- in force ----------------------------------------------------------------------

    @property
    def version(self) -> TableVersion | None:
        """The version in force."""
        return self.force.version if self.force is not None else None

    def announce(self) -> None:
        """Let peers hear that what is in force here is: the own file shows it, or cannot."""
        if self.announced is not self.force:
            self.announced = self.force
            self.news = True

    def agreed(self) -> None:
        """Take in that the own file shows what is in force: what it shows next, somebody wrote."""
        self.shown = (self.force.version,) if self.force is not None else ()

    def show(self, version: TableVersion) -> None:
        """Take in that the own file may show this version without anybody having edited it."""
        self.shown = (*self.shown, version)[-SHOWN_MAX:]

    # --- refused -----------------------------------------------------------------------

    @property
    def refused(self) -> str:
        """What is not in force and why, the own file first; "" if nothing is refused."""
        sources = sorted(self._refusals, key=lambda source: (source != self.me, source))
        return "; ".join(self._refusals[source].text for source in sources)

    def refusal(self, source: int) -> TableRefusal | None:
        """Return what was refused of a node."""
        return self._refusals.get(source)

    def refuse(self, source: int, what: object, text: str) -> None:
        """Refuse what a node has. The same thing again keeps its first words."""
        former = self._refusals.get(source)
        if former is None or former.what != what:
            self._refusals[source] = TableRefusal(what, self.version, text)
            self.log("table_refused", source=source or "disk", reason=text)
            self.news = True

    def clear(self, source: int) -> None:
        """Forget what was refused of a node: it is mended or gone."""
        if self._refusals and self._refusals.pop(source, None) is not None:
            self.news = True

    # --- noticed -----------------------------------------------------------------------

    @property
    def notices(self) -> tuple[str, ...]:
        """What people should know besides."""
        ahead = ahead_s(self.force.version, self.wall_ns) if self.force is not None else 0
        future = f"{self.name} in force is from the future; any edit of now replaces it"
        remarks = self.force.remarks if self.force is not None else ()
        return (*self._notices.values(), *([future] if ahead else ()), *remarks)

    def notice(self, kind: Notice, text: str) -> bool:
        """Set or (with "") take away a notice; say whether that is news."""
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
        """Take in why something cannot be written; the same again is no line of the log."""
        if self.notice(Notice.UNWRITTEN, text):
            self.log("table_write_failed", reason=text)

    def drop_former_notices(self) -> None:
        """Take away what was of interest with the former version."""
        for kind in OF_ONE_VERSION:
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
