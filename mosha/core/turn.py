"""One turn of a group: settle the vote, the grant, then do what the table of `life` says.

Rules V1 to V3 and C1 to C8, catalogue H5. Works on `Mind`; `core.node` is the way in.
"""

from __future__ import annotations

import math

from msgspec import Struct

from mosha.core import ballot, giving_up, lease
from mosha.core.ballot import Ballot, Claim
from mosha.core.candidacy import better_home, follow_ways, give_way, ranks, turn_at, wanted_level
from mosha.core.life import Do, Facts, Row, decide
from mosha.core.orders import has_arrived, lift, obeyed
from mosha.core.recovery import doubtful
from mosha.core.seat import NEVER, TOLD_LIMIT_S, Mind, Seat
from mosha.core.status import GroupState, Vote
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, TEST_LEVEL
from mosha.core.tell import Tell

BACKOFF_STEP_S = 0.5
BACKOFF_DOUBLINGS_MAX = 5


class Turn(Struct, frozen=True):
    """What a turn came to: an order or none, when to come back, and the row that held."""

    tell: Tell | None
    wake_at: float
    row: Row | None


def take(mind: Mind, group: str, now: float, chance: float) -> Turn:
    """Take the turn of a group at `now`; `chance` is a number in [0, 1) for the back-off."""
    seat = mind.seat(group)
    settle_vote(mind, seat, now)
    settle_grant(mind, seat, now)
    if seat.ban_until != NEVER and (now >= seat.ban_until or has_arrived(mind, seat, now)):
        lift(mind, seat)
    follow_ways(mind, seat, now)
    if not mind.clinit_known:
        return Turn(None, math.inf, None)
    facts = facts_of(mind, seat, now)
    row = decide(facts)
    tell = _carry_out(mind, seat, row, facts, now=now, chance=chance)
    return Turn(tell, _wake_at(mind, seat, now), row)


# --- votes -----------------------------------------------------------------------------


def settle_vote(mind: Mind, seat: Seat, now: float) -> None:
    """Release the vote if V3 allows it, then give one if V2 finds a claim for it."""
    vote = seat.ballot.vote
    if vote is not None and (cause := _release_cause(mind, seat, vote)):
        seat.ballot = Ballot(None, seat.ballot.voted)
        mind.note("vote_released", group=seat.group, to=vote.node, term=vote.term, cause=cause)
        mind.changed()
    if seat.ballot.vote is not None or mind.silent(now) or not mind.clinit_known:
        return
    pairs = mind.view.pairs()
    claims = mind.view.claims(seat.group)
    if (own := _own_claim(mind, seat)) is not None:
        claims.append(own)
    elif _runs_here(mind, seat):
        return
    allowed = [
        claim
        for claim in claims
        if ballot.may_vote(seat.ballot, claim, seat.group, pairs)
        and not doubtful(mind, seat.group, claim.node, now)
    ]
    chosen = ballot.choose(allowed, ranks(mind, seat.group, now) if len(allowed) > 1 else {})
    if chosen is not None:
        _vote_for(mind, seat, chosen)


def _runs_here(mind: Mind, seat: Seat) -> bool:
    """Say whether the own status shows the group active: V2 asks all, the own one included."""
    local = mind.local(seat.group)
    return local.present and local.level != PLAN_LEVEL


def _release_cause(mind: Mind, seat: Seat, vote: Vote) -> str:
    if vote.node == mind.me:
        gone = mind.clinit_known and seat.claim != vote.term
        return "own claim ended" if gone else ""
    view = mind.view
    return ballot.release_cause(
        vote,
        seat.group,
        view.peer(vote.node),
        view.receipts.get(vote.node),
        fencing_required=mind.fencing.required,
    )


def _own_claim(mind: Mind, seat: Seat) -> Claim | None:
    if seat.claim is None:
        return None
    return Claim(mind.me, mind.inc, 0, seat.claim, running=seat.proven)


