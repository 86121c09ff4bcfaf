"""The monitor's replies to an edit of a wish, in words."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from mosha.core.cluster import wording
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.state import MonitorState
from mosha.core.explain.addressees import places
from mosha.core.explain.verdicts import sightings
from mosha.core.replication.judging import HACTL, spread_limit_s
from mosha.core.status import TroubleKind
from mosha.core.tables import BUILT_IN_LEVELS, STOP_LEVEL, Cltab, Wish, WishEdit
from mosha.errors import HostError, UsageError
from mosha.formats.agreement import against_nodes, listed, unknown_group
from mosha.formats.hactl import LEFT_OUT
from mosha.host.clock import boottime
from mosha.monitor.tables.wish_edits import Done

USUAL_LEVEL = "start"


def with_level(change: WishEdit, cltab: Cltab | None, before: Wish | None) -> WishEdit:
    """Return a change with a level: its own, that of the wish before, or the usual one.

    Raises:
        UsageError: the group has several levels, or none, and neither is the usual one.
    """
    if change.wish.level:
        return change
    group = change.wish.group
    entries = cltab.entries_of(group) if cltab else ()
    if not entries:
        doubt = unknown_group(group, cltab.groups() if cltab else ())
        raise UsageError(f"{doubt.text}; {doubt.remedy}")
    named = dict.fromkeys(part.strip() for e in entries for part in e.level.split(","))
    levels = [level for level in named if level not in BUILT_IN_LEVELS]
    if before is not None and before.level != STOP_LEVEL:
        level = before.level
    elif USUAL_LEVEL in levels or len(levels) == 1:
        level = USUAL_LEVEL if USUAL_LEVEL in levels else levels[0]
    elif not levels:
        raise UsageError(
            f"{group} has no level to start: its entries are for"
            f" {listed(list(named))} alone; add one to cltab"
        )
    else:
        raise UsageError(f"which level? mosha set {group} LEVEL; it has {listed(levels)}")
    return WishEdit(replace(change.wish, level=level), change.named)


def check_nodes(wish: Wish, nodes: Collection[int]) -> None:
    """Refuse a wish for nodes that do not exist.

    Raises:
        UsageError: with the nodes that exist.
    """
    for doubt in against_nodes(wish, nodes):
        raise UsageError(f"{doubt.text}; {doubt.remedy}")


def answer(done: Done, wish: Wish, state: MonitorState) -> str:
    """Return what hactl says now, where it is in force, and what it does not cause.

    Raises:
        HostError: there are other nodes, but none has it; with the reason for each.
    """
    nodes = ", ".join(map(str, done.nodes))
    text = f"hactl in force on node {nodes} now says: {done.line}"
    if not done.changed:
        text = f"hactl says so already: {done.line}"
    others = sorted(state.view.members - {state.me})
    if others and len(done.nodes) == 1:
        why = "; ".join(f"node {node} {_lacks(state, node)}" for node in others)
        text += f"; on no other node: {why}; if this one dies now, the edit is lost"
        raise HostError(text + _contradicts(wish) + _stays(wish, state))
    return text + _contradicts(wish) + _stays(wish, state) + _stopped(wish, state)


def _stopped(wish: Wish, state: MonitorState) -> str:
    """Return that entries stay stopped, where people may expect that they start, or ""."""
    here = places(state, wish.group, level=wish.level)
    if wish.level == STOP_LEVEL or not here:
        return ""
    found = [place for place in sightings(state, wish.group, boottime()) if place.node in here]
    seen = [trouble for place in found for trouble in place.troubles]
    tags = [trouble.tag for trouble in seen if trouble.kind is TroubleKind.STOPPED]
    starts = ", ".join(f"mosha start {wish.group} {tag}" for tag in tags)
    return f"; an operator has stopped entries of it, which stay so: {starts}" if tags else ""


def _lacks(state: MonitorState, node: int) -> str:
    """Return in a clause why a node has not adopted a new hactl."""
    status, standing = state.view.peer(node).status, state.view.standing(node)
    if status is None or standing is not Standing.FRESH:
        return wording.said(standing)
    if HACTL in status.refused:
        return f"refuses what it has: {status.refused[HACTL]}"
    return f"has not taken it over within {spread_limit_s(state.timing.heartbeat_s):g} s"


def _contradicts(wish: Wish) -> str:
    """Return what `mosha status` will report about contradictory options, or ""."""
    if not wish.only or set(wish.prefer) <= set(wish.only):
        return ""
    return (
        f"; {LEFT_OUT}: mosha status calls that a problem; to drop the preference:"
        f" mosha set {wish.group} {wish.level} prefer=any"
    )


def _stays(wish: Wish, state: MonitorState) -> str:
    """Return that a preference does not move a running group, where people may expect it, or ""."""
    here = places(state, wish.group, level=wish.level)
    if wish.level == STOP_LEVEL or not wish.prefer or wish.failback or not here:
        return ""
    first, node = wish.prefer[0], here[0]
    if len(here) > 1 or node == first or not (wish.allows(node) and wish.allows(first)):
        return ""
    return (
        f"; it runs on node {node} and stays there, prefer= is for the next choice; "
        f"to move it now: mosha move {wish.group} {first}"
    )
