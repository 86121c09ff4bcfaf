"""Why a group is where it is: `mosha why GROUP`, rule by rule.

Reads what the turn of the group reads (docs/explanation/protocol.md) and says it. The verdict is
that of `explain.account`, which `mosha status` shows too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec.structs import replace

from mosha.core import entries, explain, giving_up, life
from mosha.core.candidacy import awaited, turn_at
from mosha.core.explain import Sighting
from mosha.core.peers import Standing
from mosha.core.reasons import (
    Explanation,
    Holds,
    Reason,
    age_of,
    holds,
    of_fences,
    of_quorum,
    of_tables,
    of_wish,
    ranking,
)
from mosha.core.seat import Mind, Seat
from mosha.core.status import Vote
from mosha.core.tables import STOP_LEVEL
from mosha.core.turn import facts_of

UNDER_WAY = "wait: it is under way; `mosha events -f` shows how it goes on"


def why(mind: Mind, group: str, now: float, wall_s: float) -> Explanation:
    """Explain where the group is; `wall_s` (seconds since 1970) ages the tables only."""
    account = explain.account(mind, group, now)
    seen = explain.sightings(mind, group, now)
    reasons = (
        *of_tables(mind, wall_s),
        *of_wish(mind, group, now),
        of_quorum(mind),
        *_of_places(mind, group, seen, now),
        *(item for place in seen if place.counts for item in _of_entries(mind, place, group, now)),
        *_of_failures(mind, group, seen, now),
        *_of_candidates(mind, group, now),
        *_of_votes(mind, group, seen, now),
        *_of_lease(mind, mind.seat(group), now),
        *_of_own_limits(mind, mind.seat(group), now),
        *(item for place in seen if place.node != mind.me for item in _of_dead(mind, place, now)),
        _of_turn(mind, group, now),
    )
    verdict = _as_wanted(mind, group, seen) if account.ok else account.why
    step = "" if account.ok else account.next or UNDER_WAY
    return Explanation(group, mind.me, None, account.ok, verdict, step, reasons)


def _as_wanted(mind: Mind, group: str, seen: list[Sighting]) -> str:
    wish = mind.hactl.wishes.get(group) if mind.hactl else None
    if wish is None or wish.level == STOP_LEVEL:
        return "as hactl wants it: it runs nowhere"
    places = [place for place in seen if place.counts and place.line.active]
    told = ", ".join(
        f"{place.line.level} {place.line.state} on node {place.node}" for place in places
    )
    return f"as hactl wants it: {told}"


# --- where it is ---------------------------------------------------------------------------------


def _of_places(mind: Mind, group: str, seen: list[Sighting], now: float) -> Iterator[Reason]:
    wanted = mind.wish_level(group)
    shown = [place for place in seen if place.line.active or place.claim is not None]
    for place in shown:
        claim = f", claimed with term {place.claim}" if place.claim is not None else ""
        standing = f" (node {place.node} is {place.standing})" if not place.counts else ""
        if missed := mind.view.heartbeats_missed(place.node, mind.timing.heartbeat_s):
            standing = f" (node {place.node} is late: {missed} heartbeats missed)"
        told = f"{place.line.level} {place.line.state} on node {place.node}{claim}{standing}"
        state = holds(place.counts and place.line.level == wanted)
        if not place.counts and not mind.fencing.required:
            state = Holds.MOOT  # what it says holds up nobody
        yield Reason("place", state, told, place.node, age_of(mind, place.node, now))
    if not shown:
        free = wanted == STOP_LEVEL
        yield Reason("place", holds(free), "no status shows it anywhere", mind.me)


def _of_entries(mind: Mind, place: Sighting, group: str, now: float) -> Iterator[Reason]:
    """Tell how the entries are: on this node all, on another one those that are not well."""
    age_s, wrong = age_of(mind, place.node, now), {trouble.tag for trouble in place.troubles}
    for trouble in place.troubles:
        told = f"{entries.trouble_text(trouble)} (node {place.node})"
        yield Reason("entry", Holds.NO, told, place.node, age_s)
    for entry in mind.local(group).entries if place.node == mind.me else ():
        if entry.tag not in wrong:
            told = f"entry {entry.tag} ({entry.mode}) is {entry.state}"
            told += f", pid {entry.pid}" if entry.pid else ""
            told += f" for {entry.for_s(now):.0f} s" if entry.since is not None else ""
            told += f", last {entry.exit}" if entry.exit else ""
            yield Reason("entry", Holds.YES, told, place.node, age_s)


def _of_failures(mind: Mind, group: str, seen: list[Sighting], now: float) -> Iterator[Reason]:
    """Tell what the next failure of an entry will do, where hactl says anything of it."""
    seat, wish = mind.seat(group), mind.wish(group)
    if wish is None or wish.on_failure is None:
        return
    if seat.claim is not None:
        few = len(giving_up.tally(mind, seat, now).failed_at) < wish.on_failure.failures
        told = giving_up.prediction(mind, seat, now)
        yield Reason("failures", holds(few), told, mind.me)
    for place in seen:
        if place.node != mind.me and place.claim is not None:
            told = f"node {place.node} counts the failures (on-failure={wish.on_failure}): ask it"
            yield Reason("failures", Holds.MOOT, told, mind.me)


def _of_candidates(mind: Mind, group: str, now: float) -> Iterator[Reason]:
    """Tell of each node whether it could take the group, by rank, or why it could not."""
    reasons = explain.not_here(mind, group, now)
    order = ranking(mind, group, now)
    for rank, node in enumerate(order):
        told = f"node {node} could take it, rank {rank}"
        yield Reason("candidate", Holds.YES, told, node, age_of(mind, node, now))
    for node, reason in sorted(reasons.items()):
        told = f"node {node} cannot take it: {reason}"
        yield Reason("candidate", Holds.NO, told, node, age_of(mind, node, now))


# --- votes and leases ----------------------------------------------------------------------------


def _of_votes(mind: Mind, group: str, seen: list[Sighting], now: float) -> Iterator[Reason]:
    votes: dict[int, Vote] = {s.node: s.votes[group] for s in mind.view.known() if group in s.votes}
    own = mind.seat(group).ballot.vote
    if own is not None:
        votes[mind.me] = own
    for place in (place for place in seen if place.claim is not None):
        mine = sorted(
            node
            for node, vote in votes.items()
            if (vote.node, vote.term) == (place.node, place.claim)
            and node in mind.view.electorate.nodes
        )
        needed = mind.view.electorate.needed
        claim = f"the claim of node {place.node}, term {place.claim}"
        told = f"{claim}, has {len(mine)} votes, {needed} needed"
        state = holds(len(mine) >= needed) if place.counts else Holds.MOOT
        yield Reason("votes", state, told, mind.me)
    claims = {(place.node, place.claim) for place in seen}
    for node, vote in sorted(votes.items()):
        told = f"node {node} votes for node {vote.node}, term {vote.term}"
        counts = (vote.node, vote.term) in claims
        if not counts:
            told += "; no such claim is seen (any more)"
        yield Reason("vote", holds(counts), told, node, age_of(mind, node, now))


def _of_lease(mind: Mind, seat: Seat, now: float) -> Iterator[Reason]:
    if seat.claim is None:
        return
    left_s = seat.lease_until - now
    if left_s > 0:
        told = f"the lease of this node runs {left_s:.1f} s more"
    elif seat.proven:
        told = "the lease of this node has run out: clinit stops the group"
    else:
        limit_s = seat.claimed_at + mind.timing.plan_limit_s - now
        told = f"no lease yet: the claim is withdrawn if not granted within {limit_s:.1f} s"
    since = None if seat.claimed_at == -math.inf else round(now - seat.claimed_at, 3)
    yield Reason("lease", holds(left_s > 0), told, mind.me, since)


def _of_own_limits(mind: Mind, seat: Seat, now: float) -> Iterator[Reason]:
    """Tell what keeps this node quiet for a while."""
    if mind.silent(now):
        left_s = (mind.silent_until or now) - now
        told = f"this node does not vote for {left_s:.1f} s more after its start (V5)"
        yield Reason("silence", Holds.NO, told, mind.me)
    if seat.backoff_until > now:
        left_s = seat.backoff_until - now
        told = f"this node waits {left_s:.1f} s more after a collision (C6)"
        yield Reason("back-off", Holds.NO, told, mind.me)
    for node in sorted(awaited(mind, seat.group)):
        told = f"others vote for node {node}, of which this node has heard nothing yet (C1)"
        yield Reason("unheard", Holds.NO, told, mind.me)


def _of_dead(mind: Mind, place: Sighting, now: float) -> Iterator[Reason]:
    if place.standing in (Standing.STALE, Standing.FENCED):
        yield from of_fences(mind, place.node, now)


# --- what this node does next --------------------------------------------------------------------


def _of_turn(mind: Mind, group: str, now: float) -> Reason:
    """Tell which row of the table of `life` holds on this node, on a copy of its seat."""
    seat, plan = replace(mind.seat(group)), mind.plan
    try:
        row = life.decide(facts_of(mind, seat, now))
        due = turn_at(mind, seat, now)
    finally:
        mind.plan = plan
    if not mind.clinit_known:
        told = f"node {mind.me} does nothing: its clinit does not answer"
        return Reason("turn", Holds.NO, told, mind.me)
    told = f"node {mind.me} does: {row.do} (row: {row.name})"
    if now < due < math.inf:
        told += f"; its turn to claim comes in {due - now:.1f} s"
    return Reason("turn", Holds.MOOT, told, mind.me)
