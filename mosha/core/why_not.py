"""Why a group is not on a certain node: `mosha why-not GROUP NODE`, in the order of the rules.

The node has to be alive and fit, allowed, not banned, free to vote, and first in rank; and
the group has to be free (C1 and the placement). The first rule that does not hold
is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core import explain
from mosha.core.candidacy import in_vain
from mosha.core.peers import Standing
from mosha.core.quorum import Sight
from mosha.core.reasons import (
    Explanation,
    Holds,
    Reason,
    age_of,
    holds,
    nodes_text,
    of_fences,
    of_quorum,
    of_tables,
    of_wish,
    ranking,
)
from mosha.core.seat import Mind
from mosha.core.status import NodeState, Status
from mosha.core.tables import STOP_LEVEL, Wish


def why_not(mind: Mind, group: str, node: int, now: float, wall_s: float) -> Explanation:
    """Explain what keeps the group from `node`; `wall_s` ages the tables only."""
    place = next((p for p in explain.sightings(mind, group, now) if p.node == node), None)
    reasons = (
        *_of_node(mind, node, now),
        *of_tables(mind, wall_s),
        *_of_other_tables(mind, node, now),
        *of_wish(mind, group),
        *_of_options(mind, group, node),
        *_of_ban(mind, group, node, now),
        *_of_vote(mind, group, node, now),
        *_of_giving_way(mind, group, node, now),
        *_of_holders(mind, group, node, now),
        *_of_rank(mind, group, node, now),
        *_of_failback(mind, group, node),
    )
    if place is not None and place.counts and (place.line.active or place.claim is not None):
        told = f"it is there: {place.line.level} {place.line.state} on node {node}"
        return Explanation(group, mind.me, node, True, told, "", reasons)
    against = next((reason for reason in reasons if reason.holds is Holds.NO), None)
    if against is None:
        told = f"nothing keeps it from node {node}: that is the next one to claim it"
        return Explanation(group, mind.me, node, True, told, "", reasons)
    step = _step(mind, group, node, against)
    return Explanation(group, mind.me, node, False, against.said, step, reasons)


def _status(mind: Mind, node: int) -> Status | None:
    return mind.published if node == mind.me else mind.view.peer(node).status


# --- the node ------------------------------------------------------------------------------------


def _of_node(mind: Mind, node: int, now: float) -> Iterator[Reason]:
    if node == mind.me:
        told = f"another node uses number {node}" if mind.displaced else f"node {node} is up"
        if mind.state is not NodeState.UP:
            told = f"node {node} is leaving"
        fit = mind.state is NodeState.UP and not mind.displaced
        yield Reason("node", holds(fit), told, node, 0.0)
        yield of_quorum(mind)
        if mind.silent(now):
            left_s = (mind.silent_until or now) - now
            told = f"node {node} does not vote for {left_s:.1f} s more after its start (V5)"
            yield Reason("silence", Holds.NO, told, node)
        return
    member = node in mind.view.members
    if not member:
        told = f"node {node} is no member of this cluster: {nodes_text(_members(mind))} are"
        yield Reason("member", Holds.NO, told, mind.me)
    peer, standing = mind.view.peer(node), mind.view.standing(node)
    error = f" ({peer.error})" if peer.error else ""
    told = f"node {node} is {_STANDINGS[standing]}{error}"
    yield Reason("node", holds(standing is Standing.FRESH), told, mind.me, age_of(mind, node, now))
    yield from of_fences(mind, node, now)
    if peer.status is not None:
        told = f"node {node} sees {'a' if peer.status.quorum else 'no'} quorum"
        yield Reason("quorum", holds(peer.status.quorum), told, node, age_of(mind, node, now))
    if mind.view.sight is not Sight.YES:
        yield of_quorum(mind)


_STANDINGS = {
    Standing.NEVER: "not known: it was never heard from",
    Standing.STALE: "stale: not heard from for longer than timeout",
    Standing.LEAVING: "leaving",
    Standing.LEFT: "gone: it left in an orderly way",
    Standing.FENCED: "fenced",
    Standing.FRESH: "fresh",
}


def _members(mind: Mind) -> list[int]:
    return sorted({*mind.view.members, mind.me})


def _of_other_tables(mind: Mind, node: int, now: float) -> Iterator[Reason]:
    status = _status(mind, node)
    if node == mind.me or status is None or not status.tables:
        return
    for name, version in sorted(mind.tables.items()):
        there = status.tables.get(name)
        if there != version:
            has = f"version {there.digest[:8]}" if there else "none"
            told = f"node {node} has another {name} in force than this node: {has}"
            yield Reason(name, Holds.MOOT, told, node, age_of(mind, node, now))


# --- the tables ----------------------------------------------------------------------------------


def _wish(mind: Mind, group: str) -> Wish | None:
    return mind.hactl.wishes.get(group) if mind.hactl else None


def _of_options(mind: Mind, group: str, node: int) -> Iterator[Reason]:
    wish = _wish(mind, group)
    if wish is None or not wish.only:
        return
    only = nodes_text(wish.only)
    allowed = wish.allows(node)
    told = f"only={only.replace(' ', '')} {'has' if allowed else 'leaves out'} node {node}"
    yield Reason("only", holds(allowed), told, mind.me)


def _of_ban(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    """Tell of a ban, or that there is none."""
    if node == mind.me:
        seat = mind.seat(group)
        left_s, reason = seat.ban_until - now, seat.ban_reason
    else:
        status = _status(mind, node)
        ban = status.bans.get(group) if status else None
        aged = age_of(mind, node, now) or 0.0
        left_s, reason = (ban.left_s - aged, ban.reason) if ban else (-1.0, "")
    if left_s > 0:
        told = f"it is banned on node {node} for {left_s:.0f} s more: {reason}"
        yield Reason("ban", Holds.NO, told, node, age_of(mind, node, now))
    else:
        yield Reason("ban", Holds.YES, f"no ban on node {node}", node, age_of(mind, node, now))


# --- the group -----------------------------------------------------------------------------------


def _of_vote(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    """Tell with whom the vote of the node is: C1 asks for a free one."""
    status = _status(mind, node)
    vote = mind.seat(group).ballot.vote if node == mind.me else None
    if node != mind.me and status is not None:
        vote = status.votes.get(group)
    if vote is None:
        yield Reason("vote", Holds.YES, f"node {node} has its vote free", node)
    elif vote.node != node:
        told = f"node {node} has given its vote to node {vote.node}, term {vote.term}"
        # That of a node that runs it is no obstacle of its own: the group is not free.
        running = vote.node in mind.view.holders(group, stale_too=True) or vote.node == mind.me
        state = Holds.MOOT if running else Holds.NO
        yield Reason("vote", state, told, node, age_of(mind, node, now))


def _of_holders(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    """Tell who holds the group: it runs on one node only."""
    held = False
    for place in explain.sightings(mind, group, now):
        if place.node == node or not (place.line.active or place.claim is not None):
            continue
        stale = place.standing is Standing.STALE
        if not place.counts and not (stale and mind.fencing.required):
            continue
        held = True
        told = f"node {place.node} has it, {place.line.level} {place.line.state}"
        if stale:
            told = f"node {place.node} is stale and may still run it ({place.line.level})"
        yield Reason("free", Holds.NO, told, place.node, age_of(mind, place.node, now))
        if stale:
            yield from of_fences(mind, place.node, now)
    if not held:
        yield Reason("free", Holds.YES, "no other node has it", mind.me)


def _of_rank(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    order = ranking(mind, group, now)
    if node not in order:
        return
    before = order[: order.index(node)]
    if not before:
        yield Reason("rank", Holds.YES, f"node {node} is the first choice", mind.me)
        return
    wish = _wish(mind, group)
    preferred = [n for n in before if wish is not None and n in wish.prefer]
    by = "by prefer=" if preferred else "it has fewer groups, or comes first by the hash"
    told = f"node {node} has rank {len(before)}: first choice is node {before[0]} ({by})"
    yield Reason("rank", Holds.NO, told, mind.me)


def _of_giving_way(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    until = in_vain(mind, group, node, now)
    if until is not None:
        told = f"node {mind.me} gave way to node {node} already; not again for {until - now:.0f} s"
        yield Reason("failback", Holds.NO, told, mind.me)


def _of_failback(mind: Mind, group: str, node: int) -> Iterator[Reason]:
    wish = _wish(mind, group)
    if wish is not None and node in wish.prefer and not wish.failback:
        told = f"prefer= names node {node}, but failback=no leaves a group where it runs"
        yield Reason("failback", Holds.MOOT, told, mind.me)


# --- what to do ----------------------------------------------------------------------------------

_STEPS = {
    "member": "add node {node} to `nodes` in mosha.toml on all nodes",
    "quorum": "bring nodes back",
    "silence": "wait until it votes",
    "cltab": "write cltab in the directory of any node",
    "hactl": "write hactl in the directory of any node",
    "entries": "add entries of {group} to cltab",
    "wish": "mosha set {group} start",
    "only": "mosha set {group} {level} only={only},{node}",
    "ban": "mend what failed there; the ban ends by itself",
    "rank": "mosha set {group} {level} prefer={node}",
    "failback": "mend what failed there; a restart of its monitor (no group notices) or an edit of"
    " a table ends the pause",
    "receipt": "see the shots; if you are sure that the node is off: mosha confirm NODE",
    "shot": "see the shots; if you are sure that node {node} is off: mosha confirm {node}",
}


def _step(mind: Mind, group: str, node: int, against: Reason) -> str:
    wish = _wish(mind, group) or Wish(group, STOP_LEVEL)
    if against.rule == "node":
        standing = mind.view.standing(node)
        if node == mind.me or standing is Standing.LEAVING:
            return f"start the monitor of node {node} again when it has left"
        return f"look at node {node}: is it on, is its monitor running, is its mount there?"
    if against.rule == "vote":
        return "wait for the node that has the vote, or, if it is off: mosha confirm NODE"
    if against.rule == "free":
        holder = against.said_by
        if mind.view.standing(holder) is Standing.STALE and holder != mind.me:
            return (
                f"see the shots; if you are sure that node {holder} is off: mosha confirm {holder}"
            )
        move = f"mosha set {group} {wish.level} only={node}"
        return f"to move it there: {move}; set it as it was when it has arrived"
    only = ",".join(map(str, wish.only))
    step = _STEPS.get(against.rule, "")
    return step.format(group=group, node=node, level=wish.level, only=only)
