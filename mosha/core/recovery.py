"""How a life begins after another: rules V4, V4b, V5, T1, N1 and C7.

Votes, terms, claims and receipts outlive the monitor twice: in the memory on the local disk and
in the own clstat. What still runs goes on under its claim. A node that may have forgotten a
promise keeps silent until that cannot matter; one that may have left a clinit behind that it does
not find publishes nothing.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.ballot import Ballot
from mosha.core.group_report import GroupReport
from mosha.core.memory import Memory
from mosha.core.seat import NEVER, Mind
from mosha.core.status import NodeState, Stamp, Status, Term, Vote
from mosha.core.tables import PLAN_LEVEL
from mosha.core.timing import TIMEOUT_MAX_S

NOTHING = Memory()
NEVER_VOTED = Term(0)

CLSTAT_LOST = "this node's clstat is older than what it has published: its medium lost writes"
CLSTAT_SET_BACK = (
    "this node's clstat was set back to an earlier life (a backup, a snapshot); it is as"
    " it should be again, the tables may not be"
)
MEMORY_LOST = "others have read later statuses of this node than it remembers: its disk lost writes"


class Birth(Struct, frozen=True, kw_only=True):
    """What a node knows of itself when its monitor starts.

    `inc` is greater than any the shell knows of this node's (persisted, wall clock); `boot`
    and `run` as published; `machine` names the machine, "" if it has no name. `former` is the own
    clstat of an earlier life, if it is whole, `memory` what the local disk has.
    """

    me: int
    inc: int
    run: str
    boot: str
    now: float
    machine: str = ""
    former: Status | None = None
    memory: Memory = NOTHING


def recover(mind: Mind, birth: Birth) -> None:
    """Take over what is remembered (V4, V4b), the longer T (T1); be silent or mute if due."""
    former, memory, now = birth.former, birth.memory, birth.now
    _keep_timeout(mind, memory, former, now)
    until = now + mind.timeout_s(now)
    known = former is not None and memory.knows(former.run, birth.machine)
    others = mind.view.electorate.nodes - {mind.me}
    here = (memory.boot, memory.machine) == (birth.boot, birth.machine)
    behind = memory.landed and (former is None or former.inc < memory.inc)
    if others and (former is None or former.boot != birth.boot or not here or behind):
        mind.silent_until = until
    if behind:
        lose(mind, CLSTAT_LOST, now)
    _be_mute(mind, birth, until, known=known)
    mind.standby = memory.standby
    mind.former_run = former.run if known and former is not None else memory.run
    mind.former_stamp = former.stamp if former is not None else Stamp(0, 0)
    mind.former_bound = max(mind.former_stamp, memory.bound)
    mind.inc = max(mind.inc, mind.former_bound.inc + 1)
    mind.born_inc = mind.inc
    if former is not None:
        mind.view.remembered(former.fenced)
    mind.view.remembered(memory.fenced)
    _recover_ballots(mind, memory, former, now)


def _keep_timeout(mind: Mind, memory: Memory, former: Status | None, now: float) -> None:
    """Count with the T of the former life, if it is longer, until it has passed (T1).

    Deadlines that clinit was given then, votes that were given then, and whoever has read the
    former status, all go by it.
    """
    longest_s = max(memory.timeout_ms / 1000, former.timeout_s if former is not None else 0.0)
    if longest_s > mind.timing.timeout_s:
        mind.long_timeout_s = min(longest_s, TIMEOUT_MAX_S)
        mind.long_until = now + mind.long_timeout_s
        mind.note("timeout_kept", timeout_s=mind.long_timeout_s, left_s=mind.long_timeout_s)


def _be_mute(mind: Mind, birth: Birth, until: float, *, known: bool) -> None:
    """Publish nothing for now, if a clinit of a former life may be at work out of reach (N1)."""
    former, memory = birth.former, birth.memory
    if former is not None:
        if known or former.state is NodeState.LEFT:
            return
        mind.mute_until = until
        mind.note("status_withheld", left_s=until - birth.now, run=former.run)
    elif not memory.run or (memory.boot and memory.machine != birth.machine):
        # Whether this node was ever there the others know: they have to be looked at first.
        mind.mute_until, mind.stranger = until, True


def look_for_traces(mind: Mind, now: float) -> None:
    """Find out whether a node that remembers nothing was ever here: the others know (N1).

    A look that fails proves nothing: whom this node cannot read may well read this node, and
    would take its first status for the end of all claims (V3a).
    """
    view = mind.view
    if not mind.stranger or mind.mute_until is None:
        return
    if now >= mind.mute_until:
        mind.stranger, mind.mute_until = False, None
        return
    if any(mind.me in status.seen for status in view.known()):
        mind.stranger = False
        mind.note("status_withheld", left_s=round(mind.mute_until - now, 3), run="")
    elif all(view.peer(node).answered for node in view.members):
        mind.stranger, mind.mute_until = False, None


def mute(mind: Mind, now: float) -> bool:
    """Say whether this node must not publish anything yet (N1)."""
    until = mind.mute_until
    return until is not None and mind.published is None and now < until


def lose(mind: Mind, what: str, now: float) -> None:
    """Take in that something published is remembered no more: be silent for T (V4b)."""
    until = mind.started_at + mind.timeout_s(now)
    if what != mind.lost:
        mind.note("writes_lost", reason=what)
    mind.lost, mind.lost_until = what, now + mind.timeout_s(now)
    if now < until and mind.view.electorate.nodes - {mind.me}:
        mind.silent_until = max(until, mind.silent_until or NEVER)


def find_set_back(mind: Mind, now: float) -> None:
    """Take in that an older own status was put back while this node lives: report it.

    No silence: what this life promises it has in memory and on the local disk. Who reads the
    older status meanwhile has read newer ones, or reads a stale file, as may always happen.
    """
    mind.note("writes_lost", reason=CLSTAT_SET_BACK)
    mind.lost, mind.lost_until = CLSTAT_SET_BACK, now + mind.timeout_s(now)


def hear_of_self(mind: Mind, echo: Stamp, now: float, seq: int) -> bool:
    """Take in which own status a peer has read; return whether a new incarnation is due.

    `seq` is the last own status begun. An echo of what neither the clstat nor the memory had at
    the start proves that the one or both lost writes.
    """
    if echo > Stamp(mind.inc, seq):
        lose(mind, MEMORY_LOST, now)
        return True
    if echo.inc < mind.born_inc and echo > mind.former_stamp:
        lose(mind, MEMORY_LOST if echo > mind.former_bound else CLSTAT_LOST, now)
    return False


def troubles(mind: Mind, now: float) -> list[str]:
    """Return what an operator should know of the former life, while it matters."""
    found = []
    if mind.lost and now < mind.lost_until:
        found.append(mind.lost)
    if mute(mind, now) and not mind.stranger and mind.mute_until is not None:
        found.append(
            f"nothing is published for {mind.mute_until - now:.0f} s: the former status of this"
            " node is not remembered in its rundir, so a clinit of it may still be at work"
        )
    return found


# --- ballots -----------------------------------------------------------------------------


def _recover_ballots(mind: Mind, memory: Memory, former: Status | None, now: float) -> None:
    """Unite what the local memory and the own clstat know of votes, terms and claims."""
    terms: dict[str, Term] = {}
    votes: dict[str, Vote] = {}
    # The one that was written last comes last: of two votes with one term its vote counts.
    parts: list[Memory | Status] = [memory] if memory.boot else []  # an earlier version kept none
    if former is not None:
        parts.append(former)
    for part in sorted(parts, key=lambda part: (part.inc, part is memory)):
        for group, term in part.terms.items():
            at = terms.get(group, Term(0))
            voted = max(at.voted, term.voted or term.known)
            terms[group] = Term(max(at.known, term.known), voted)
        for group, vote in part.votes.items():
            if group not in votes or vote.term >= votes[group].term:
                votes[group] = vote
        for group, claim in part.claims.items():
            mind.view.know_term(group, claim)
        mind.former_claims = part.claims
    for group, term in terms.items():
        mind.view.know_term(group, term.known)
        mind.seat(group).ballot = Ballot(None, term.voted)
    for group, vote in votes.items():
        if any(vote.term < part.terms.get(group, NEVER_VOTED).voted for part in parts):
            continue  # a vote for a higher term was given since: this one had been released before
        seat = mind.seat(group)
        seat.ballot = Ballot(vote, max(vote.term, seat.ballot.voted))
        mind.view.know_term(group, vote.term)
        mind.view.recovered(vote.node, now)


def adopt(mind: Mind, local: GroupReport, now: float) -> None:
    """Go on with the claim of what runs already (C7). What was only planned is stopped."""
    seat = mind.seat(local.group)
    # Also of what was only planned: a node that lost its clstat shall not begin below it.
    mind.view.know_term(local.group, local.term)
    if seat.claim is not None or not local.present or local.term == 0:
        return
    if local.wanted == PLAN_LEVEL:
        return
    former = mind.former_claims
    withdrawn = former is not None and former.get(local.group) != local.term
    if withdrawn and not local.exclusive:
        return  # a planner that gave its claim up: what stops here needs none
    seat.claim, seat.claimed_at, seat.proven = local.term, now, True
    mind.claimed[seat.group] = seat
    seat.lease_until = NEVER if local.stop_at is None else local.stop_at
    # The times may be others now: the deadlines of the former life hold until they are renewed.
    seat.lease_sent, seat.kill_at = seat.lease_until, local.kill_at
    seat.granted = now < seat.lease_until
    mind.note("group_adopted", group=local.group, term=local.term, level=local.level)


# --- silence ---------------------------------------------------------------------------------


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
