"""One step of a group: settle the vote and the grant, then act by the table of `group_rules`.

Rules V1 to V3 and C1 to C8, catalogue H5. Works on `MonitorState`; `Node.step` is the entry point.
"""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.cluster import (
    ballot,
    entry_orders,
    exhaustion,
    gave_way,
    giving_up,
    lease,
    preemption,
    relations,
    restarting,
    rivals,
)
from mosha.core.cluster.ballot import Ballot, Claim
from mosha.core.cluster.candidacy import (
    better_home,
    follow_failbacks,
    give_way,
    rank_due_at,
    ranks,
    wanted_level,
)
from mosha.core.cluster.group_rules import Action, Facts, Row, decide
from mosha.core.cluster.group_votes import kill_at, own_claim, settle_grant, settle_vote, vote_for
from mosha.core.cluster.orders import has_arrived, hold_move, lift, obeyed
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import NEVER, TOLD_LIMIT_S, GroupRecord, MonitorState
from mosha.core.instance_names import node_of
from mosha.core.ladder import Rung
from mosha.core.status import GroupState
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, TEST_LEVEL
from mosha.core.tell import Tell

UNLEASED_STOP_S = 3600.0
"""Longer than any agent takes to stop."""

BACKOFF_STEP_S = 0.5
BACKOFF_DOUBLINGS_MAX = 5


class GroupStep(Struct, frozen=True):
    """The result of a step: an order or none, when to step again, and the row that held."""

    tell: Tell | None
    wake_at: float
    row: Row | None


def take(state: MonitorState, group: str, now: float, chance: float) -> GroupStep:
    """Take a step of a group at `now`; `chance` is a number in [0, 1) for the back-off."""
    record = state.record(group)
    relations.settle(state, record)
    settle_vote(state, record, now)
    settle_grant(state, record, now)
    hold_move(state, record, now)
    if record.ban_until != NEVER and (now >= record.ban_until or has_arrived(state, record, now)):
        lift(state, record)
    exhaustion.settle(state, record)
    gave_way.settle(state, record)
    follow_failbacks(state, record, now)
    if state.entry_orders:
        entry_orders.settle(state, group, now)
    if not state.clinit_known:
        return GroupStep(None, math.inf, None)
    facts = facts_of(state, record, now)
    row = decide(facts)
    _relate(state, record, row, facts, now)
    tell = _carry_out(state, record, row, facts, now=now, chance=chance)
    if tell is not None:
        state.wake_concerned(group)
    return GroupStep(tell, _wake_at(state, record, now), row)


# --- facts -----------------------------------------------------------------------------


def facts_of(state: MonitorState, record: GroupRecord, now: float) -> Facts:
    """Compute the facts for the table of `group_rules`."""
    group = record.group
    claimed = record.claim is not None
    pending = claimed and not record.activated and not record.granted
    rung = giving_up.reached(state, record, now) if record.granted else Rung.STAY
    return Facts(
        report=state.report(group),
        wanted=STOP_LEVEL if state.pills_taken else wanted_level(state, record, now),
        claimed=claimed,
        granted=record.granted,
        activated=record.activated,
        told_level=record.told_level_now(now),
        unshown=record.told_level != "",
        runs_elsewhere=pending and (bool(state.view.runners(group)) or rivals.runs(state, group)),
        better_claim=pending and _better_claim(state, record, now),
        overdue=pending and now >= record.claimed_at + state.timing.plan_limit_s,
        split=pending and _votes_split(state, record),
        rank_due=not claimed and now >= rank_due_at(state, record, now),
        yields=record.granted and better_home(state, group, now) is not None,
        superseded=_superseded(state, record, now),
        overtaken=_overtaken(state, record, now),
        local=_local(state, group),
        restarts=bool(record.restarts) or record.restarting,
        stops_again=record.stops_again,
        gives_up=rung is Rung.MOVE,
        exhausts=rung is Rung.STOP,
        exhausted=record.exhausted != "",
        nowhere=state.report(group).fatal,
        held=relations.held(state, record, now),
        waits=record.granted and relations.awaited(state, group, state.me) != "",
        spent=giving_up.spent(state, record, now),
        preempted=record.granted and preemption.preempted(state, group) != "",
        ill=record.granted and now >= giving_up.restart_at(state, record, now),
    )


