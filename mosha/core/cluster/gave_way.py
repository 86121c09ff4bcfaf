"""What groups gave way to (P1): remembered where they stopped, published, and told by every node.

A node remembers why it stopped a group last: until it claims the group again, hactl no longer wants
it to run, or the node leaves. The next monitor of this boot goes on with what was published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from mosha.core.cluster import rivals
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.status import GaveWay, NodeState, Status
from mosha.core.tables import STOP_LEVEL


def note(state: MonitorState, record: GroupRecord, by: str, now: float) -> None:
    """Remember that a group stops here now, for one of a higher priority."""
    wish = state.wish(by)
    priority = wish.priority if wish is not None else 0
    record.gave_way, record.gave_way_at = GaveWay(by, priority, record.claim or 0), now
    state.log("group_preempted", group=record.group, by=by)
    state.changed()


def settle(state: MonitorState, record: GroupRecord) -> None:
    """Forget it where nobody wants the group to run any more."""
    in_force = state.hactl is not None and state.cltab_groups is not None
    unwanted = in_force and state.wish_level(record.group) == STOP_LEVEL
    if record.gave_way is not None and unwanted:
        record.gave_way = None
        state.changed()


def published(state: MonitorState, now: float) -> Mapping[str, GaveWay]:
    """Return the groups that gave way on this node."""
    return {
        group: replace(record.gave_way, age_s=int(now - record.gave_way_at))
        for group, record in state.records.items()
        if record.gave_way is not None
    }


def recover(state: MonitorState, former: Status, now: float) -> None:
    """Go on with what the earlier monitor of this boot has published."""
    if former.state is not NodeState.LEFT:
        for group, found in former.gave_way.items():
            record = state.record(group)
            record.gave_way, record.gave_way_at = replace(found, age_s=0), now - found.age_s


# --- what is said about it -----------------------------------------------------------------


def words(it: GaveWay) -> str:
    """Return to what a group gave way."""
    return f"gave way to {it.by} (priority {it.priority})"


def there(state: MonitorState, group: str, node: int, now: float) -> str:
    """Return to what the group gave way on a node, in a clause; "" if it did not, as far as known.

    A node is believed as long as it is heard.
    """
    return next((_said(at, it) for at, it in _known(state, group, now) if at == node), "")


def said(state: MonitorState, group: str, now: float) -> str:
    """Return to what the group gave way last, on whatever node, in a clause; "" if to none."""
    found = last(state, group, now)
    return "" if found is None else _said(*found)


def why_stopped(state: MonitorState, group: str, now: float) -> str:
    """Return that if no node has claimed the group since, else ""."""
    found = last(state, group, now)
    if found is None or found[1].term < rivals.known_term(state, group):
        return ""
    return _said(*found)


def last(state: MonitorState, group: str, now: float) -> tuple[int, GaveWay] | None:
    """Return on which node that is heard the group gave way last, and to what."""
    return min(_known(state, group, now), key=lambda it: (it[1].age_s, it[0]), default=None)


def _known(state: MonitorState, group: str, now: float) -> Iterator[tuple[int, GaveWay]]:
    """Yield what this node knows of itself and of those that are heard, by node."""
    record = state.records.get(group)
    if record is not None and record.gave_way is not None:
        yield state.me, replace(record.gave_way, age_s=int(now - record.gave_way_at))
    for status in state.view.mentioning(group):
        found = status.gave_way.get(group)
        if found is not None and state.view.speaks(status.node):
            heard_at = state.view.peer(status.node).heard_at
            since_s = int(now - heard_at) if heard_at is not None else 0
            yield status.node, replace(found, age_s=found.age_s + since_s)


def _said(node: int, it: GaveWay) -> str:
    return f"{words(it)} on node {node} {it.age_s} s ago"
