"""That this node has reset itself: its clinit has left a note, and the machine was started again.

`mosha status` says so for a day, or until an operator says that he knows (`mosha cleanup` for one
of the groups that could not be ended); `mosha events` has it once.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mosha.core.cluster.state import NEVER, MonitorState
from mosha.formats.names import listed
from mosha.formats.self_reset import (
    MAX_BYTES,
    SELF_RESET_FILE,
    WATCHDOG,
    SelfReset,
    parse_self_reset,
)
from mosha.host import logs
from mosha.host.clock import boot_id
from mosha.host.files import read_file

if TYPE_CHECKING:
    from mosha.monitor.daemon import Monitor

TOLD_S = 86_400.0


def load(state_dir: Path) -> SelfReset | None:
    """Return the note of a reset that has happened since; None if there is none."""
    path = state_dir / SELF_RESET_FILE
    try:
        note = parse_self_reset(read_file(path, MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logs.get().warning("memory_failed", path=str(path), reason=str(error))
        return None
    return None if note.boot == boot_id() else note


def problem(note: SelfReset) -> str:
    """Return what `mosha status` says of it."""
    way = "it did not feed its watchdog" if note.how == WATCHDOG else f"self_fence = {note.how}"
    known = f": mosha cleanup {note.groups[0]}" if note.groups else ""
    until = f"for a day, or until you say that you know{known}" if known else "for a day"
    return (
        f"this node has reset itself at {note.time} ({way}): {note.reason}; look why"
        f" {listed(note.groups) or 'it'} did not end; this stands {until}"
    )


def is_known(note: SelfReset, state: MonitorState) -> bool:
    """Say whether an operator has cleaned up after it."""
    records = [state.records[group] for group in note.groups if group in state.records]
    return any(record.cleaned_at > NEVER for record in records)


def left_s(note: SelfReset, wall_s: float) -> float:
    """Return for how long it is told at that time of the wall clock, in seconds."""
    try:
        return datetime.fromisoformat(note.time).timestamp() + TOLD_S - wall_s
    except ValueError:  # not written by clinit
        return 0.0


async def tell(monitor: Monitor) -> None:
    """Say it for as long as it is to be said; then remove the note."""
    note = monitor.own_reset
    if note is None:
        return
    with anyio.move_on_after(min(max(left_s(note, time.time()), 0.0), TOLD_S)):
        monitor.trouble("self_reset", problem(note))
        while not is_known(note, monitor.node.state):
            await monitor.next_change(monitor.news)
    monitor.trouble("self_reset", "")
    path = monitor.settings.state_path / SELF_RESET_FILE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        logs.get().warning("memory_failed", path=str(path), reason=reason)