def _superseded(state: MonitorState, record: GroupRecord, now: float) -> bool:
    """Say whether what runs here must be killed at once: of a superseded owner (G1), or by F2.

    Only a machine whose clock stopped is superseded: a paused virtual machine, a process restored
    from a checkpoint. There is no time for the escalation. A stop that has failed stays as it is.
    """
    if record.claim is None or not (record.activated or record.granted):
        return False
    if record.lease_until != NEVER and kill_at(state, record) <= now:
        return False  # clinit has killed it, on the same clock; a paused monitor learns late
    obeyed = STOP_LEVEL in (record.told_level_now(now), state.report(record.group).wanted)
    if record.killed and obeyed:
        return False
    if state.pills_taken:
        return not state.report(record.group).stop_failed
    return rivals.successor(state, record.group, record.claim) is not None


def _overtaken(state: MonitorState, record: GroupRecord, now: float) -> bool:
    """Say whether the lease of this node's claim is over for good, as far as anybody can tell.

    Voters that have released their votes do not support a claim at `stop` again. And as long as a
    stop has failed here, no other node claims the group: without this, cleanup would never end.
    """
    if record.claim is None or rivals.known_term(state, record.group) > record.claim:
        return True
    waited = now >= record.cleaned_at + state.timing.timeout_s
    return record.stops_again and not record.granted and waited


def _local(state: MonitorState, group: str) -> bool:
    """Say whether nobody else can have, or have had, what failed to stop here: an instance."""
    if node_of(group) is None or state.view.quorum_state is not QuorumState.YES:
        return False
    beside = rivals.excluded(state, group) or rivals.runs(state, group)
    return not beside and not rivals.overtaken(state, group)


def _better_claim(state: MonitorState, record: GroupRecord, now: float) -> bool:
    others = state.view.claims(record.group)
    own = own_claim(state, record)
    if not others or own is None:
        return False
    for other in others:
        votes = len(state.view.voters_for(record.group, other.node, other.term))
        if votes >= state.view.needed:
            return True
    return ballot.choose([own, *others], ranks(state, record.group, now)) is not own


def _votes_split(state: MonitorState, record: GroupRecord) -> bool:
    """Say whether too many voters have voted in this term already to ever support the claim."""
    support, spent = 1, 0
    if record.claim is None:
        return False
    names = (record.group, *rivals.rivals(state, record.group))
    for status in state.view.fresh():
        if status.node not in state.view.electorate.nodes:
            continue
        voted = max((status.terms[it].voted for it in names if it in status.terms), default=0)
        if lease.supports(status, record.group, state.me, record.claim):
            support += 1
        elif record.group not in status.votes and voted >= record.claim:
            spent += 1
        else:
            support += 1  # it may still vote for this claim
    return spent > 0 and support < state.view.needed


# --- actions -------------------------------------------------------------------------------


def _relate(state: MonitorState, record: GroupRecord, row: Row, facts: Facts, now: float) -> None:
    """Keep what the groups that relate to this one go by."""
    match row.do:
        case Action.HOLD:
            relations.hold(state, record, decide(replace(facts, held=False)).name, now)
        case Action.GO:
            relations.bind(state, record)
        case Action.REST | Action.TEST:
            relations.stay(state, record)


