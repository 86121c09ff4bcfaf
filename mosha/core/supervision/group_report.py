"""A group as its supervisor reports it: its level, the wanted one, what may be alive."""

from __future__ import annotations

from msgspec import Struct

from mosha.core.status import SETTLED, STOPPED, GroupState
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.failures import Severity
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL


class GroupReport(Struct, frozen=True, omit_defaults=True):
    """One group that was told a level: where it is, what is wanted, and what may still be alive.

    `level` and `state` are the clstat line (the old level until its processes are gone,
    C4.11); `wanted` is the level last told. `alive` counts processes of the group that may
    be alive, double-forked ones too; 0 means that none is left. `cause` says in one line why it
    last changed (`tell`, `lease ended`, `test entry t1: exit 1` …), `since` when its level or
    state did. Times are seconds of boottime. `killed_late_s` is by how much a `kill_at` was
    missed, the longest since clinit started. `killed`: its `kill_at` has passed, and it has not
    come to rest since.
    """

    group: str
    level: str
    state: GroupState
    wanted: str
    term: int = 0
    alive: int = 0
    stop_at: float | None = None
    kill_at: float | None = None
    since: float = 0.0
    cause: str = ""
    entries: tuple[EntryReport, ...] = ()
    killed_late_s: float = 0.0
    killed: bool = False

    @property
    def present(self) -> bool:
        """Whether any process of the group may be alive here or it is shown as active."""
        if self.alive:
            return True
        return self.state is not GroupState.CONFIGURED and not self.stopped

    @property
    def stopped(self) -> bool:
        """Whether it has arrived at `stop`."""
        return self.level == STOP_LEVEL and self.state in STOPPED

    @property
    def stop_failed(self) -> bool:
        """Whether its `stop` entries have failed: it did not end in good order."""
        return (self.level, self.state) == (STOP_LEVEL, GroupState.FAILED)

    @property
    def fatal(self) -> bool:
        """Whether an agent of it has said that it can run its service on no node."""
        return any(
            entry.severity is Severity.FATAL and entry.state == ProcessState.FAILED
            for entry in self.entries
        )

    @property
    def settled(self) -> bool:
        """Whether the group has arrived at the level last told."""
        return self.state in SETTLED and self.level == self.wanted

    @property
    def exclusive(self) -> bool:
        """Whether it is at, or on its way to, a level that needs a lease (C5)."""
        return self.wanted not in (PLAN_LEVEL, STOP_LEVEL)


ABSENT = GroupReport(group="", level=STOP_LEVEL, state=GroupState.CONFIGURED, wanted=STOP_LEVEL)
"""The report of a group that its supervisor does not have."""
