"""What a node says of itself, and what is new in what another says.

`compose` makes the status to be published from everything the node has decided;
`differences` finds the groups whose turn a peer's new status calls for.
"""

from __future__ import annotations

import math
from itertools import islice

from mosha.core.entries import PER_GROUP_MAX
from mosha.core.group_report import GroupReport
from mosha.core.quorum import Sight
from mosha.core.seat import Mind
from mosha.core.status import Ban, GroupLine, NodeState, Status, Term, Trouble

TROUBLES_MAX = 64
"""A node where more is wrong says so with these: its status must not grow with its bad luck."""


def line_of(local: GroupReport) -> GroupLine:
    """Return the clstat line of a group as clinit reports it."""
    return GroupLine(local.level, local.state)


def compose(mind: Mind, *, seq: int, now: float, left: bool) -> Status:
    """Make the status that number `seq` shall be; `left` says that the node has gone (V4)."""
    seats = sorted(mind.seats.values(), key=lambda seat: seat.group)
    voted = {s.group: s.ballot.voted for s in seats if s.ballot.voted}
    known = mind.view.terms
    terms = {
        group: Term(max(known.get(group, 0), voted.get(group, 0)), voted.get(group, 0))
        for group in sorted({*known, *voted})
    }
    return Status(
        node=mind.me,
        inc=mind.inc,
        run=mind.run,
        boot=mind.boot,
        seq=seq,
        state=NodeState.LEFT if left else mind.state,
        quorum=mind.view.sight is Sight.YES,
        timeout_ms=math.ceil(mind.timeout_s(now) * 1000),
        heartbeat_ms=math.ceil(mind.timing.heartbeat_s * 1000),
        voters=mind.view.electorate.digest,
        seen=mind.view.seen(),
        votes={s.group: s.ballot.vote for s in seats if s.ballot.vote is not None},
        terms=terms,
        claims={s.group: s.claim for s in seats if s.claim is not None},
        groups={group: line_of(local) for group, local in sorted(mind.locals.items())},
        bans={
            s.group: Ban(math.ceil(s.ban_until - now), s.ban_reason)
            for s in seats
            if s.ban_until > now
        },
        fenced=dict(mind.view.receipts),
        tables=mind.tables,
        refused=mind.refused,
        pasts=mind.pasts,
        orders={number: standing.order for number, standing in mind.orders.items()},
        obeyed=dict(mind.obeyed),
        standby=mind.standby,
        troubles=_troubles(mind, now),
    )


def _troubles(mind: Mind, now: float) -> dict[tuple[str, str], Trouble]:
    """Return what the others shall know of entries that are not well here, bounded."""
    found = {
        (group, trouble.tag): trouble
        for group, local in sorted(mind.locals.items())
        if local.entries
        for trouble in mind.troubles(group, now)[:PER_GROUP_MAX]
    }
    return dict(islice(found.items(), TROUBLES_MAX))


def differences(old: Status | None, new: Status) -> set[str] | None:
    """Return the groups of which two statuses of one node say different things.

    None if they differ in something that concerns every group. A status that only counts on
    (`seq`, `Mosha::Seen`, the seconds of a ban) differs in nothing.
    """
    if old is None or (*(old.inc, old.state, old.quorum, old.fenced, old.standby),) != (
        new.inc,
        new.state,
        new.quorum,
        new.fenced,
        new.standby,
    ):
        return None
    pairs = (
        (old.claims, new.claims),
        (old.groups, new.groups),
        (old.votes, new.votes),
        (old.terms, new.terms),
    )
    found: set[str] = set()
    for before, after in pairs:
        if before != after:
            found |= {g for g in before.keys() | after.keys() if before.get(g) != after.get(g)}
    return found | (old.bans.keys() ^ new.bans.keys())
