"""Whether a file may still be being written: it is not acted upon before it has settled.

It has settled when two reads have found the same, with a pause between them that is longer the more
unfinished the text looks (`replication.settle_s`).
"""

from __future__ import annotations

from mosha.core.replication.judging import Looks, TableAction, looks, settle_s
from mosha.core.replication.table_record import TableRecord
from mosha.core.replication.table_texts import Seen

TURNS_MAX = 10
"""A file that is still changing after this many reads is left to the next heartbeat."""


class Settling:
    """How far this node's file of one table has settled."""

    def __init__(self, record: TableRecord) -> None:
        self.turns = 0
        self.found: Seen | None = None  # what the previous read has found
        self._record = record
        self._steady: Seen | None = None

    @property
    def given_up(self) -> bool:
        """Whether it has been read often enough."""
        return self.turns >= TURNS_MAX

    def begin(self) -> None:
        """Start."""
        self.turns = 0

    def is_over(self, seen: Seen, do: TableAction, former: Seen | None) -> bool:
        """Say whether what was found now is to be acted upon.

        `do` is the action; `former` is what was acted upon last.
        """
        if self.turns == 0:
            # The file has not changed since the last check, only what is in force has.
            if do is TableAction.WRITE and seen == former:
                return True
        elif seen == self.found:
            self._steady = seen
            return True
        if do is TableAction.NOTHING:
            self._steady = None
            return True
        return seen == self._steady

    def pause_s(self, seen: Seen, do: TableAction) -> float:
        """Record what was found, and return after how many seconds to read again."""
        self.found = seen
        self.turns += 1
        # Refusing a text does not hurt a writer that is still busy, and a text that is only out
        # of date is not being written.
        known = do is TableAction.REFUSE or (do is TableAction.WRITE and seen.version is not None)
        seems = Looks.WHOLE if known else self._looks(seen)
        return settle_s(seen.version, self._record.wall_ns, seems)

    def _looks(self, seen: Seen) -> Looks:
        if seen.version is None and seen.distrust:
            return Looks.WHOLE
        force = self._record.force
        return looks(seen.data, seen.table, force.table if force else None, self._record.cltab)
