"""What is said of the shots at a node: what came of them, what holds them back, what to do.

A shot of another node is known only while it lasts: what came of it is told there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from mosha.core.cluster import arming
from mosha.core.cluster.fencing import SHOT
from mosha.core.cluster.state import MonitorState
from mosha.core.durations import span_text

HELD: Mapping[str, Callable[[str], str]] = {
    "heard": lambda others: (
        f"node {others} still hears it, and may give it a majority; this node does not see what it"
        " writes"
    ),
    "brake": lambda others: (
        f"so many went silent at the same time ({others}) that the file system, a switch or this"
        " node is more likely at fault"
    ),
    "asking": lambda others: (
        f"so many ask for it at the same time ({others}) that what they share is more likely at"
        " fault, such as a storage"
    ),
    "budget": lambda others: (
        f"within ten minutes a minority of the nodes was shot or found dead already ({others})"
    ),
}
"""Why a node is not shot, for each kind of hold (`core.cluster.restraint`); given who counts."""

LOOK = "look what is wrong; to have it shot all the same:"
"""What to do about a hold; the order to shoot follows."""

NO_DEVICE = "no fence device is configured here, so nothing shoots it"
"""What is said instead of all that holds shots back: a shot would only print a line (`print`)."""

MINUTES_FROM_S = 120
"""From here on, how long something lasts is told in minutes: a text need not change each second."""


class Account(NamedTuple):
    """What is to be said of the shots at a node: a clause, and what to do; "" for nothing."""

    said: str = ""
    next: str = ""


def account(state: MonitorState, node: int, now: float) -> Account:
    """Return how matters stand with a node that is not heard, or that asks to be shot."""
    if found := _under_way(state, node):
        return found
    if reason := held(state, node, now):
        end = "mosha arm, or" if disarmed(state, now) else LOOK
        return Account(reason, f"{end} mosha fence {node}")
    found = _of_own_shot(state, node)
    if found is None and not state.fencing.switches and node != state.me:
        return Account(NO_DEVICE)
    return found or _not_yet(state, node, now)


def held(state: MonitorState, node: int, now: float) -> str:
    """Return why a node is not shot that would be, "" if nothing holds a shot back here."""
    hold = state.holds.get(node)
    if _under_way(state, node) is not None or not state.fencing.switches:
        return ""
    return disarmed(state, now) or (HELD[hold.kind](names(hold.nodes)) if hold else "")


def disarmed(state: MonitorState, now: float) -> str:
    """Return that fencing is disarmed, for how long, by whom and why; "" if it is armed."""
    found = state.disarmed
    if found is None or not arming.is_disarmed(state, now):
        return ""
    left = _left(found.until - now)
    return f"fencing is disarmed for {left} more, from node {found.node}: {found.reason}"


def shooters(state: MonitorState, node: int) -> list[int]:
    """Return the nodes that shoot a node now, or are about to."""
    shown = ((status.node, status.shots.get(node)) for status in state.view.fresh())
    found = [by for by, line in shown if line is not None and line.outcome != SHOT]
    own = state.shots.get(node)
    return sorted([*found, state.me] if own is not None and own.under_way else found)


def names(nodes: tuple[int, ...] | list[int]) -> str:
    """Return node numbers as people read them."""
    return ", ".join(map(str, nodes))


def _left(seconds: float) -> str:
    """Return how much longer something lasts: in whole minutes if that is long."""
    step = 1 if seconds < MINUTES_FROM_S else 60
    return span_text(math.ceil(seconds / step) * step)


def _under_way(state: MonitorState, node: int) -> Account | None:
    by = shooters(state, node)
    if by:
        others = [other for other in by if other != state.me]
        there = f"; see the shots of node {names(others)} (mosha status there)" if others else ""
        own = state.shots.get(node)
        method = f" ({own.method})" if state.me in by and own is not None and own.method else ""
        return Account(f"node {names(by)} shoots it{method}", f"wait for the shot{there}")
    lines = (status.shots.get(node) for status in state.view.fresh())
    if node in state.pending or any(line is not None and line.outcome == SHOT for line in lines):
        said = "it was shot, and counts as dead when it has been silent for timeout"
        return Account(said, "wait until it has been silent for timeout")
    return None


def _of_own_shot(state: MonitorState, node: int) -> Account | None:
    shot = state.shots.get(node)
    if shot is None:
        return None
    if shot.outcome == "failed":
        step = f"repair the fencing; the shot is repeated by itself, at once by mosha fence {node}"
        return Account(f"the shot failed ({shot.method}): {shot.detail}", step)
    if shot.outcome == "no receipt":
        return Account(f"the shot proves nothing ({shot.method})", "look at the machine")
    if shot.outcome == "receipt" and shot.detail:
        return Account(f"the shot proves too little ({shot.method}): {shot.detail}")
    return None


def _not_yet(state: MonitorState, node: int, now: float) -> Account:
    others = sorted(other for other in state.view.fresh_nodes() if other != node)
    step = f"see the shots of node {names(others)} (mosha status there)" if others else ""
    if node == state.me:
        return Account("", step)
    peer, grace_until = state.view.peer(node), state.started_at + state.timing.start_grace_s
    if not peer.advanced:
        said = "this monitor has not heard it since its start, and does not shoot it"
        return Account(said, step or (f"to have it shot: mosha fence {node}" if peer.inc else ""))
    if now < grace_until:
        left = _left(grace_until - now)
        return Account(f"this monitor has just started, and shoots nobody for {left} more", step)
    return Account("", step or "it was not shot from here")
