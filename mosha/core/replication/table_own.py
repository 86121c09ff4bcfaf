"""A table in this node's directory, where people edit it: read, judged, written back.

Nothing that a person wrote is lost: what is not adopted is either left in place and refused with a
reason, or kept in the history before the version in force overwrites it.

A check goes through these stages, each after the first two on the answer to its order:

    IDLE -> READING <-> SETTLING -> SHOWING -> KEEPING -> WRITING -> IDLE
                                            -> ADOPTING            -> IDLE

An edit by a program starts at WRITING, and ends after ADOPTING.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.replication.judging import (
    TableAction,
    Verdict,
    judge_local,
    next_mtime_ns,
    version_of,
)
from mosha.core.replication.table_adoption import Adoption, Source
from mosha.core.replication.table_effects import KeepText, ReadOwnTable, ShowTable, WriteOwnTable
from mosha.core.replication.table_events import OwnTableRead, OwnTableWritten, TableShown, TextKept
from mosha.core.replication.table_record import Notice, TableRecord
from mosha.core.replication.table_settling import Settling
from mosha.core.replication.table_texts import Fate, InForce, Seen, named
from mosha.core.status import TableVersion
from mosha.errors import BugError


class OwnStage(enum.Enum):
    """What the file waits for."""

    IDLE = "idle"
    READING = "reading"
    SETTLING = "settling"
    SHOWING = "showing"
    KEEPING = "keeping"
    WRITING = "writing"
    ADOPTING = "adopting"


class Put(Struct):
    """An edit by a program: `draft` is made from `base`, and must win against all `known`."""

    draft: Seen
    base: InForce | None
    known: tuple[TableVersion, ...]
    new: InForce | None = None


class PutEnded(Struct, frozen=True):
    """The result of an edit by a program: a version in force, an error, or neither.

    Neither means that the file or the version in force has changed meanwhile: edit again.
    """

    version: TableVersion | None = None
    error: str = ""


class OwnTable:
    """This node's file of one table.

    `due` is when it is read again, while it settles. `ended_no` is the number of the last check
    that has ended; `put_ended` the result of an edit, until it is taken.
    """

    def __init__(self, record: TableRecord, adoption: Adoption) -> None:
        self.stage = OwnStage.IDLE
        self.wanted = False
        self.due = math.inf
        self.begun_no = 0
        self.ended_no = 0
        self.put_ended: PutEnded | None = None
        self._record = record
        self._adoption = adoption
        self._next_put: Put | None = None
        self._put: Put | None = None  # the edit in progress instead of a check
        self._seen: Seen | None = None  # what the last settled check has found
        self._settling = Settling(record)
        self._quiet: Seen | None = None  # there was nothing to do
        self._mount = ""
        self._why = ""
        self._verdict = TableAction.NOTHING
        self._showing: TableVersion | None = None
        self._fate: Fate = "rejected"
        self._before: InForce | None = None
        self._writing: InForce | None = None
        self._kept = ""
        self._shown: TableVersion | None = None
        self._held: InForce | None = None  # what the file had when it was not edited

    def want(self) -> None:
        """Request a check of the file soon; several requests are one check."""
        self.wanted = True

    def put(self, put: Put) -> None:
        """Write an edit and bring it into force, after the current check."""
        self._next_put = put

    def go_on(self) -> None:
        """Start what is wanted, or read again after the time to settle."""
        if self.stage is OwnStage.SETTLING and self.due <= self._record.now:
            self._read(self._settling.found)
        elif self.stage is not OwnStage.IDLE:
            return
        elif self._next_put is not None:
            self._put, self._next_put = self._next_put, None
            self._begin_put(self._put)
        elif self.wanted:
            self._begin_look()

    def _expect(self, stage: OwnStage) -> None:
        if self.stage is not stage:
            raise BugError(f"{self._record.path}: {stage.value} has ended while {self.stage.value}")

    # --- looking -----------------------------------------------------------------------

    def _begin_look(self) -> None:
        self.wanted = False
        self.begun_no += 1
        self._settling.begin()
        if self._before is not self._record.force:
            self._before, self._quiet = self._record.force, None
        self._read(self._seen)

    def _read(self, former: Seen | None) -> None:
        self.stage, self.due = OwnStage.READING, math.inf
        self._record.order(ReadOwnTable(self._record.name, former))

    def read(self, event: OwnTableRead) -> None:
        """Handle what was found, or that the file cannot be read."""
        self._expect(OwnStage.READING)
        record, seen = self._record, event.seen
        same = seen is self._quiet and record.force is self._before
        if same and not event.error and event.mount == self._mount:
            self._end_look()
            return
        if error := event.error or self._another_mount(event.mount):
            self._seen = self._quiet = None
            record.notice(Notice.UNREAD, f"{record.path}: cannot be read: {error}")
            self._end_look()
            return
        do = self._judge(seen).do
        if self._settling.is_over(seen, do, self._seen):
            self._treat(seen)
        elif not self._settling.given_up:
            self.stage = OwnStage.SETTLING
            self.due = record.now + self._settling.pause_s(seen, do)
        else:
            self._seen = self._quiet = None
            record.notice(Notice.UNREAD, "")
            self._end_look()

    def _another_mount(self, mount: str) -> str:
        """Return that the file is on another mount now: an empty mountpoint is not an edit."""
        self._mount = self._mount or mount
        if mount == self._mount:
            return ""
        return f"its mount has changed: it was {self._mount}, it is {mount}"

    def _judge(self, seen: Seen) -> Verdict:
        record = self._record
        refusal = record.refusal(record.me)
        superseded = bool(refusal and refusal.what == seen and refusal.under != record.version)
        found = seen.found(superseded=superseded)
        held = self._held.version if self._held is not None else None
        return judge_local(record.version, found, record.wall_ns, record.shown, held)

    def _end_look(self) -> None:
        """End a check; announce what is in force unless the file does not have it yet.

        What came into force meanwhile has requested another check, which writes it first.
        """
        record = self._record
        self.stage, self.ended_no = OwnStage.IDLE, self.begun_no
        if record.force is self._before or record.force is self._held:
            record.announce()

    # --- treating ----------------------------------------------------------------------

    def _treat(self, seen: Seen) -> None:
        record = self._record
        record.notice(Notice.UNREAD, "")
        verdict = self._judge(seen)
        self._seen = seen
        plain = not verdict.why or verdict.why in {seen.distrust, seen.mistakes}
        self._why = verdict.why if plain else f"{record.path}: {verdict.why}"
        nothing = verdict.do is TableAction.NOTHING
        record.notice(Notice.DISTRUST, self._why if nothing and verdict.why else "")
        self._quiet = seen if nothing else None
        if nothing:
            record.agreed(seen.version)
            self._held = record.force or self._held
            record.notice(Notice.UNWRITTEN, "")
        shown = record.force if verdict.do is TableAction.REFUSE else None
        version = shown.version if shown is not None else None
        if version == self._shown:
            self._act(verdict.do, seen)
            return
        # Peers find what is in force there while this node's file has a refused text.
        self.stage, self._verdict, self._showing = OwnStage.SHOWING, verdict.do, version
        record.order(ShowTable(record.name, shown.text if shown is not None else None))

    def shown(self, event: TableShown) -> None:
        """Handle: the copy for peers beside the file is there."""
        self._expect(OwnStage.SHOWING)
        if event.error:
            directory = self._record.places.directory(self._record.me)
            beside = f"{directory}/.{self._record.name}.in-force"
            self._record.unwritten(f"{beside}: cannot be written: {event.error}")
        else:
            self._shown = self._showing
        self._act(self._verdict, self._current_seen())

    def _current_seen(self) -> Seen:
        if self._seen is None:
            raise BugError(f"{self._record.path}: nothing was seen")
        return self._seen

    def _act(self, do: TableAction, seen: Seen) -> None:
        record = self._record
        if do is TableAction.REFUSE:
            record.refuse(record.me, seen, self._why)
            self._end_look()
            return
        if do is TableAction.DISCARD:
            self._discard(seen)
            return
        record.clear(record.me)
        if do is TableAction.WRITE:
            self._write(seen)
        elif do is TableAction.ADOPT and seen.version is not None:
            edited = self._held or record.force
            past = edited.child_past if edited is not None else ()
            self._writing = seen.in_force(seen.version, past)
            self._adopt(self._writing)
        else:
            self._end_look()

    def _adopt(self, new: InForce) -> None:
        self.stage = OwnStage.ADOPTING
        self._adoption.adopt(new, self._record.me, Source.OWN)

    def adopted(self, *, in_force: bool) -> None:
        """Handle whether the candidate is in force."""
        self._expect(OwnStage.ADOPTING)
        record, new = self._record, self._writing
        if new is None:
            raise BugError(f"{record.path}: nothing was adopted")
        if self._put is not None:
            self._put_adopted(new, in_force=in_force)
        elif in_force:
            self._held = new
            record.show(new.version)  # what is in force may be a merge of it
            self._end_look()
        elif record.version is not None and new.version.order < record.version.order:
            self._why = f"{record.path}: a concurrent edit is later"
            self._discard(self._current_seen())
        else:
            self._end_look()

    # --- writing -----------------------------------------------------------------------

    def _discard(self, seen: Seen) -> None:
        refused = self._record.refusal(self._record.me) is not None
        fate: Fate = "rejected" if refused or seen.distrust or seen.mistakes else "discarded"
        self._keep(seen, fate)

    def _keep(self, seen: Seen, fate: Fate) -> None:
        if seen.version is None:
            raise BugError(f"{self._record.path}: there is no text to keep: {seen.distrust}")
        self.stage, self._fate = OwnStage.KEEPING, fate
        self._record.order(KeepText(self._record.name, seen.text(seen.version), fate))

    def kept(self, event: TextKept) -> None:
        """Handle: a text is in the history, so it may be overwritten, or it is not."""
        self._expect(OwnStage.KEEPING)
        record, seen = self._record, self._current_seen()
        if event.error:
            problem = f"{record.path}: its text cannot be kept in {record.places.history}"
            record.unwritten(f"{problem}: {event.error}; so it is left there")
            self._end_look()
        else:
            self._kept = event.path
            self._write(seen)

    def _write(self, seen: Seen) -> None:
        """Overwrite what was seen with what is in force."""
        force = self._record.force
        if force is None:
            raise BugError(f"{self._record.path}: there is nothing in force to write back")
        self._order_write(seen, force)

    def _order_write(self, seen: Seen, new: InForce) -> None:
        self.stage, self._writing = OwnStage.WRITING, new
        self._record.order(WriteOwnTable(self._record.name, seen.version, new.text))

    def written(self, event: OwnTableWritten) -> None:
        """Handle: the file was written, or why not."""
        self._expect(OwnStage.WRITING)
        record, new = self._record, self._writing
        if new is None:
            raise BugError(f"{record.path}: nothing was written")
        error = f"{record.path}: cannot be written: {event.error}" if event.error else ""
        if self._put is not None:
            late = "; when that answers, the edit may still come into force: see mosha status"
            self._put_written(new, error + late * event.hung, changed=event.changed)
            return
        kept, self._kept = self._kept, ""
        if error:
            record.unwritten(error)
            self._end_look()
            return
        record.notice(Notice.UNWRITTEN, "")
        if event.changed:
            self.wanted = True  # an edit came in between
            self._end_look()
            return
        self._held = new
        record.log("table_written", **named(new.version))
        if kept:
            record.log("table_discarded", reason=self._why, fate=self._fate, kept=kept)
            record.notice(Notice.ASIDE, f"{self._why}; it was kept as {kept}")
            record.clear(record.me)
        self._end_look()

    # --- an edit by a program ------------------------------------------------------------

    def _begin_put(self, put: Put) -> None:
        record, seen = self._record, self._seen
        if record.force is not put.base:
            self._end_put(PutEnded())
            return
        if seen is None:
            error = " ".join(record.notices) or f"{record.path}: it is changing"
            self._end_put(PutEnded(error=error))
            return
        verdict = self._judge(seen)
        if verdict.do in {TableAction.NOTHING, TableAction.WRITE}:
            self._write_put(put, seen)
        else:  # whoever wrote it there is about to correct it, or it waits for the local disk
            why = verdict.why or record.refused
            way = "nothing is written over it: correct it, or do this on another node"
            self._end_put(PutEnded(error=f"{record.path} is refused: {why}; {way}"))

    def _write_put(self, put: Put, seen: Seen) -> None:
        record, draft = self._record, put.draft
        known: Iterable[TableVersion] = (*put.known, *([seen.version] if seen.version else []))
        version = version_of(draft.data, next_mtime_ns(known, record.wall_ns))
        past = record.force.child_past if record.force is not None else ()
        access = seen.access if seen.version else draft.access
        put.new = replace(draft.in_force(version, past), access=access)
        self._order_write(seen, put.new)

    def _put_written(self, new: InForce, error: str, *, changed: bool) -> None:
        if error:
            self._end_put(PutEnded(error=error))
        elif changed:
            self._end_put(PutEnded())
        else:
            self._adopt(new)

    def _put_adopted(self, new: InForce, *, in_force: bool) -> None:
        record = self._record
        if not in_force:
            refused = record.refused or "a newer version came in between"
            error = f"{record.path} is written but not in force here: {refused}"
            self._end_put(PutEnded(error=error))
            return
        record.clear(record.me)
        self._held = new
        record.announce()
        self._end_put(PutEnded(version=new.version))

    def _end_put(self, ended: PutEnded) -> None:
        self.stage, self._put, self.put_ended = OwnStage.IDLE, None, ended
