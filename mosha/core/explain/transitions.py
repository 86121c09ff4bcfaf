"""What has changed in the cluster, as one node sees it: the events of `mosha events`.

`snapshot` records the facts that people follow: the standing of each node, each group on each
node, quorum, fencing and shots, late kills, bans, failures and what follows, refused tables. Two
snapshots make transitions. What a node knew at its first snapshot is not an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from mosha.core.cluster import gave_way
from mosha.core.cluster.fencing import AIMING
from mosha.core.cluster.orders import MOVED
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.state import MonitorState, RestartedInPlace
from mosha.core.durations import times_text
from mosha.core.explain import quorate, shooting
from mosha.core.ladder import LADDER
from mosha.core.status import OPERATOR, Restarts, Status, TroubleKind
from mosha.core.supervision.entries import trouble_text

MOVING = "moves away"
"""A ban that is a move by an operator: each node but the destination has it."""

_DESTINATION = re.compile(rf"{MOVED}to node ([0-9]+) ")

GIVEN_UP = "given up"
"""A ban that is a move: the failures of the group have used up its restarts, or its test failed."""

FOR_GOOD = "stopped for good"

TWICE = "it may have run on two nodes"
"""What a late kill means."""

ABSENT = "-"
"""The value of a group on a node that does not report it."""


class Subject(NamedTuple):
    """What a fact is about: `kind` is one of `_ORDER`.

    There are also transitions of the kinds move (`core/explain/homes.py`) and monitor.
    """

    kind: str
    group: str
    node: int


class Fact(NamedTuple):
    """A value, and the cause that the reporting node gives."""

    value: str
    cause: str = ""


Picture = Mapping[Subject, Fact]


class Transition(Struct, frozen=True):
    """One change: `before` and `after` are values of the fact, ABSENT where there was none.

    Of a move they are the nodes, and `away_s` is how long the group ran on none.
    """

    kind: str
    group: str
    node: int
    before: str
    after: str
    cause: str
    away_s: float | None = None


def snapshot(state: MonitorState) -> dict[Subject, Fact]:
    """Return all current facts that people follow."""
    found: dict[Subject, Fact] = {}
    quorum_state = Fact(state.view.quorum_state.value, quorate.reason(state))
    found[Subject("quorum", "", state.me)] = quorum_state
    found[Subject("node", "", state.me)] = Fact(state.node_state.value)
    for node in state.view.watched():
        standing = state.view.standing(node)
        if standing is not Standing.NEVER:
            found[Subject("node", "", node)] = Fact(standing.value, _of_standing(state, node))
    found.update(_probations(state))
    # Nothing is published before clinit has answered for the first time.
    if state.published is not None and not state.clinit_known:
        found[Subject("clinit", "", state.me)] = Fact("does not answer")
    found.update(_groups(state))
    found.update(_entries(state))
    found.update(_fencing(state))
    refused = [(state.me, state.refused), *((s.node, s.refused) for s in _counted(state))]
    for node, files in refused:
        for file, text in files.items():
            found[Subject("table", file, node)] = Fact("refused", text)
    return found


def _probations(state: MonitorState) -> Iterator[tuple[Subject, Fact]]:
    """Yield the nodes that may own nothing for a while, as this node or one that is heard says."""
    own = [state.published] if state.published is not None else []
    judges = (*own, *state.view.fresh()) if state.fencing.probation else ()
    for node in {node for status in judges for node in status.probations}:
        times = f"found dead {state.fencing.probation} times within an hour, it owns no group"
        yield Subject("probation", "", node), Fact("on probation", times)


def _of_standing(state: MonitorState, node: int) -> str:
    """Return why a node has its standing: by what receipt it is dead, or why it cannot be read."""
    receipt = state.view.receipts.get(node)
    if receipt is None or state.view.standing(node) is not Standing.FENCED:
        return state.view.peer(node).error
    if receipt.method == OPERATOR:
        return "confirmed by an operator"
    return f"{receipt.method}, {receipt.grade.text}"


def _fencing(state: MonitorState) -> Iterator[tuple[Subject, Fact]]:
    """Yield whether fencing is armed, which shots are held back, and those of this node."""
    order = state.disarmed
    fact = Fact("armed")
    if order is not None and state.disarm_told:
        fact = Fact("disarmed", f"from node {order.node}: {order.reason}")
    yield Subject("fencing", "", state.me), fact
    for node, hold in state.holds.items():
        reason = shooting.HELD[hold.kind](shooting.names(hold.nodes))
        yield Subject("hold", "", node), Fact(f"held back: {hold.kind}", reason)
    for shot in state.shots.values():
        if shot.outcome != AIMING:
            outcome = f"{shot.outcome} ({shot.method})" if shot.method else shot.outcome
            yield Subject("shot", "", shot.node), Fact(outcome, shot.detail)


_COUNTED = frozenset({Standing.FRESH, Standing.LEAVING, Standing.STALE})


def _counted(state: MonitorState) -> Iterator[Status]:
    """Yield the statuses of others whose facts are followed; a stale node's stay as they were."""
    return (s for s in state.view.known() if state.view.standing(s.node) in _COUNTED)