def _carry_out(
    state: MonitorState, record: GroupRecord, row: Row, facts: Facts, *, now: float, chance: float
) -> Tell | None:
    match row.do:
        case Action.WAIT | Action.REST | Action.HOLD:
            return None
        case Action.KILL:
            return _kill(state, record, now, row.name)
        case Action.STOP | Action.TEST | Action.GO:
            return _tell(state, record, _LEVELS.get(row.do, facts.wanted), now, row.name)
        case Action.STOP_AGAIN:  # a group at rest has no deadlines: these end its entries of `stop`
            order = _tell(state, record, PLAN_LEVEL, now, row.name)
            until = now + UNLEASED_STOP_S  # of an instance that gets no lease any more
            far = replace(order, stop_at=until, kill_at=until)
            return _leased(state, record, order) if record.granted else far
        case Action.FORGET:
            order = _tell(state, record, STOP_LEVEL, now, row.name)
            return replace(order, stop_at=now, kill_at=now)
        case Action.PLAN:
            record.stops_again = False
            _claim(state, record, now, "claim_made")
            return _tell(state, record, PLAN_LEVEL, now, row.name)
        case Action.RAISE:
            _claim(state, record, now, "claim_raised")
            return None
        case Action.RELEASE:
            _drop_claim(state, record, row.name, "claim_released")
            return None
        case Action.GIVE_UP | Action.WITHDRAW:
            term = record.told_term  # of `plan`: clinit may not have reported it yet
            _drop_claim(state, record, row.name, "claim_withdrawn")
            if row.do is Action.WITHDRAW:
                _back_off(state, record, now, chance)
            leave = facts.here and not facts.stopping
            return _tell(state, record, STOP_LEVEL, now, row.name, term=term) if leave else None
        case Action.BAN | Action.EXHAUST | Action.GIVE_WAY | Action.PREEMPT | Action.RESTART:
            _LEAVING[row.do](state, record, now)
            return _tell(state, record, STOP_LEVEL, now, row.name)


_LEVELS = {Action.STOP: STOP_LEVEL, Action.TEST: TEST_LEVEL}


def _restarted(state: MonitorState, record: GroupRecord) -> None:
    """Record that a restart was carried out, or is void without the claim."""
    orders, record.restarts, record.restarting = record.restarts, (), False
    if orders:
        record.in_place = None  # an operator begins anew
    for issuer, stamp in orders:
        obeyed(state, issuer, stamp)


def _tell(
    state: MonitorState,
    record: GroupRecord,
    level: str,
    now: float,
    cause: str,
    *,
    term: int = 0,
) -> Tell:
    term = term or record.claim or state.report(record.group).term
    record.told_level, record.told_level_at, record.told_term = level, now, term
    if level == STOP_LEVEL:
        record.stops_again = False
    elif level == TEST_LEVEL:
        _restarted(state, record)
    state.log("group_told", group=record.group, to=level, term=term, cause=cause)
    tell = Tell(record.group, level, term, str(state.me))
    cut_short = level == STOP_LEVEL and record.granted and record.group not in state.reports
    if level in (PLAN_LEVEL, STOP_LEVEL) and not cut_short:
        return tell
    # A new clinit has no deadlines: the `stop` entries of what was cut short get the old ones.
    record.activated = True
    return _leased(state, record, tell)


def _leased(state: MonitorState, record: GroupRecord, tell: Tell) -> Tell:
    """Return a tell with the deadlines of the lease."""
    record.lease_sent = record.lease_until
    return replace(tell, stop_at=record.lease_until, kill_at=kill_at(state, record))


def _kill(state: MonitorState, record: GroupRecord, now: float, cause: str) -> Tell:
    """Tell clinit `stop` with both deadlines passed: the whole group is killed at once (G1, F2)."""
    order = _tell(state, record, STOP_LEVEL, now, cause)
    record.killed = True
    group, term = record.group, order.term
    if state.pills_taken:
        state.log("pill_killed", group=group, term=term, peer=min(state.pills_taken))
    else:
        state.log("ghost_killed", group=group, term=term, peer=rivals.successor(state, group, term))
    return replace(order, stop_at=now, kill_at=now)


