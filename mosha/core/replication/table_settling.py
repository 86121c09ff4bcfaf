"""Whether somebody may still be writing a file: nothing is done about it before it has settled.

It has when two looks have found the same, with a pause between them that is as long as what was
found looks unfinished (`replication.settle_s`).
"""

from __future__ import annotations

from mosha.core.replication.judging import Looks, TableAction, looks, settle_s
from mosha.core.replication.table_record import TableRecord
from mosha.core.replication.table_texts import Seen

TURNS_MAX = 10
"""A file that is still changing after so many looks is left to the next heartbeat."""


class Settling:
    """How far the own file of one table has settled."""

    def __init__(self, record: TableRecord) -> None:
        self.turns = 0
        self.found: Seen | None = None  # what the last look but this one has found
        self._record = record
        self._steady: Seen | None = None

    @property
    def given_up(self) -> bool:
        """Whether it has been looked at often enough."""
        return self.turns >= TURNS_MAX

    def begin(self) -> None:
        """Begin to look."""
        self.turns = 0

    def is_over(self, seen: Seen, do: TableAction, former: Seen | None) -> bool:
        """Say whether something is to be done about what was found now.

        `do` is what; `former` is what was treated last.
        """
        if self.turns == 0:
            # Nobody has touched it since the last look, only what is in force has changed.
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
        """Take in what was found, and return after how many seconds to look again."""
        self.found = seen
        self.turns += 1
        # To refuse a text takes nothing away from who is still writing it, and what is only
        # out of date nobody writes.
        known = do is TableAction.REFUSE or (do is TableAction.WRITE and seen.version is not None)
        seems = Looks.WHOLE if known else self._looks(seen)
        return settle_s(seen.version, self._record.wall_ns, seems)

    def _looks(self, seen: Seen) -> Looks:
        if seen.version is None and seen.distrust:
            return Looks.WHOLE
        force = self._record.force
        return looks(seen.data, seen.table, force.table if force else None, self._record.cltab)