def _groups(state: MonitorState) -> Iterator[tuple[Subject, Fact]]:
    """Yield each group on each node, and what its failures have led to there."""
    for group, report in state.reports.items():
        if report.present:
            yield (
                Subject("group", group, state.me),
                Fact(f"{report.level} {report.state}", report.cause),
            )
    for group, record in state.records.items():
        if record.ban_reason:
            yield Subject("ban", group, state.me), _ban(record.ban_reason)
        if record.exhausted:
            yield Subject("exhausted", group, state.me), Fact(FOR_GOOD, record.exhausted)
        if record.in_place is not None:
            yield Subject("restart", group, state.me), _restarts(record.in_place)
        if record.gave_way is not None:
            yield Subject("gave-way", group, state.me), Fact(gave_way.words(record.gave_way))
    yield from _groups_of_others(state)


def _groups_of_others(state: MonitorState) -> Iterator[tuple[Subject, Fact]]:
    for status in _counted(state):
        for group, line in status.groups.items():
            if line.active:
                yield Subject("group", group, status.node), Fact(f"{line.level} {line.state}")
        for group, ban in status.bans.items():
            yield Subject("ban", group, status.node), _ban(ban.reason)
        for group, reason in status.exhausted.items():
            yield Subject("exhausted", group, status.node), Fact(FOR_GOOD, reason)
        for group, found in status.restarts.items():
            yield Subject("restart", group, status.node), _restarts(found)
        for group, way in status.gave_way.items():
            yield Subject("gave-way", group, status.node), Fact(gave_way.words(way))


def _ban(reason: str) -> Fact:
    """Return the fact of a ban: the group failed there, too often, or an operator moves it away."""
    given_up = GIVEN_UP if LADDER in reason else "banned"
    return Fact(MOVING if reason.startswith(MOVED) else given_up, reason)


def _restarts(found: RestartedInPlace | Restarts) -> Fact:
    return Fact(times_text(found.count), found.reason)


def _entries(state: MonitorState) -> Iterator[tuple[Subject, Fact]]:
    """Yield the groups with entries in trouble, as their nodes report."""
    own = [state.published] if state.published is not None else []
    for status in (*own, *_counted(state)):
        for group in status.late_kills:
            yield Subject("late-kill", group, status.node), Fact("killed too late", TWICE)
        for group in sorted({group for group, _ in status.troubles}):
            wrong = status.troubles_of(group)
            ill = [trouble for trouble in wrong if trouble.kind is TroubleKind.UNHEALTHY]
            if ill:
                said = "; ".join(map(trouble_text, ill))
                yield Subject("health", group, status.node), Fact("unhealthy", said)
            value = ", ".join(f"{trouble.tag} {trouble.kind}" for trouble in wrong)
            yield Subject("entry", group, status.node), Fact(value, wrong[0].text)


def transitions(before: Picture, after: Picture) -> list[Transition]:
    """Return what has changed between two snapshots: nodes first, then groups."""
    changed = [
        subject
        for subject in before.keys() | after.keys()
        if before.get(subject, _NONE).value != after.get(subject, _NONE).value
        and (subject.kind not in _PAST or _happened(subject, before, after))
    ]
    return [
        Transition(
            *subject,
            before=before.get(subject, _NONE).value,
            after=after.get(subject, _NONE).value,
            cause=_cause(subject, after) or _not_done(subject, before, after),
        )
        for subject in sorted(changed, key=lambda item: (_ORDER.index(item.kind), *item))
    ]


def _happened(subject: Subject, before: Picture, after: Picture) -> bool:
    """Say whether something was done since the snapshot before, which had what its node says.

    What a node says that was not heard until now may be old, and was told before.
    """
    node = before.get(Subject("node", "", subject.node), _NONE).value
    return subject in after and node not in (ABSENT, Standing.LEFT, Standing.FENCED)


def _cause(subject: Subject, after: Picture) -> str:
    fact = after.get(subject)
    if fact is not None:
        return fact.cause
    node = after.get(Subject("node", "", subject.node), _NONE).value
    gone = subject.kind in _OF_A_STATUS and node in (Standing.LEFT, Standing.FENCED)
    return f"node {subject.node} is {node}" if gone else ""


def _not_done(subject: Subject, before: Picture, after: Picture) -> str:
    """Return that a move is over and the group is not where it was moved to, else ""."""
    fact = before.get(subject, _NONE)
    found = _DESTINATION.match(fact.cause) if fact.value == MOVING else None
    if found is None or subject in after:
        return ""
    there = Subject("group", subject.group, int(found[1]))
    return "" if there in after else f"not done: it is not on node {found[1]}"


_PAST = frozenset({"restart", "gave-way"})
"""What has been done: that it counts no longer is no event."""

_OF_A_STATUS = frozenset({"group", "ban", "exhausted", "health", "entry", "late-kill", "table"})
"""What a node reports about itself: it goes with the node, which is not an end of trouble."""

_NONE = Fact(ABSENT)
_ORDER = (
    *("quorum", "node", "probation", "clinit", "fencing", "hold", "shot"),
    *("table", "health", "restart", "exhausted", "ban", "late-kill", "entry"),
    *("gave-way", "group"),
)