def _claim(state: MonitorState, record: GroupRecord, now: float, event: str) -> None:
    """Claim the group with a term above all known ones, and vote for the claim (C2)."""
    term = 1 + max(rivals.known_term(state, record.group), rivals.voted(state, record.group))
    state.view.know_term(record.group, term)
    record.claim, record.claimed_at, record.shown_from = term, now, None
    state.claimed[record.group] = record
    record.activated = record.granted = record.killed = False
    record.lease_until = record.lease_sent = NEVER
    record.kill_at = record.free_since = record.in_place = record.gave_way = None
    record.ballot = Ballot(None, record.ballot.voted)
    state.log(event, group=record.group, term=term)
    vote_for(state, record, Claim(state.me, state.inc, 0, term, running=False))


def _drop_claim(state: MonitorState, record: GroupRecord, cause: str, event: str) -> None:
    state.log(event, group=record.group, term=record.claim, cause=cause)
    _restarted(state, record)
    relations.stay(state, record)
    record.claim = record.shown_from = record.kill_at = record.in_place = None
    state.claimed.pop(record.group, None)
    record.activated = record.granted = record.killed = False
    record.lease_until = record.lease_sent = NEVER
    record.told_level = ""
    vote = record.ballot.vote
    if vote is not None and vote.node == state.me:
        record.ballot = Ballot(None, record.ballot.voted)
    state.changed()
    state.wake((record.group,))


def _back_off(state: MonitorState, record: GroupRecord, now: float, chance: float) -> None:
    """Wait a random, growing time before the next claim (C6, H5.13)."""
    nodes = len(state.view.electorate.nodes)
    step = BACKOFF_STEP_S * (1 + nodes / 10)
    record.backoff_until = now + chance * step * 2 ** min(record.collisions, BACKOFF_DOUBLINGS_MAX)
    record.collisions += 1


def _ban(state: MonitorState, record: GroupRecord, now: float) -> None:
    report, ban_s = state.report(record.group), state.timing.ban_s
    reason = report.cause or "failed"
    failed = report.state is GroupState.FAILED
    if not failed:
        ban_s = giving_up.ban_s(state, record)
    if giving_up.counts(state, record.group) or not failed:
        reason = giving_up.reason(state, record, now)
        giving_up.note(record, now)
    record.ban_until = now + ban_s
    record.ban_reason, record.moved_to = reason, None
    state.log("group_banned", group=record.group, reason=record.ban_reason, ban_s=ban_s)
    state.changed()


def _exhaust(state: MonitorState, record: GroupRecord, now: float) -> None:
    report = state.report(record.group)
    reason = report.cause if report.fatal else giving_up.reason(state, record, now)
    exhaustion.begin(state, record, reason)


def _restart(state: MonitorState, record: GroupRecord, now: float) -> None:
    restarting.begin(state, record, giving_up.tally(state, record, now).failed_at, now)


_LEAVING = {
    Action.BAN: _ban,
    Action.EXHAUST: _exhaust,
    Action.GIVE_WAY: give_way,
    Action.PREEMPT: preemption.give_way,
    Action.RESTART: _restart,
}
"""What is remembered when a group is stopped here, as its failures or a better node have it."""


def _wake_at(state: MonitorState, record: GroupRecord, now: float) -> float:
    """Return when time alone may change the outcome of a step."""
    times = [
        state.doubt_until,
        record.ban_until,
        record.backoff_until,
        giving_up.ease_at(state, record, now),
        giving_up.restart_at(state, record, now),
        rank_due_at(state, record, now),
    ]
    if state.silent_until is not None:
        times.append(state.silent_until)
    times += [attempt.until for attempt in record.failbacks.values()]
    if record.stops_again:
        times.append(record.cleaned_at + state.timing.timeout_s)
    if record.leaving:
        times.append(record.leaving_since + relations.HOLD_LIMIT_S)
    if record.told_level:
        times.append(record.told_level_at + TOLD_LIMIT_S)
    if record.claim is not None:
        times.append(record.lease_until)
        if not record.granted:
            times.append(record.claimed_at + state.timing.plan_limit_s)
    return min((time for time in times if time > now), default=math.inf)
