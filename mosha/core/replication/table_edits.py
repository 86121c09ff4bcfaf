"""Edits by a program (`mosha set`): made in the newest text, followed until all nodes have them.

One after the other: the tables are read, and fetched where a newer one exists; the text in force is
edited and written; then, for several edits at once, the node waits until the others have it too.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.cluster.state import LogRecord
from mosha.core.replication.judging import CLTAB, HACTL
from mosha.core.replication.table_effects import AnswerEdit, EditText, TableEffect
from mosha.core.replication.table_events import EditAsked, TextEdited
from mosha.core.replication.table_own import Put, PutEnded
from mosha.core.replication.table_replica import TableReplica
from mosha.core.replication.table_texts import InForce
from mosha.core.status import TableVersion
from mosha.core.tables import Hactl, Wish
from mosha.errors import BugError

TRIES_MAX = 3


class EditStage(enum.Enum):
    """What the current edit waits for."""

    IDLE = "idle"
    LOOKING = "looking"  # for the newest text
    EDITING = "editing"
    PUTTING = "putting"  # until it is in force here


class Spread(Struct, frozen=True):
    """An edit that is in force here: from `half_at` on one other node with it is enough."""

    number: int
    wish: Wish | None
    version: TableVersion
    changed: bool
    half_at: float
    end_at: float


class Edits:
    """The requested edits of a node. `spread_s` is how long an edit may take to the others.

    `heard` are the fresh nodes, including those that have no table yet.
    """

    def __init__(self, replicas: Mapping[str, TableReplica], spread_s: float) -> None:
        self.spread_s = spread_s
        self.heard: set[int] = set()
        self._replicas = replicas
        self._hactl = replicas[HACTL]
        self._cltab = replicas[CLTAB]
        self._stage = EditStage.IDLE
        self._waiting: deque[EditAsked] = deque()
        self._edit: EditAsked | None = None
        self._looks: dict[str, tuple[int, int]] = {}
        self._tries = 0
        self._base: InForce | None = None
        self._wish: Wish | None = None
        self._spreading: list[Spread] = []

    @property
    def busy(self) -> bool:
        """Whether an edit is made, waits, or spreads."""
        return self._stage is not EditStage.IDLE or bool(self._waiting or self._spreading)

    @property
    def due(self) -> float:
        """When waiting for one of the other nodes ends."""
        times = (t for s in self._spreading for t in (s.half_at, s.end_at))
        return min((t for t in times if t > self._hactl.record.now), default=math.inf)

    def asked(self, event: EditAsked, now: float) -> None:
        """Handle a request to edit a wish."""
        self._waiting.append(event)
        self.go_on(now)

    def edited(self, event: TextEdited, now: float) -> None:
        """Handle the edited text, or the error."""
        if self._stage is not EditStage.EDITING or self._edit is None:
            raise BugError(f"a text was edited while {self._stage.value}")
        seen, base = event.seen, self._base
        if event.error:
            self._end(AnswerEdit(self._edit.number, error=event.error, usage=event.usage))
        elif self._hactl.record.force is not base:
            self._again(now)
        else:
            group = self._edit.change.wish.group
            self._wish = _wish_of(seen.table, group)
            if base is not None and seen.data == base.data:
                self._follow(base.version, now, changed=False)
            else:
                self._stage = EditStage.PUTTING
                self._hactl.own.put(Put(seen, base, self._hactl.peers.known()))
                self._hactl.go_on(now)
        self.go_on(now)

    def go_on(self, now: float) -> None:
        """Do what has become possible, or is due."""
        own = self._hactl.own
        if self._stage is EditStage.PUTTING and own.put_ended is not None:
            ended, own.put_ended = own.put_ended, None
            self._put_ended(ended, now)
        if self._stage is EditStage.IDLE and self._waiting:
            self._edit = self._waiting.popleft()
            self._tries = 0
            self._look(now)
        if self._stage is EditStage.LOOKING and self._edit is not None and self._has_looked():
            self._stage = EditStage.EDITING
            self._base = self._hactl.record.force
            change, force = self._edit.change, self._edit.force
            cltab = self._cltab.record.cltab
            self._order(EditText(self._edit.number, self._base, cltab, change, force))
        if self._spreading:
            for spread in [s for s in self._spreading if self._is_over(s, now)]:
                self._spreading.remove(spread)
                self._answer(spread)

    # --- one after the other -----------------------------------------------------------

    def _look(self, now: float) -> None:
        self._stage = EditStage.LOOKING
        self._tries += 1
        for name, replica in self._replicas.items():
            self._looks[name] = (replica.own.begun_no + 1, replica.peers.begun_no + 1)
            replica.own.want()
            replica.peers.want()
            replica.go_on(now)

    def _has_looked(self) -> bool:
        for name, replica in self._replicas.items():
            look, pull = self._looks[name]
            if replica.own.ended_no < look or replica.peers.pulled_no < pull:
                return False
        return True

    def _put_ended(self, ended: PutEnded, now: float) -> None:
        if ended.version is not None:
            self._follow(ended.version, now, changed=True)
        elif self._edit is not None and ended.error:
            self._end(AnswerEdit(self._edit.number, error=ended.error))
        else:
            self._again(now)

    def _again(self, now: float) -> None:
        """Retry with the text that came in between, unless that has happened too often."""
        if self._edit is None:
            raise BugError("nothing is being edited")
        if self._tries == TRIES_MAX:
            path = self._hactl.record.path
            error = f"{path}: it is being edited meanwhile; try again"
            self._end(AnswerEdit(self._edit.number, error=error))
        else:
            self._look(now)

    def _follow(self, version: TableVersion, now: float, *, changed: bool) -> None:
        """Wait for the others, and start the next edit."""
        if self._edit is None:
            raise BugError("nothing is being edited")
        half_at, end_at = now + self.spread_s / 2, now + self.spread_s
        number = self._edit.number
        spread = Spread(number, self._wish, version, changed, half_at, end_at)
        self._spreading.append(spread)
        self._stage, self._edit = EditStage.IDLE, None

    def _end(self, answer: AnswerEdit) -> None:
        self._stage, self._edit = EditStage.IDLE, None
        self._order(answer)

    # --- the others ----------------------------------------------------------------------

    def _is_over(self, spread: Spread, now: float) -> bool:
        nodes = self._nodes_with(spread.version)
        if nodes >= self.heard or now >= spread.end_at:
            return True
        return now >= spread.half_at and bool(nodes)

    def _answer(self, spread: Spread) -> None:
        record = self._hactl.record
        group = spread.wish.group if spread.wish is not None else ""
        said = _wish_of(record.force.table if record.force is not None else None, group)
        nodes = tuple(sorted({*self._nodes_with(spread.version), record.me}))
        self._order(AnswerEdit(spread.number, spread.wish, said, nodes, spread.changed))

    def _nodes_with(self, version: TableVersion) -> frozenset[int]:
        """Return the peers that have a version, or the one in force here that descends from it."""
        peers, now = self._hactl.peers, self._hactl.record.version
        return peers.nodes_with(version) | (peers.nodes_with(now) if now else frozenset())

    def _order(self, effect: TableEffect | LogRecord) -> None:
        self._hactl.record.effects.append(effect)


def _wish_of(table: object, group: str) -> Wish | None:
    """Return a group's wish in a hactl, wherever it is in the text."""
    wish = table.wishes.get(group) if isinstance(table, Hactl) else None
    return replace(wish, line=0) if wish is not None else None
