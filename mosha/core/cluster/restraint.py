"""What keeps this node from shooting although a node is stale: the brake, and the budget.

The **brake**: nodes that went silent together are not shot. It is more likely that the file system,
a switch or this node is at fault than that so many machines failed at one moment. The **budget**:
within a window at most a minority of the electorate is shot, whatever becomes of the victims. A
shot that has failed and has switched nothing off, as far as its methods say, does not count. And a
node that a majority hears is not shot by one that does not. Nor are nodes that ask to be shot
together (F1): it is more likely that what they share is at fault, such as a storage. All hold until
that is no longer so, or an operator decides (`mosha fence`, `mosha confirm`).
"""

from __future__ import annotations

import math

from mosha.core.cluster.fencing import RUNNING
from mosha.core.cluster.peers import Peer, Standing
from mosha.core.cluster.shot_requests import asks
from mosha.core.cluster.state import MonitorState
from mosha.core.status import Stamp

BRAKE_MIN = 2
BRAKE_SHARE = 3
"""The brake takes at least so many nodes, and at least all nodes divided by this."""

SILENT_SHARE = 0.5
"""Who was not heard for this part of T is silent: healthy nodes were heard long since."""

WINDOW_S = 600.0
"""The budget is for this time: longer than a machine takes to come back."""


def braked(state: MonitorState, victim: Peer, now: float) -> tuple[int, ...]:
    """Return the nodes for whose sake a victim is not shot, itself among them; () if it may be.

    When some of them are heard again, the others get the time in which a healthy node is heard.
    """
    together = crowd(state, victim, now)
    if together:
        state.braked, state.brake_until = together, now + state.timing.lease_s
    elif now < state.brake_until and victim.node in state.braked:
        return state.braked
    return together


def crowd(state: MonitorState, victim: Peer, now: float) -> tuple[int, ...]:
    """Return the nodes that went silent together with one, itself among them; () if too few."""
    together = [node for node in _silent(state, now) if _with(state, victim, node, now)]
    return tuple(sorted(together)) if len(together) >= _brake_from(state) else ()


def _brake_from(state: MonitorState) -> int:
    return max(BRAKE_MIN, -(-len(_all(state)) // BRAKE_SHARE))


def _all(state: MonitorState) -> frozenset[int]:
    """Return all nodes: an adaptive electorate lacks those that have been silent for long."""
    return state.view.electorate.nodes | state.view.members | {state.me}


def _silent(state: MonitorState, now: float) -> list[int]:
    """Return the nodes that are not heard now, without those known to have left or to be dead."""
    view, limit_s = state.view, state.timeout_s(now) * SILENT_SHARE
    gone = (Standing.LEFT, Standing.FENCED, Standing.NEVER)
    found = []
    for node in _all(state) - {state.me}:
        peer = view.peer(node)
        if peer.heard_at is None or not peer.advanced or view.standing(node) in gone:
            continue
        if peer.stale_since is not None or now - peer.heard_at > limit_s:
            found.append(node)
    return found


def _with(state: MonitorState, victim: Peer, node: int, now: float) -> bool:
    """Say whether a silent node was last heard at about the same time as the victim."""
    heard_at, other = victim.heard_at, state.view.peer(node).heard_at
    if heard_at is None or other is None:
        return False
    return abs(heard_at - other) <= state.timeout_s(now)


def asking(state: MonitorState) -> tuple[int, ...]:
    """Return the nodes that ask to be shot if they are so many that the brake holds, else ()."""
    nodes = sorted(node for node in state.view.fresh_nodes() if asks(state.view.peer(node)))
    return tuple(nodes) if len(nodes) >= _brake_from(state) else ()


def heard_by(state: MonitorState, victim: Peer, now: float) -> tuple[int, ...]:
    """Return the nodes that hear a victim which this node does not, if it may run groups with them.

    Their echoes of it go on. With a majority it keeps its leases: it is this node that is cut off
    from it. Less than that has no lease, and may be shot.
    """
    known = victim.status.stamp if victim.status is not None else Stamp(0, 0)
    hearing = []
    for status in state.view.fresh():
        echo = status.seen.get(victim.node)
        if echo is None or echo <= known:
            continue
        link = victim.node, status.node
        if link not in state.echoes or echo > state.echoes[link][0]:
            state.echoes[link] = echo, now
        if now - state.echoes[link][1] < state.timeout_s(now):
            hearing.append(status.node)
    voters = state.view.electorate.nodes & {*hearing, victim.node}
    return tuple(sorted(hearing)) if len(voters) >= state.view.electorate.needed else ()


def spent(state: MonitorState, victim: int, now: float) -> tuple[int, ...]:
    """Return the nodes that were shot lately if one more would be too many, else ()."""
    lately = _lately(state, now).keys() - {victim}
    most = max(1, (len(state.view.electorate.nodes) - 1) // 2)
    return tuple(sorted(lately)) if len(lately) >= most else ()


def ease_at(state: MonitorState, now: float) -> float:
    """Return when the budget may have room again (seconds of boottime)."""
    return min(_lately(state, now).values(), default=now) + WINDOW_S


def deaths_seen(state: MonitorState, now: float) -> dict[int, int]:
    """Return how many seconds ago this node shot others, or heard of their deaths, for its status.

    Not what others publish: each of two would hear it from the other, a little later each time.
    """
    return {node: int(now - at) for node, at in sorted(_seen_here(state, now).items())}


def _lately(state: MonitorState, now: float) -> dict[int, float]:
    """Return when each node was last shot or found dead within the window, by anybody heard.

    A node that was shot knows nothing of it, and a restarted monitor little: the others say so.
    """
    found = _seen_here(state, now)
    for status in state.view.fresh():
        heard_at = state.view.peer(status.node).heard_at or now
        for node, ago_s in status.deaths.items():
            at = max(heard_at - ago_s, found.get(node, -math.inf))
            if now - at < WINDOW_S:
                found[node] = at
    return found


def _seen_here(state: MonitorState, now: float) -> dict[int, float]:
    found = {node: at for node, at in state.deaths.latest().items() if now - at < WINDOW_S}
    found |= {node: shot.at for node, shot in state.shots.items() if shot.outcome == RUNNING}
    return found
