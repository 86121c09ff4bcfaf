"""Whether this node may use its storage, from which fence agents may have cut it off (`unfence`).

It claims nothing before its storage has answered that it may: after the start of its monitor, and
after it was declared dead. What it owns already is not touched.
"""

from __future__ import annotations

from mosha.core.cluster.events import StorageAnswered
from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.state import MonitorState

NOT_ASKED = "it has not been asked yet"


def at_start(rules: FencingRules) -> str:
    """Return why a node that starts may not use its storage yet, "" if nothing cuts nodes off."""
    return NOT_ASKED if rules.unfences else ""


def lost(state: MonitorState) -> None:
    """This node was declared dead: its storage may have been cut off."""
    state.cut_off = at_start(state.fencing)


def answered(state: MonitorState, event: StorageAnswered) -> None:
    """Take over what the storage says of an incarnation, unless a later one has begun."""
    if event.inc == state.inc and event.refusal != state.cut_off:
        state.cut_off = event.refusal
        state.changed()
        state.wake_all()