def _vote_for(mind: Mind, seat: Seat, claim: Claim) -> None:
    vote = Vote(term=claim.term, node=claim.node, inc=claim.inc, seq=claim.seq)
    seat.ballot = Ballot(vote, max(claim.term, seat.ballot.voted))
    mind.note("vote_given", group=seat.group, to=claim.node, term=claim.term)
    mind.changed()


# --- grant and lease -------------------------------------------------------------------


def settle_grant(mind: Mind, seat: Seat, now: float) -> None:
    """Count the votes for the own claim and move the end of its lease (C3, C4)."""
    if seat.claim is None:
        return
    start = lease.granted_from(_echoes(mind, seat, seat.claim), mind.view.electorate.needed)
    if start is not None:
        until = max(seat.lease_until, start + mind.timing.lease_s)
        if until > seat.lease_until:
            seat.lease_until, seat.kill_at = until, None
    granted = now < seat.lease_until
    if granted and not seat.granted:
        mind.note("claim_granted", group=seat.group, term=seat.claim, lease_s=_left(seat, now))
        seat.collisions = 0
        mind.wake((seat.group,))
    elif seat.granted and not granted:
        mind.note("lease_lost", group=seat.group, term=seat.claim)
        mind.wake((seat.group,))
    seat.granted = granted


def kill_at(mind: Mind, seat: Seat) -> float:
    """Return when what runs under the lease is killed: as clinit has it until it is renewed (C7).

    The stop budget may be longer than that of the former life, whose lease was longer then: their
    sum would be more than T.
    """
    return seat.lease_until + mind.timing.stop_budget_s if seat.kill_at is None else seat.kill_at


def _echoes(mind: Mind, seat: Seat, term: int) -> list[float]:
    """Return r of C4 for each supporter, the own node among them.

    What a supporter echoes must show the claim. Else its vote may be one of an earlier life
    of this node, for a claim of the same term that was forgotten here: it is about to be
    released, since what the voter has just read does not show the claim.
    """
    view, own, first = mind.view, mind.published, seat.shown_from
    times = []
    for status in view.voters_for(seat.group, mind.me, term):
        began = lease.echo_time(status, mind.me, mind.inc, mind.writes)
        if began is not None and first is not None and status.seen[mind.me].seq >= first:
            times.append(began)
    if (
        own is not None
        and mind.me in view.electorate.nodes
        and own.claims.get(seat.group) == term
        and lease.supports(own, seat.group, mind.me, term)
        and (began := mind.writes.began(own.seq)) is not None
    ):
        times.append(began)
    return times


def _left(seat: Seat, now: float) -> float:
    return round(seat.lease_until - now, 3)


# --- facts -----------------------------------------------------------------------------


def facts_of(mind: Mind, seat: Seat, now: float) -> Facts:
    """Work out all that the table of `life` looks at."""
    group = seat.group
    claimed = seat.claim is not None
    unproven = claimed and not seat.proven and not seat.granted
    return Facts(
        local=mind.local(group),
        wanted=wanted_level(mind, seat, now),
        claimed=claimed,
        granted=seat.granted,
        proven=seat.proven,
        told=seat.told_now(now),
        unshown=seat.told != "",
        runs_elsewhere=unproven and bool(mind.view.runners(group)),
        better_claim=unproven and _better_claim(mind, seat, now),
        overdue=unproven and now >= seat.claimed_at + mind.timing.plan_limit_s,
        split=unproven and _votes_split(mind, seat),
        my_turn=not claimed and now >= turn_at(mind, seat, now),
        yields=seat.granted and better_home(mind, group, now) is not None,
        superseded=_superseded(mind, seat, now),
        restarts=seat.restarts is not None,
        stops_again=seat.stops_again,
        gives_up=seat.granted and giving_up.gives_up(mind, seat, now),
    )


