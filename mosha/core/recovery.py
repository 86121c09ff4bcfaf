"""How a life begins after another: rules V4, V5 and C7.

Votes, terms and receipts outlive the monitor in the own clstat. What still runs goes on
under its claim. A node that may have forgotten a vote keeps silent until that cannot matter.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mosha.core.ballot import Ballot
from mosha.core.life import Local
from mosha.core.seat import NEVER, Mind
from mosha.core.status import Status
from mosha.core.tables import PLAN_LEVEL


class Birth(Struct, frozen=True, kw_only=True):
    """What a node knows of itself when its monitor starts.

    `inc` is greater than any the shell knows of this node's (persisted, wall clock); `boot`
    and `run` as published. `former` is the own clstat of an earlier life, if it is whole.
    """

    me: int
    inc: int
    run: str
    boot: str
    now: float
    former: Status | None = None


def recover(mind: Mind, birth: Birth) -> None:
    """Take over votes, terms and receipts of the former life (V4); be silent if due (V5)."""
    former = birth.former
    others = mind.view.electorate.nodes - {mind.me}
    if others and (former is None or former.boot != birth.boot):
        mind.silent_until = birth.now + mind.timing.timeout_s
    if former is None:
        return
    mind.inc = max(mind.inc, former.inc + 1)
    mind.view.remembered(former.fenced)
    for group, term in former.terms.items():
        mind.view.know_term(group, term.known)
        mind.seat(group).ballot = Ballot(None, term.voted or term.known)
    for group, vote in former.votes.items():
        seat = mind.seat(group)
        seat.ballot = Ballot(vote, max(vote.term, seat.ballot.voted))
        mind.view.know_term(group, vote.term)
        mind.view.recovered(vote.node, birth.now)


def adopt(mind: Mind, local: Local, former_claims: Mapping[str, int] | None, now: float) -> None:
    """Go on with the claim of what runs already (C7). What was only planned is stopped."""
    seat = mind.seat(local.group)
    # Also of what was only planned: a node that lost its clstat shall not begin below it.
    mind.view.know_term(local.group, local.term)
    if seat.claim is not None or not local.present or local.term == 0:
        return
    if local.wanted == PLAN_LEVEL:
        return
    withdrawn = former_claims is not None and former_claims.get(local.group) != local.term
    if withdrawn and not local.exclusive:
        return  # a planner that gave its claim up: what stops here needs none
    seat.claim, seat.claimed_at, seat.proven = local.term, now, True
    seat.lease_until = NEVER if local.stop_at is None else local.stop_at
    seat.granted = now < seat.lease_until
    mind.note("group_adopted", group=local.group, term=local.term, level=local.level)


def hear_timeout(mind: Mind, status: Status) -> None:
    """Keep silent for a longer T than the own one, if another node says that it has one."""
    if mind.silent_until is not None:
        mind.silent_until = max(mind.silent_until, mind.started_at + status.timeout_s)


def hear_echo(mind: Mind, status: Status, now: float) -> None:
    """End the silence when everybody has echoed this incarnation (V5).

    A claim that the first echo of a node shows may be older than that echo and count on a
    vote of the life that was forgotten here: while it is shown, no other claim for its
    group gets a vote until T after the start (`doubtful`).
    """
    seen = status.seen.get(mind.me)
    if seen is None or seen.inc != mind.inc or mind.silent_until is None:
        return
    mind.doubts.setdefault(status.node, dict(status.claims))
    if mind.view.all_echo(mind.inc):
        mind.doubt_until, mind.silent_until = mind.silent_until, now
        mind.note("silence_ended", cause="all nodes have echoed this incarnation")
        mind.wake_all()


def doubtful(mind: Mind, group: str, node: int, now: float) -> bool:
    """Say whether a claim of another than `node` may count on a vote forgotten here."""
    if now >= mind.doubt_until:
        return False
    for other, claims in mind.doubts.items():
        if other == node or group not in claims:
            continue
        status = mind.view.peer(other).status
        if status is None or status.claims.get(group) == claims[group]:
            return True
    return False
