"""What operators ask about fencing: to confirm a death, to shoot a node, to shoot none for now."""

from __future__ import annotations

import anyio

from mosha.control.protocol import Confirm, DisarmAll, MonitorReply, ShootNode
from mosha.control.server import ClientConnection
from mosha.core.cluster import shots
from mosha.core.cluster.events import DeathConfirmed, DisarmAsked, FenceAsked, FenceWithdrawn
from mosha.core.cluster.fencing import Shot
from mosha.core.cluster.state import MonitorState
from mosha.core.durations import span_text
from mosha.host.clock import boottime
from mosha.monitor.daemon import Monitor
from mosha.monitor.fence_callable import GOES_ON, goes_on

LOOK_S = 0.2
"""How often it is looked whether who asked is still there."""

DISARM_MAX_S = 7 * 86_400.0


async def answer(
    monitor: Monitor, request: Confirm | ShootNode | DisarmAll, client: ClientConnection
) -> MonitorReply:
    """Carry out a request, and say what came of it."""
    if isinstance(request, Confirm):
        return _confirm(monitor, request.node)
    if isinstance(request, ShootNode):
        return await _fence(monitor, request.node, client)
    return _disarm(monitor, request)


def _confirm(monitor: Monitor, node: int) -> MonitorReply:
    refusal = shots.confirmable(monitor.node.state, node, boottime())[1]
    if not refusal:
        monitor.report_event(DeathConfirmed(node))
    text = refusal or f"node {node} counts as dead from now on"
    return MonitorReply(ok=not refusal, text=text)


async def _fence(monitor: Monitor, node: int, client: ClientConnection) -> MonitorReply:
    state, began = monitor.node.state, boottime()
    if refusal := shots.fenceable(state, node):
        return MonitorReply(ok=False, text=refusal)
    monitor.report_event(FenceAsked(node))

    def shot() -> Shot | None:
        """Return the shot that was asked for, once it has begun."""
        found = state.shots.get(node)
        return found if found is not None and found.at >= began else None

    with anyio.move_on_after(shots.ASKED_S):
        # One that has begun is not in the hands of a client any more.
        while node in state.asked and not client.hung_up:
            with anyio.move_on_after(LOOK_S):
                await monitor.next_change(monitor.news)
    if node in state.asked:
        monitor.report_event(FenceWithdrawn(node))
        text = f"node {node} was not shot: another node shoots it, or this one cannot publish"
        return MonitorReply(ok=False, text=text)
    if shot() is None:
        return MonitorReply(
            ok=False, text=f"node {node} was not shot from here: {_now(state, node)}"
        )
    with anyio.move_on_after(monitor.settings.fencing.shot_limit_s + shots.REPORTED_S):
        while (found := shot()) is not None and found.under_way:
            await monitor.next_change(monitor.news)
    return _told(state, node, shot())


def _now(state: MonitorState, node: int) -> str:
    """Return why an order to shoot a node has become void."""
    receipt = state.view.receipts.get(node)
    if receipt is not None:
        return f"it counts as dead by now ({receipt.method}, {receipt.grade.text})"
    return "it has started again meanwhile, or another node shoots it"


def _told(state: MonitorState, node: int, shot: Shot | None) -> MonitorReply:
    """Return what a shot has come to."""
    if shot is None or shot.under_way:
        text = f"what came of the shot at node {node} is not known yet; see mosha status"
        return MonitorReply(ok=False, text=text, tried=True)
    detail = f": {shot.detail}" if shot.detail else ""
    if shot.outcome != "receipt":
        text = f"the shot at node {node} came to: {shot.outcome} ({shot.method}{detail})"
        return MonitorReply(ok=False, text=text, tried=True)
    text = f"node {node} was shot: {shot.method}, {shot.grade.text}{detail}"
    if state.view.speaks(node) and state.view.peer(node).inc == shot.inc:
        text += "; it counts as dead once it has not been heard from for timeout"
    return MonitorReply(ok=True, text=text)


def _disarm(monitor: Monitor, request: DisarmAll) -> MonitorReply:
    if not 0 <= request.for_s <= DISARM_MAX_S:
        text = f"write a time of at most {span_text(DISARM_MAX_S)}"
        return MonitorReply(ok=False, text=text)
    monitor.report_event(DisarmAsked(request.for_s, request.reason))
    text = "fencing is armed: stale nodes are shot again"
    if request.for_s:
        text = f"no node is shot for {span_text(request.for_s)}; it ends by itself, or: mosha arm"
        if goes_on(monitor.on_stomith):
            text += f"; a shot of this node had begun, and {GOES_ON}"
    return MonitorReply(ok=True, text=text)
