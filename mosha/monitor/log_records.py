"""Writes the agent's log records: one line per transition, with its cause."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import LogRecord

# Events above level info, whatever their fields.
LEVELS = {
    "lease_lost": "error",
    "ghost_killed": "critical",
    "writes_lost": "critical",
    "status_withheld": "warning",
    "timeout_kept": "warning",
    "receipt_refuted": "critical",
    "fence_ordered": "critical",
    "fence_ended": "critical",
    "shot_outlived": "critical",
    "fence_confirmed": "warning",
    "fence_asked": "warning",
    "fencing_held": "warning",
    "group_unended": "critical",
    "pill_taken": "critical",
    "pill_killed": "critical",
    "pill_acknowledged": "warning",
    "fencing_disarmed": "warning",
    "group_banned": "warning",
    "group_restarted": "warning",
    "group_exhausted": "error",
    "tell_refused": "error",
    "clinit_lost": "error",
    "table_refused": "warning",
    "table_emptied": "warning",
    "table_discarded": "warning",
    "table_join_failed": "warning",
    "table_write_failed": "error",
    "table_fetch_failed": "warning",
}
# Changes above level info only if they are for the worse: (event, to).
LEVELS_TO: dict[tuple[str, object], str] = {
    ("quorum_changed", QuorumState.NO): "critical",  # H6.10
    ("peer_changed", Standing.STALE): "warning",
    ("peer_changed", Standing.FENCED): "warning",
}


def write(log: FilteringBoundLogger, note: LogRecord) -> None:
    """Write a record at the level of its event."""
    getattr(log, level_of(note))(note.event, **note.fields)


def level_of(note: LogRecord) -> str:
    """Return the level of a record: changes for the better are info."""
    worse = LEVELS_TO.get((note.event, note.fields.get("to")))
    return worse or LEVELS.get(note.event, "info")
