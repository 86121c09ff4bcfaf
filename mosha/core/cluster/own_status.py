"""The status that a node publishes, and what is new in another's.

`compose` makes the status to publish from everything the node has decided; `differences` finds
the groups that need a step after a peer's new status.
"""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from itertools import islice

from mosha.core.cluster import (
    arming,
    exhaustion,
    gave_way,
    giving_up,
    late_kills,
    probation,
    relations,
    restarting,
    restraint,
    shots,
    standby,
)
from mosha.core.cluster.orders import unfinished
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import MonitorState
from mosha.core.status import (
    DELIBERATE,
    Ban,
    GroupLine,
    NodeState,
    Status,
    Term,
    Trouble,
    same,
)
from mosha.core.supervision.entries import PUBLISHED_PER_GROUP_MAX
from mosha.core.supervision.group_report import GroupReport

TROUBLES_MAX = 64
"""At most this many are published: the status must stay bounded, whatever goes wrong."""


NOTHING: frozenset[str] = frozenset()


def line_of(report: GroupReport) -> GroupLine:
    """Return the clstat line of a group as clinit reports it."""
    return GroupLine(report.level, report.state)


def is_news(before: GroupReport, report: GroupReport) -> bool:
    """Say whether the other nodes are to know at once what clinit reports anew of a group."""
    return (line_of(before), _ordered(before)) != (line_of(report), _ordered(report))


def _ordered(report: GroupReport) -> list[tuple[str, bool, bool]]:
    """Return the entries that an operator has stopped, or restarts."""
    return [(e.tag, e.held, e.restarting) for e in report.entries if e.held or e.restarting]


def compose(state: MonitorState, *, seq: int, now: float, left: bool) -> Status:
    """Make status number `seq`; `left` says that the node has gone (V4)."""
    records = sorted(state.records.values(), key=lambda record: record.group)
    voted = {s.group: s.ballot.voted for s in records if s.ballot.voted}
    known = state.view.terms
    terms = {
        group: Term(max(known.get(group, 0), voted.get(group, 0)), voted.get(group, 0))
        for group in sorted({*known, *voted})
    }
    return Status(
        node=state.me,
        inc=state.inc,
        run=state.run,
        boot=state.boot,
        seq=seq,
        state=NodeState.LEFT if left else state.node_state,
        quorum=state.view.quorum_state is QuorumState.YES,
        timeout_ms=math.ceil(state.timeout_s(now) * 1000),
        heartbeat_ms=math.ceil(state.timing.heartbeat_s * 1000),
        voters=state.view.electorate.digest,
        seen=state.view.seen(),
        votes={s.group: s.ballot.vote for s in records if s.ballot.vote is not None},
        terms=terms,
        claims={s.group: s.claim for s in records if s.claim is not None},
        groups={group: line_of(report) for group, report in sorted(state.reports.items())},
        bans={
            s.group: Ban(math.ceil(s.ban_until - now), s.ban_reason)
            for s in records
            if s.ban_until > now
        },
        fenced=dict(state.view.receipts),
        shots=shots.published(state),
        disarms=arming.published(state, now),
        probations=probation.own(state, now),
        deaths=restraint.deaths_seen(state, now),
        unended=state.unended,
        late_kills=late_kills.own(state),
        given_up=giving_up.published(state, now),
        exhausted=exhaustion.published(state),
        leaving=relations.leaving(state),
        restarts=restarting.published(state, now),
        gave_way=gave_way.published(state, now),
        pills=dict(state.pills),
        pills_obeyed=dict(state.pills_obeyed),
        tables=state.tables,
        refused=state.refused,
        pasts=state.pasts,
        orders={number: standing.order for number, standing in state.orders.items()},
        obeyed=dict(state.obeyed),
        unfinished=unfinished(state),
        standby=standby.on_standby(state, state.me) or bool(state.cut_off),
        witness=state.witness,
        cut_off=bool(state.cut_off),
        capacity=state.capacity,
        troubles=_troubles(state, now),
        answers={key: standing.answer for key, standing in state.answers.items()},
    )


def _troubles(state: MonitorState, now: float) -> dict[tuple[str, str], Trouble]:
    """Return the troubles of entries here to publish, bounded: what operators did comes last."""
    found: dict[tuple[str, str], Trouble] = {}
    for group, report in sorted(state.reports.items()):
        if report.entries:
            wrong = sorted(state.troubles(group, now), key=lambda it: it.kind in DELIBERATE)
            found |= {(group, it.tag): it for it in wrong[:PUBLISHED_PER_GROUP_MAX]}
    return dict(islice(found.items(), TROUBLES_MAX))


def _ailing(old: Status, new: Status) -> set[str]:
    """Return the groups in other trouble, or restarted in place or giving way once more."""
    kinds = [{key: it.kind for key, it in status.troubles.items()} for status in (old, new)]
    counts = [{group: it.count for group, it in status.restarts.items()} for status in (old, new)]
    terms = [{group: it.term for group, it in status.gave_way.items()} for status in (old, new)]
    (was, now), pairs = kinds, (counts, terms)
    found = {key[0] for key in was.keys() | now.keys() if was.get(key) is not now.get(key)}
    for before, after in pairs:
        found |= {g for g in before.keys() | after.keys() if before.get(g) != after.get(g)}
    return found


def differences(old: Status | None, new: Status) -> AbstractSet[str] | None:
    """Return the groups of which two statuses of one node say different things.

    None if they differ in something that concerns every group. Counters (`seq`, `Mosha::Seen`,
    the seconds of a ban) do not count as differences.
    """
    if (
        old is None
        or old.inc != new.inc
        or old.state is not new.state
        or old.quorum is not new.quorum
        or not same(old.fenced, new.fenced)
        or old.standby is not new.standby
        or old.cut_off is not new.cut_off
        or old.capacity != new.capacity
        or old.probations.keys() != new.probations.keys()
        or old.deaths.keys() != new.deaths.keys()
        or old.unended != new.unended
        or old.late_kills != new.late_kills
        or old.pills_obeyed != new.pills_obeyed
    ):
        return None
    if (
        same(old.claims, new.claims)
        and same(old.groups, new.groups)
        and same(old.votes, new.votes)
        and same(old.terms, new.terms)
        and not (old.bans or new.bans or old.troubles or new.troubles)
        and not (old.restarts or new.restarts or old.gave_way or new.gave_way)
        and same(old.exhausted, new.exhausted)
        and same(old.leaving, new.leaving)
    ):
        return NOTHING
    pairs = (
        (old.claims, new.claims),
        (old.groups, new.groups),
        (old.votes, new.votes),
        (old.terms, new.terms),
        (old.exhausted, new.exhausted),
        (old.leaving, new.leaving),
    )
    found = (old.bans.keys() ^ new.bans.keys()) | _ailing(old, new)
    for before, after in pairs:
        if not same(before, after):
            found |= {g for g in before.keys() | after.keys() if before.get(g) != after.get(g)}
    return found
