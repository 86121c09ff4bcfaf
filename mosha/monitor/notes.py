"""Writes to the log what the brain notes: one line for each transition, with its cause."""

from __future__ import annotations

from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from mosha.core.seat import Note

# Events that are more than information.
LEVELS = {
    "quorum_changed": "critical",
    "lease_lost": "error",
    "fence_ordered": "critical",
    "fence_ended": "critical",
    "fence_confirmed": "warning",
    "group_banned": "warning",
    "tell_refused": "error",
    "clinit_lost": "error",
    "peer_changed": "warning",
}


def write(log: FilteringBoundLogger, notes: Iterable[Note]) -> None:
    """Write each note at the level that its event deserves."""
    for note in notes:
        getattr(log, LEVELS.get(note.event, "info"))(note.event, **note.fields)
