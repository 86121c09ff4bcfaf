"""A group that is stopped for good: its failures have used up `on-failure=` of hactl.

Or an agent of it has said that it can run its service on no node. The group stays claimed where it
failed last, and the node publishes that, so that no other node starts it. An operator ends that
(`mosha cleanup`, or level `stop` in hactl). It ends as well with the node: when it leaves, when it
is known to be dead, or when others have claimed the group because it was not heard. A restart of
the monitor does not end it (`recover`).
"""

from __future__ import annotations

from collections.abc import Mapping

from mosha.core.cluster import rivals
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.status import NodeState, Status
from mosha.core.tables import STOP_LEVEL

REMEDY = "repair what failed, then: mosha cleanup {group}"


def found(state: MonitorState, group: str) -> tuple[int, str] | None:
    """Return which node that is heard has stopped a group for good, and why."""
    record = state.records.get(group)
    if record is not None and record.exhausted:
        return state.me, record.exhausted
    for status in state.view.mentioning(group):
        reason = status.exhausted.get(group)
        if reason and state.view.speaks(status.node):
            return status.node, reason
    return None


def said(state: MonitorState, group: str) -> str:
    """Return that in a clause, "" if none has."""
    known = found(state, group)
    return "" if known is None else f"stopped for good on node {known[0]}: {known[1]}"


def begin(state: MonitorState, record: GroupRecord, reason: str) -> None:
    """Stop a group here for good; the claim is kept."""
    record.exhausted = reason
    state.log("group_exhausted", group=record.group, reason=reason)
    state.changed()
    state.wake((record.group,))


def settle(state: MonitorState, record: GroupRecord) -> None:
    """End it where it holds no longer."""
    if not record.exhausted:
        return
    claim, known = record.claim, rivals.known_term(state, record.group)
    in_force = state.hactl is not None and state.cltab_groups is not None
    unwanted = in_force and state.wish_level(record.group) == STOP_LEVEL
    up = state.node_state is NodeState.UP
    leaving = state.displaced or bool(state.pills_taken) or not up
    if unwanted or leaving or claim is None or known > claim:
        end(state, record)


def end(state: MonitorState, record: GroupRecord) -> None:
    """Let the group be started again, if it was stopped for good here."""
    if record.exhausted:
        record.exhausted = ""
        state.log("group_freed", group=record.group)
        state.changed()
        state.wake((record.group,))


def published(state: MonitorState) -> Mapping[str, str]:
    """Return the groups that are stopped for good here, and why."""
    return {group: it.exhausted for group, it in state.claimed.items() if it.exhausted}


def recover(state: MonitorState, former: Status, now: float) -> None:
    """Go on with what the earlier monitor of this boot has published.

    Its claim is shown again, or voters would release it and another node would start the group.
    Nothing runs under it, and nothing starts under it any more.
    """
    for group, reason in former.exhausted.items():
        term = former.claims.get(group)
        if not reason or term is None:
            continue
        record = state.record(group)
        record.claim, record.claimed_at, record.activated = term, now, True
        record.exhausted = reason
        state.claimed[group] = record
        state.view.know_term(group, term)
        state.log("group_adopted", group=group, term=term, level=STOP_LEVEL)