def _superseded(mind: Mind, seat: Seat, now: float) -> bool:
    """Say whether what runs here is the ghost of an owner, and has yet to be killed (G1).

    Only a machine whose clock stood still gets here: a virtual machine that was paused, a
    process brought back from a checkpoint. The ladder would take time that it has not.
    """
    if seat.claim is None or not (seat.proven or seat.granted):
        return False
    if seat.lease_until != NEVER and kill_at(mind, seat) <= now:
        return False  # clinit has killed it, on the same clock; a paused monitor hears so late
    obeyed = STOP_LEVEL in (seat.told_now(now), mind.local(seat.group).wanted)
    if seat.killed and obeyed:
        return False
    return mind.view.superseded(seat.group, seat.claim) is not None


def _better_claim(mind: Mind, seat: Seat, now: float) -> bool:
    others = mind.view.claims(seat.group)
    own = _own_claim(mind, seat)
    if not others or own is None:
        return False
    for other in others:
        votes = len(mind.view.voters_for(seat.group, other.node, other.term))
        if votes >= mind.view.electorate.needed:
            return True
    return ballot.choose([own, *others], ranks(mind, seat.group, now)) is not own


def _votes_split(mind: Mind, seat: Seat) -> bool:
    """Say whether too many voters have voted for this term already and can never vote for it."""
    support, spent = 1, 0
    if seat.claim is None:
        return False
    for status in mind.view.fresh():
        if status.node not in mind.view.electorate.nodes:
            continue
        term = status.terms.get(seat.group)
        if lease.supports(status, seat.group, mind.me, seat.claim):
            support += 1
        elif seat.group not in status.votes and term is not None and term.voted >= seat.claim:
            spent += 1
        else:
            support += 1  # it may still vote for this claim
    return spent > 0 and support < mind.view.electorate.needed


# --- what the table asks for ---------------------------------------------------------------


def _carry_out(
    mind: Mind, seat: Seat, row: Row, facts: Facts, *, now: float, chance: float
) -> Tell | None:
    match row.do:
        case Do.WAIT | Do.REST:
            return None
        case Do.KILL:
            return _kill(mind, seat, now, row.name)
        case Do.STOP | Do.STOP_AGAIN | Do.TEST | Do.GO:
            return _tell(mind, seat, _LEVELS.get(row.do, facts.wanted), now, row.name)
        case Do.PLAN:
            _claim(mind, seat, now, "claim_made")
            return _tell(mind, seat, PLAN_LEVEL, now, row.name)
        case Do.RAISE:
            _claim(mind, seat, now, "claim_raised")
            return None
        case Do.RELEASE:
            _drop_claim(mind, seat, row.name, "claim_released")
            return None
        case Do.GIVE_UP | Do.WITHDRAW:
            _drop_claim(mind, seat, row.name, "claim_withdrawn")
            if row.do is Do.WITHDRAW:
                _back_off(mind, seat, now, chance)
            leave = facts.here and not facts.stopping
            return _tell(mind, seat, STOP_LEVEL, now, row.name) if leave else None
        case Do.BAN | Do.GIVE_WAY:
            (_ban if row.do is Do.BAN else give_way)(mind, seat, now)
            return _tell(mind, seat, STOP_LEVEL, now, row.name)


_LEVELS = {Do.STOP: STOP_LEVEL, Do.STOP_AGAIN: PLAN_LEVEL, Do.TEST: TEST_LEVEL}


def _restarted(mind: Mind, seat: Seat) -> None:
    """Note that a restart was carried out, or is over with the claim."""
    if seat.restarts is not None:
        obeyed(mind, *seat.restarts)
        seat.restarts = None


def _tell(mind: Mind, seat: Seat, level: str, now: float, cause: str) -> Tell:
    term = seat.claim or mind.local(seat.group).term
    seat.told, seat.told_at = level, now
    if level == PLAN_LEVEL:
        seat.stops_again = False
    elif level == TEST_LEVEL:
        _restarted(mind, seat)
    mind.note("group_told", group=seat.group, to=level, term=term, cause=cause)
    cut_short = level == STOP_LEVEL and seat.granted and seat.group not in mind.locals
    if level in (PLAN_LEVEL, STOP_LEVEL) and not cut_short:
        return Tell(seat.group, level, term, str(mind.me))
    # A new clinit has no deadlines: of what was cut short the `stop` entries get the old ones.
    seat.proven = True
    seat.lease_sent = seat.lease_until
    return Tell(seat.group, level, term, str(mind.me), seat.lease_until, kill_at(mind, seat))


