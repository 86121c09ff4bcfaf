"""Fencing that is switched off for a while (`mosha disarm`), on all nodes, and on again.

Who heard of it publishes it too, so it spreads without the node where it was ordered. The order
with the highest number counts; it ends by itself, on each node by its own clock.
"""

from __future__ import annotations

import math

from mosha.core.cluster.state import Disarmed, MonitorState
from mosha.core.status import Disarm, Status


def order(state: MonitorState, for_s: float, reason: str, now: float) -> None:
    """Disarm all nodes for a time, 0: arm them again."""
    former = state.disarmed
    number = 1 + (former.number if former is not None else 0)
    _take(state, Disarmed(number, state.me, now + for_s, reason), now)


def hear(state: MonitorState, status: Status, now: float) -> None:
    """Take over a later order than the one that is known here.

    Also of this node's own status of before a restart: its time stood still meanwhile.
    """
    known = state.disarmed
    for number, said in status.disarms.items():
        if known is None or (number, said.node) > (known.number, known.node):
            _take(state, Disarmed(number, said.node, now + said.left_s, said.reason), now)


def _take(state: MonitorState, found: Disarmed, now: float) -> None:
    was = is_disarmed(state, now)
    state.disarmed = found
    if found.until > now:
        left_s = round(found.until - now, 3)
        state.log("fencing_disarmed", peer=found.node, left_s=left_s, reason=found.reason)
    elif was:
        state.log("fencing_armed", peer=found.node)
    state.disarm_told = found.until > now
    state.changed()
    state.wake_all()


def is_disarmed(state: MonitorState, now: float) -> bool:
    """Say whether no node may be shot now but by an operator's order."""
    return state.disarmed is not None and now < state.disarmed.until


def armed_at(state: MonitorState, now: float) -> float:
    """Return when fencing is armed again by itself, infinity if it is; log that it has been."""
    if state.disarmed is not None and now < state.disarmed.until:
        return state.disarmed.until
    if state.disarm_told:
        state.disarm_told = False
        state.log("fencing_armed", peer=state.me)
        state.changed()
    return math.inf


def published(state: MonitorState, now: float) -> dict[int, Disarm]:
    """Return what this node publishes: also of an order that has ended, for later ones count on."""
    found = state.disarmed
    if found is None:
        return {}
    left_s = max(0, math.ceil(found.until - now))
    return {found.number: Disarm(found.node, left_s, found.reason)}
