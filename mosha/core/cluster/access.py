"""Whether this node may use its storage, from which fence agents may have cut it off (`unfence`).

It claims nothing before its storage has answered that it may: after the start of its monitor, after
it was declared dead, and after a shot at it that it has outlived. What it owns already is not
touched.
"""

from __future__ import annotations

from mosha.core.cluster.events import StorageAnswered
from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.state import MonitorState
from mosha.core.status import Status

NOT_ASKED = "it has not been asked yet"


def at_start(rules: FencingRules) -> str:
    """Return why a node that starts may not use its storage yet, "" if nothing cuts nodes off."""
    return NOT_ASKED if rules.unfences else ""


def doubt(state: MonitorState) -> None:
    """Ask the storage (again): it may have been told to cut this node off."""
    if state.fencing.unfences:
        state.cut_off = NOT_ASKED
        state.storage_doubts += 1
        state.changed()
        state.wake_all()


def hear(state: MonitorState, old: Status | None, status: Status) -> None:
    """Hear of a shot at this node when it is over: while it lasts, `on` would work against it."""
    if old is not None and state.me in old.shots and state.me not in status.shots:
        doubt(state)


def answered(state: MonitorState, event: StorageAnswered) -> None:
    """Take over what the storage says, unless it was asked before the latest doubt."""
    if event.doubt == state.storage_doubts and event.refusal != state.cut_off:
        state.cut_off = event.refusal
        state.changed()
        state.wake_all()