def _kill(mind: Mind, seat: Seat, now: float, cause: str) -> Tell:
    """Tell clinit `stop` with both deadlines over: everything of the group is killed at once."""
    order = _tell(mind, seat, STOP_LEVEL, now, cause)
    seat.killed = True
    mind.note(
        "ghost_killed",
        group=seat.group,
        term=order.term,
        peer=mind.view.superseded(seat.group, order.term),
    )
    return Tell(seat.group, STOP_LEVEL, order.term, order.node, now, now)


def _claim(mind: Mind, seat: Seat, now: float, event: str) -> None:
    """Make a claim with a term above all known, and vote for it (C2)."""
    term = 1 + max(mind.view.terms.get(seat.group, 0), seat.ballot.voted)
    mind.view.know_term(seat.group, term)
    seat.claim, seat.claimed_at, seat.shown_from = term, now, None
    mind.claimed[seat.group] = seat
    seat.proven = seat.granted = seat.killed = False
    seat.lease_until = seat.lease_sent = NEVER
    seat.kill_at = seat.free_since = None
    seat.ballot = Ballot(None, seat.ballot.voted)
    mind.note(event, group=seat.group, term=term)
    _vote_for(mind, seat, Claim(mind.me, mind.inc, 0, term, running=False))


def _drop_claim(mind: Mind, seat: Seat, cause: str, event: str) -> None:
    mind.note(event, group=seat.group, term=seat.claim, cause=cause)
    _restarted(mind, seat)
    seat.claim = seat.shown_from = seat.kill_at = None
    mind.claimed.pop(seat.group, None)
    seat.proven = seat.granted = seat.killed = False
    seat.lease_until = seat.lease_sent = NEVER
    seat.told = ""
    vote = seat.ballot.vote
    if vote is not None and vote.node == mind.me:
        seat.ballot = Ballot(None, seat.ballot.voted)
    mind.changed()
    mind.wake((seat.group,))


def _back_off(mind: Mind, seat: Seat, now: float, chance: float) -> None:
    """Wait a random, growing time before the next claim (C6, H5.13)."""
    nodes = len(mind.view.electorate.nodes)
    step = BACKOFF_STEP_S * (1 + nodes / 10)
    seat.backoff_until = now + chance * step * 2 ** min(seat.collisions, BACKOFF_DOUBLINGS_MAX)
    seat.collisions += 1


def _ban(mind: Mind, seat: Seat, now: float) -> None:
    local, ban_s = mind.local(seat.group), mind.timing.ban_s
    reason = local.cause or "failed"
    if local.state is not GroupState.FAILED:
        ban_s, reason = giving_up.ban_s(mind, seat), giving_up.reason(mind, seat, now)
    seat.ban_until = now + ban_s
    seat.ban_reason, seat.moved_to = reason, None
    mind.note("group_banned", group=seat.group, reason=seat.ban_reason, ban_s=ban_s)
    mind.changed()


def _wake_at(mind: Mind, seat: Seat, now: float) -> float:
    """Return when time alone may change the outcome of a turn."""
    times = [mind.doubt_until, seat.ban_until, seat.backoff_until, turn_at(mind, seat, now)]
    if mind.silent_until is not None:
        times.append(mind.silent_until)
    times += [way.until for way in seat.ways.values()]
    if seat.told:
        times.append(seat.told_at + TOLD_LIMIT_S)
    if seat.claim is not None:
        times.append(seat.lease_until)
        if not seat.granted:
            times.append(seat.claimed_at + mind.timing.plan_limit_s)
    return min((time for time in times if time > now), default=math.inf)
