"""Groups that relate to each other: what `after=`, `with=`, `apart=` of hactl ask of a group now.

- `after`: a group goes to its level once each group before it is seen at its level. It is then
  bound to that instance (node and term), and stops when the instance is seen to end. A node that is
  not heard says nothing: what is bound to it stays.
- The reverse order: a node that is to stop a group in good order marks it (`leaving`), and waits
  until no node that is heard shows a group after it. It waits at most `HOLD_LIMIT_S`.
- `with` and `apart` are enforced on the node that would run both, or would run one alone: what it
  claims itself it knows for certain. What others hold is in their statuses.

Each question returns a clause that says what is in the way, "" if nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from mosha.core.cluster.group_rules import NOT_WANTED
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.relation_graph import NO_RELATIONS
from mosha.core.cluster.state import NEVER, Binding, GroupRecord, MonitorState
from mosha.core.cluster.wording import said
from mosha.core.instance_names import instance, node_of, single
from mosha.core.status import GroupLine, GroupState, Status
from mosha.core.tables import BUILT_IN_LEVELS, PLAN_LEVEL, STOP_LEVEL, Wish

HOLD_LIMIT_S = 120.0
"""For so long a stop waits for the groups that have to stop first. By the usual signals a group
ends within 15 s, so three of them, one after the other, need less than a minute; the units of
systemd end a node that has not left after 180 s."""

_AT_LEVEL = (GroupState.DONE, GroupState.PASSED)
_CLAIMED_ONLY = GroupLine(PLAN_LEVEL, GroupState.STARTING)


class GroupPlace(Struct, frozen=True):
    """A group on this node, or on one that is heard.

    `leaving` says why it is about to leave its level. `granted` is known of this node only.
    """

    node: int
    term: int | None
    line: GroupLine
    leaving: str = ""
    granted: bool = True

    def is_at(self, level: str) -> bool:
        """Say whether it is at its level under a claim, and is to stay there."""
        arrived = self.line.level == level and self.line.state in _AT_LEVEL
        return arrived and self.term is not None and not self.leaving


def places(state: MonitorState, group: str) -> list[GroupPlace]:
    """Return where the group is claimed or present, this node first."""
    found = []
    record, report = state.records.get(group), state.report(group)
    if record is not None and (record.claim is not None or report.present):
        line = GroupLine(report.level, report.state)
        leaving = record.leaving
        if not leaving and record.told_level not in ("", report.level):
            leaving = f"told to {record.told_level}"
        found.append(GroupPlace(state.me, record.claim, line, leaving, record.granted))
    for status in state.view.mentioning(group):
        if status.holds(group) and state.view.speaks(status.node):
            line = status.groups.get(group, _CLAIMED_ONLY)
            leaving = status.leaving.get(group, "")
            found.append(GroupPlace(status.node, status.claims.get(group), line, leaving))
    return found


# --- after: when to start, and when to stop ----------------------------------------------------


def unmet(state: MonitorState, group: str, node: int) -> str:
    """Return what keeps a group from running on a node as far as `after=` is concerned.

    One that is claimed or present there stays unless what it came after is seen to end, as only its
    own node knows; another one waits until it is seen at its level.
    """
    if state.relations is NO_RELATIONS or not _before(state, group, node):
        return ""
    record = state.records.get(group)
    if node == state.me and record is not None and _stays(state, record):
        return _ended(state, record)
    if node != state.me and any(place.node == node for place in places(state, group)):
        return ""
    return awaited(state, group, node)


def _stays(state: MonitorState, record: GroupRecord) -> bool:
    return record.claim is not None or state.report(record.group).present


def _before(state: MonitorState, group: str, node: int) -> tuple[str, ...]:
    wish = _wish(state, group)
    return related(state, group, wish.after, node) if wish is not None else ()


def related(state: MonitorState, group: str, others: tuple[str, ...], node: int) -> tuple[str, ...]:
    """Return the groups that one on a node relates to: of one with `on=all` its instance there."""
    if not others or state.hactl is None:
        return ()
    wishes, there = state.hactl.wishes, node_of(group) or node
    return tuple(other if other in wishes else instance(other, there) for other in others)


def awaited(state: MonitorState, group: str, node: int) -> str:
    """Return which group, not seen at its level, a group has to come after on a node."""
    if state.relations is NO_RELATIONS:
        return ""
    for other in _before(state, group, node):
        found = _instance(state, other)
        if found is None:
            return f"waits for {other} (after=): {where(state, other)}"
        if not _is_alive(state, found.node):
            return f"waits for {other} (after=): node {found.node} {NOT_SINCE}"
    return ""


NOT_SINCE = "has published nothing since this monitor started"


def _is_alive(state: MonitorState, node: int) -> bool:
    """Say whether a node is known to live: the file that a dead one has left looks fresh at first.

    Nothing is started because of what it says; what runs stays.
    """
    return node == state.me or state.view.peer(node).advanced


def _instance(state: MonitorState, group: str) -> Binding | None:
    """Return the instance of a group that is seen at its level, None if there is none."""
    level = state.wish_level(group)
    if level == STOP_LEVEL:
        return None
    for place in places(state, group):
        if place.term is not None and place.granted and place.is_at(level):
            return Binding(place.node, place.term)
    return None


def _ended(state: MonitorState, record: GroupRecord) -> str:
    """Return which group before this one is seen to have ended, or to be about to."""
    if state.hactl is None or state.cltab_groups is None:
        return ""
    for other in _before(state, record.group, state.me):
        if _is_over(state, other, record.bound.get(other)):
            return f"comes after {other} (after=): {where(state, other)}"
    return ""


def _is_over(state: MonitorState, group: str, bound: Binding | None) -> bool:
    """Say whether an instance of a group is seen to have ended; of silent nodes nothing is."""
    level, seen = state.wish_level(group), places(state, group)
    if level == STOP_LEVEL:
        return True
    if bound is None:
        if any(place.is_at(level) for place in seen):
            return False
        return _has_gone_on(seen) or not _may_run_unseen(state, group)
    if bound.node == state.me or state.view.speaks(bound.node):
        return not any((place.node, place.term) == bound and place.is_at(level) for place in seen)
    if state.view.standing(bound.node) in (Standing.LEFT, Standing.FENCED):
        return True
    return _has_gone_on(seen)


def _has_gone_on(seen: list[GroupPlace]) -> bool:
    """Say whether a group is, or was, at more than a plan under a claim that is seen.

    It may be stopped there for good, and keeps its claim then.
    """
    return any(
        place.line.level != PLAN_LEVEL and place.line.state is not GroupState.CONFIGURED
        for place in seen
    )


def _running(seen: list[GroupPlace]) -> list[GroupPlace]:
    """Return the places with more than a plan."""
    return [place for place in seen if place.line.level != PLAN_LEVEL and place.line.active]


def _may_run_unseen(state: MonitorState, group: str) -> bool:
    """Say whether a node that is not heard may run the group, as far as statuses tell."""
    view = state.view
    if view.quorum_state is not QuorumState.YES or view.holders(group, state.required_grade(group)):
        return True
    silent = {view.standing(node) for node in view.members}
    return Standing.STALE in silent or Standing.NEVER in silent


def settle(state: MonitorState, record: GroupRecord) -> None:
    """Bind what runs here to the instances before it that are seen now; forget it of what ended.

    Also after an edit, or a restart of the monitor: what runs is bound to what it finds.
    """
    if state.relations is NO_RELATIONS or not _before(state, record.group, state.me):
        if record.bound:
            record.bound.clear()
        return
    report = state.report(record.group)
    if not report.present or report.wanted in BUILT_IN_LEVELS:
        if record.told_level in ("", *BUILT_IN_LEVELS):
            record.bound.clear()
        return
    bind(state, record)


def bind(state: MonitorState, record: GroupRecord) -> None:
    """Bind a group that goes to its level to the instances before it."""
    for other in _before(state, record.group, state.me):
        if other not in record.bound and (found := _instance(state, other)) is not None:
            record.bound[other] = found


def remedy(state: MonitorState, group: str, node: int) -> str:
    """Return what to do about the group that another one has to come after on a node."""
    for other in _before(state, group, node):
        found = _instance(state, other)
        if found is not None and not _is_alive(state, found.node):
            return f"wait for its next heartbeat, or: mosha why {other}"
        if found is None:
            if state.wish_level(other) != STOP_LEVEL:
                return f"mosha why {other}"
            name = single(other)
            apart = f"take {name} out of after= of {group}"
            wishes = state.hactl.wishes if state.hactl is not None else {}
            if any(single(it) == name and state.wish_level(it) != STOP_LEVEL for it in wishes):
                return f"change only= of {name}, or {apart}"
            return f"mosha set {name} start, or {apart}"
    return "wait until it has stopped, and starts again"


def remedy_of_with(state: MonitorState, group: str) -> str:
    """Return what to do about the group that another one runs with."""
    wish = _wish(state, group)
    return f"see mosha why {wish.with_[0]}" if wish is not None and wish.with_ else ""


def where(state: MonitorState, group: str) -> str:
    """Say where a group is that another one needs, in a clause."""
    if state.wish_level(group) == STOP_LEVEL:
        named = state.hactl is not None and group in state.hactl.wishes
        if named and state.cltab_groups is not None and group not in state.cltab_groups:
            return "cltab has no such group"
        return "hactl says stop" if named else "hactl does not name it"
    for place in places(state, group):
        text = f"{place.line.level} {place.line.state} on node {place.node}"
        if place.leaving and place.line.level != STOP_LEVEL:
            # hactl wants it, on another node or later.
            why = "not wanted there" if place.leaving == NOT_WANTED else place.leaving
            return f"it is {text}, and about to leave ({why})"
        if place.line.active:
            return f"it is {text}"
    silent = [
        status.node
        for status in state.view.mentioning(group)
        if status.holds(group) and not state.view.speaks(status.node)
    ]
    if silent:
        standing = said(state.view.standing(silent[0]))
        return f"node {silent[0]}, which may run it, {standing}"
    return "it runs nowhere"


# --- after: what stops first -------------------------------------------------------------------


def dependants(state: MonitorState, group: str) -> Iterator[tuple[str, int]]:
    """Yield the groups after this one that are seen to run, and on which node.

    What only plans does not count, nor what has failed at `stop`: it waits for an operator.
    """
    for other in state.relations.dependants.get(group, ()):
        for place in _running(places(state, other)):
            if node_of(group) not in (None, place.node):
                continue  # it runs after the instance of its own node
            if (place.line.level, place.line.state) != (STOP_LEVEL, GroupState.FAILED):
                yield other, place.node


def held(state: MonitorState, record: GroupRecord, now: float) -> bool:
    """Say whether a stop in good order has to wait for the groups after this one.

    Nothing waits that has to end in time: by order of a poison pill, or without a quorum.
    """
    if record.group not in state.relations.dependants or not record.granted:
        return False
    if state.displaced or state.pills_taken or state.view.quorum_state is QuorumState.NO:
        return False
    if record.leaving and now >= record.leaving_since + HOLD_LIMIT_S:
        return False
    return next(dependants(state, record.group), None) is not None


def hold(state: MonitorState, record: GroupRecord, cause: str, now: float) -> None:
    """Publish that a group is about to leave its level, so that those after it stop."""
    if record.leaving:
        return
    record.leaving, record.leaving_since = cause, now
    waits_for = ", ".join(
        f"{group} on node {node}" for group, node in dependants(state, record.group)
    )
    state.log("group_held", group=record.group, cause=cause, waits_for=waits_for)
    state.changed()
    state.wake_concerned(record.group)


def stay(state: MonitorState, record: GroupRecord) -> None:
    """Withdraw that: the group stays, has started again, or is gone."""
    if record.leaving:
        record.leaving, record.leaving_since = "", NEVER
        state.changed()
        state.wake_concerned(record.group)


def leaving(state: MonitorState) -> Mapping[str, str]:
    """Return the groups to publish that are about to leave their level, and why."""
    return {group: it.leaving for group, it in state.claimed.items() if it.leaving}


# --- with --------------------------------------------------------------------------------------


def alone(state: MonitorState, group: str, other: str, node: int) -> str:
    """Return why a group may not be on a node, as far as the one it is `with` goes.

    Whether that one is to run on this node at all is asked in `eligibility`.
    """
    if node != state.me:
        status = state.view.peer(node).status
        there = status is not None and _runs(status, other)
        return "" if there else f"{other} (with=) is not there"
    record = state.records.get(other)
    mine = state.records.get(group)
    stays = mine is not None and _stays(state, mine)
    if record is None or record.claim is None or not (record.granted or stays):
        return f"{other} (with=) is not here"
    ends = (record.told_level or state.report(other).wanted) == STOP_LEVEL
    starts_again = record.restarting or bool(record.restarts)
    if ends and not (stays and starts_again):
        return f"{other} (with=) is about to stop here"
    return ""


def _runs(status: Status, group: str) -> bool:
    line = status.groups.get(group)
    return group in status.claims and line is not None and line.active and line.level != STOP_LEVEL


# --- apart -------------------------------------------------------------------------------------


def beside(state: MonitorState, group: str, node: int) -> str:
    """Return which group on that node keeps this one away from it (`apart=`), "" if none.

    If both are there already, one of them stays.
    """
    for other in state.relations.apart.get(group, ()):
        if _holds(state, other, node) and not (
            node == state.me and _holds(state, group, node) and not _gives_way(state, group, other)
        ):
            return other
    return ""


def _holds(state: MonitorState, group: str, node: int) -> bool:
    if node == state.me:
        record = state.records.get(group)
        return record is not None and _stays(state, record)
    status = state.view.peer(node).status
    return status is not None and status.holds(group)


def _gives_way(state: MonitorState, group: str, other: str) -> bool:
    """Say which of two groups on one node leaves it: the same answer from both sides.

    The one of the lower priority; else the one whose line has the `apart=`; else the later name.
    """
    one, two = _wish(state, group) or Wish(group, STOP_LEVEL), _wish(state, other)
    two = two or Wish(other, STOP_LEVEL)
    if one.priority != two.priority:
        return one.priority < two.priority
    says, said_by_other = other in one.apart, group in two.apart
    return says if says is not said_by_other else group > other


def _wish(state: MonitorState, group: str) -> Wish | None:
    return state.hactl.wishes.get(group) if state.hactl is not None else None
