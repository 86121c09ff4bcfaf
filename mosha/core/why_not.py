"""Why a group is not on a certain node: `mosha why-not GROUP NODE`, in the order of the rules.

The node has to be alive and fit, allowed, not banned, free to vote, and first in rank; and
the group has to be free (C1 and the placement). The first rule that does not hold
is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core import explain
from mosha.core.candidacy import in_vain
from mosha.core.eligibility import ALL, NODE, PAIR, Case
from mosha.core.peers import Standing
from mosha.core.quorum import Sight
from mosha.core.reasons import (
    Explanation,
    Holds,
    Reason,
    age_of,
    as_reason,
    nodes_text,
    of_fences,
    of_quorum,
    of_tables,
    of_wish,
    ranking,
)
from mosha.core.seat import Mind
from mosha.core.tables import STOP_LEVEL, Wish


def why_not(mind: Mind, group: str, node: int, now: float, wall_s: float) -> Explanation:
    """Explain what keeps the group from `node`; `wall_s` ages the tables only."""
    place = next((p for p in explain.sightings(mind, group, now) if p.node == node), None)
    reasons = (
        *_of_node(mind, group, node, now),
        *of_tables(mind, wall_s),
        *_of_other_tables(mind, node, now),
        *of_wish(mind, group, now),
        *_of_pair(mind, group, node, now),
        *_of_vote(mind, group, node, now),
        *_of_giving_way(mind, group, node, now),
        *_of_holders(mind, group, node, now),
        *_of_rank(mind, group, node, now),
        *_of_failback(mind, group, node, now),
    )
    if place is not None and place.counts and (place.line.active or place.claim is not None):
        told = f"it is there: {place.line.level} {place.line.state} on node {node}"
        return Explanation(group, mind.me, node, True, told, "", reasons)
    against = next((reason for reason in reasons if reason.holds is Holds.NO), None)
    if against is None:
        told = f"nothing keeps it from node {node}: that is the next one to claim it"
        return Explanation(group, mind.me, node, True, told, "", reasons)
    step = _step(mind, group, node, against, now)
    return Explanation(group, mind.me, node, False, against.said, step, reasons)


# --- the node ------------------------------------------------------------------------------------


def _of_node(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    case, age_s = Case(mind, group, node, now), age_of(mind, node, now)
    if node != mind.me and node not in mind.view.members:
        told = f"node {node} is no member of this cluster: {nodes_text(_members(mind))} are"
        yield Reason("member", Holds.NO, told, mind.me)
    rules = {rule.name: rule for rule in NODE}
    if not rules["number"].holds(case):
        yield as_reason(rules["number"], case, mind.me, age_s)
    yield as_reason(rules["node"], case, mind.me, age_s)
    yield from of_fences(mind, node, now)
    if case.status is not None:
        yield as_reason(rules["standby"], case, node, age_s)
    if node != mind.me and case.status is not None:
        yield as_reason(rules["quorum"], case, node, age_s)
    if node == mind.me or mind.view.sight is not Sight.YES:
        yield of_quorum(mind)
    if node == mind.me and mind.silent(now):
        left_s = (mind.silent_until or now) - now
        told = f"node {node} does not vote for {left_s:.1f} s more after its start (V5)"
        yield Reason("silence", Holds.NO, told, node)


def _members(mind: Mind) -> list[int]:
    return sorted({*mind.view.members, mind.me})


def _of_other_tables(mind: Mind, node: int, now: float) -> Iterator[Reason]:
    status = Case(mind, "", node, now).status
    if node == mind.me or status is None or not status.tables:
        return
    for name, version in sorted(mind.tables.items()):
        there = status.tables.get(name)
        if there != version:
            has = f"version {there.digest[:8]}" if there else "none"
            told = f"node {node} has another {name} in force than this node: {has}"
            yield Reason(name, Holds.MOOT, told, node, age_of(mind, node, now))


# --- the tables ----------------------------------------------------------------------------------


def _of_pair(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    """Tell whether hactl and the node itself let it have the group."""
    case = Case(mind, group, node, now)
    wish = case.wish
    for rule in PAIR:
        if rule.name == "only" and wish is not None and wish.only:
            yield as_reason(rule, case, mind.me)
        elif rule.name == "ban" and case.status is not None:
            yield as_reason(rule, case, node, age_of(mind, node, now))


# --- the group -----------------------------------------------------------------------------------


def _of_vote(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    """Tell with whom the vote of the node is: C1 asks for a free one."""
    status = Case(mind, "", node, now).status
    vote = mind.seat(group).ballot.vote if node == mind.me else None
    if node != mind.me and status is not None:
        vote = status.votes.get(group)
    if status is None and node != mind.me:
        return  # nobody has said anything of it
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
    wish = Case(mind, group, mind.me, now).wish
    preferred = [n for n in before if wish is not None and n in wish.prefer]
    by = "by prefer=" if preferred else "it has fewer groups, or comes first by the hash"
    told = f"node {node} has rank {len(before)}: first choice is node {before[0]} ({by})"
    yield Reason("rank", Holds.NO, told, mind.me)


def _of_giving_way(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    until = in_vain(mind, group, node, now)
    if until is not None:
        told = f"node {mind.me} gave way to node {node} already; not again for {until - now:.0f} s"
        yield Reason("failback", Holds.NO, told, mind.me)


def _of_failback(mind: Mind, group: str, node: int, now: float) -> Iterator[Reason]:
    wish = Case(mind, group, mind.me, now).wish
    if wish is not None and node in wish.prefer and not wish.failback:
        told = f"prefer= names node {node}, but failback=no leaves a group where it runs"
        yield Reason("failback", Holds.MOOT, told, mind.me)


# --- what to do ----------------------------------------------------------------------------------

_STEPS = {
    "member": "add node {node} to `nodes` in mosha.toml on all nodes",
    "quorum": "bring nodes back",
    "silence": "wait until it votes",
    "vote": "wait for the node that has the vote, or, if it is off: mosha confirm NODE",
    "rank": "mosha set {group} {level} prefer={node}",
    "failback": "mend what failed there; a restart of its monitor (no group notices) or an edit of"
    " a table ends the pause",
}


def _step(mind: Mind, group: str, node: int, against: Reason, now: float) -> str:
    for rule in ALL:
        if rule.name == against.rule:
            return rule.remedy(Case(mind, group, node, now))
    if against.rule in {"receipt", "shot"}:
        return explain.vouch(mind, node)
    if against.rule == "free":
        holder = against.said_by
        if mind.view.standing(holder) is Standing.STALE and holder != mind.me:
            return explain.vouch(mind, holder)
        return f"to move it there: mosha move {group} {node}"
    level = (Case(mind, group, mind.me, now).wish or Wish(group, STOP_LEVEL)).level
    return _STEPS.get(against.rule, "").format(group=group, node=node, level=level)
