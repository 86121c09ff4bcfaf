"""The vote of this node for a group, and the lease of its own claim (V2, V3, C3, C4).

The rules are in `ballot` and `lease`; here they are applied to what a node has read. Part of each
step (`group_step`), and of a renewal (`node`).
"""

from __future__ import annotations

from mosha.core.cluster import ballot, lease, rivals
from mosha.core.cluster.ballot import Ballot, Claim
from mosha.core.cluster.candidacy import ranks
from mosha.core.cluster.recovery import doubtful
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.status import Vote
from mosha.core.tables import PLAN_LEVEL

# --- votes -----------------------------------------------------------------------------


def settle_vote(state: MonitorState, record: GroupRecord, now: float) -> None:
    """Release the vote if V3 allows it, then give one if V1 and V2 allow it."""
    vote = record.ballot.vote
    if vote is not None and (cause := _release_cause(state, record, vote)):
        record.ballot = Ballot(None, record.ballot.voted)
        state.log("vote_released", group=record.group, to=vote.node, term=vote.term, cause=cause)
        state.changed()
        state.wake(rivals.rivals(state, record.group))
    if record.ballot.vote is not None or state.silent(now) or not state.clinit_known:
        return
    if rivals.excluded(state, record.group) or rivals.runs(state, record.group):
        return
    cast = Ballot(None, rivals.voted(state, record.group))
    pairs = state.view.pairs()
    claims = state.view.claims(record.group)
    if (own := own_claim(state, record)) is not None:
        claims.append(own)
    elif _runs_here(state, record):
        return
    allowed = [
        claim
        for claim in claims
        if ballot.may_vote(cast, claim, record.group, pairs)
        and not doubtful(state, record.group, claim.node, now)
    ]
    chosen = ballot.choose(allowed, ranks(state, record.group, now) if len(allowed) > 1 else {})
    if chosen is not None:
        vote_for(state, record, chosen)


def _runs_here(state: MonitorState, record: GroupRecord) -> bool:
    """Say whether this node's status shows the group active: V2 asks all nodes, this one too."""
    report = state.report(record.group)
    return report.present and report.level != PLAN_LEVEL


def _release_cause(state: MonitorState, record: GroupRecord, vote: Vote) -> str:
    if vote.node == state.me:
        gone = state.clinit_known and record.claim != vote.term
        return "own claim ended" if gone else ""
    view = state.view
    return ballot.release_cause(
        vote,
        record.group,
        view.peer(vote.node),
        view.receipts.get(vote.node),
        required=state.required_grade(record.group),
    )


def own_claim(state: MonitorState, record: GroupRecord) -> Claim | None:
    """Return the claim of this node for a group, None if it has none."""
    if record.claim is None:
        return None
    return Claim(state.me, state.inc, 0, record.claim, running=record.activated)


def vote_for(state: MonitorState, record: GroupRecord, claim: Claim) -> None:
    """Give the vote of this node to a claim (V2)."""
    vote = Vote(term=claim.term, node=claim.node, inc=claim.inc, seq=claim.seq)
    record.ballot = Ballot(vote, max(claim.term, record.ballot.voted))
    state.log("vote_given", group=record.group, to=claim.node, term=claim.term)
    state.changed()


# --- grant and lease -------------------------------------------------------------------


def settle_grant(state: MonitorState, record: GroupRecord, now: float) -> None:
    """Count the votes for this node's claim and move the end of its lease (C3, C4)."""
    if record.claim is None:
        return
    start = lease.granted_from(_echoes(state, record, record.claim), state.view.needed)
    if start is not None:
        until = max(record.lease_until, start + state.timing.lease_s)
        if until > record.lease_until:
            record.lease_until, record.kill_at = until, None
    granted = now < record.lease_until
    if granted and not record.granted:
        state.log(
            "claim_granted", group=record.group, term=record.claim, lease_s=_left(record, now)
        )
        record.collisions = 0
        state.wake((record.group,))
    elif record.granted and not granted:
        state.log("lease_lost", group=record.group, term=record.claim)
        state.wake((record.group,))
    record.granted = granted


def kill_at(state: MonitorState, record: GroupRecord) -> float:
    """Return when what runs under the lease is killed: clinit's deadline until it is renewed (C7).

    The stop budget may be longer than in the earlier run, whose lease was longer then: their sum
    would be more than T.
    """
    return (
        record.lease_until + state.timing.stop_budget_s
        if record.kill_at is None
        else record.kill_at
    )


def _echoes(state: MonitorState, record: GroupRecord, term: int) -> list[float]:
    """Return r of C4 for each supporter, this node among them.

    The status that a supporter echoes must show the claim. Else its vote may be for an earlier
    incarnation's claim of the same term, forgotten here: it is about to be released, since what
    the voter has just read does not show the claim.
    """
    view, own, first = state.view, state.published, record.shown_from
    times = []
    for status in view.voters_for(record.group, state.me, term):
        began = lease.echo_time(status, state.me, state.inc, state.writes)
        if began is not None and first is not None and status.seen[state.me].seq >= first:
            times.append(began)
    if (
        own is not None
        and state.me in view.electorate.nodes
        and own.claims.get(record.group) == term
        and lease.supports(own, record.group, state.me, term)
        and (began := state.writes.began(own.seq)) is not None
    ):
        times.append(began)
    return times


def _left(record: GroupRecord, now: float) -> float:
    return round(record.lease_until - now, 3)
