"""The poison pill: a node orders another one, in its status, to end all its groups at once (F2).

The order names an incarnation, and nobody else obeys it. Who obeys kills what runs, as at
`kill_at`, and claims nothing. When nothing of any group is left it begins a new incarnation, whose
first status has no claim and acknowledges that the former one has ended. That is the evidence; the
claims that it shows no longer are released by V3a, which needs no receipt.
"""

from __future__ import annotations

from mosha.core.cluster.state import MonitorState
from mosha.core.status import Status


def order(state: MonitorState, node: int, inc: int) -> None:
    """Order an incarnation of a node to end all its groups, until that is withdrawn."""
    state.pills[node] = inc
    state.changed()


def withdraw(state: MonitorState, node: int) -> None:
    """Show the order no longer; who has begun to obey need not go on."""
    if state.pills.pop(node, None) is not None:
        state.changed()


def hear(state: MonitorState, status: Status, now: float) -> None:
    """Begin to obey an order of another node for this incarnation; stop when it is over.

    A group that cannot be ended would keep this node from all others for ever.
    """
    del now
    ordered = status.pills.get(state.me) == state.inc
    if not ordered and status.node in state.pills_taken:
        _give_up(state, status.node)
    elif ordered and status.node not in state.pills_taken:
        state.pills_taken[status.node] = state.inc
        state.log("pill_taken", peer=status.node, inc=state.inc)
        state.changed()
        state.wake_all()


def _give_up(state: MonitorState, node: int) -> None:
    del state.pills_taken[node]
    state.log("pill_withdrawn", peer=node, inc=state.inc)
    state.changed()
    state.wake_all()


def is_obeyed(state: MonitorState, now: float) -> bool:
    """Say whether an order was obeyed: no claim is left, and no process that clinit knows of.

    The order of a node that is not heard any more is over.
    """
    for node in [node for node in state.pills_taken if not state.view.speaks(node)]:
        _give_up(state, node)
    if not state.pills_taken or not state.clinit_known or state.claimed:
        return False
    told = any(record.told_level_now(now) for record in state.records.values())
    return not told and not any(report.present for report in state.reports.values())


def acknowledge(state: MonitorState) -> None:
    """Acknowledge all orders; this incarnation is a new one by now."""
    for node, inc in state.pills_taken.items():
        state.log("pill_acknowledged", peer=node, inc=inc)
    state.pills_obeyed |= state.pills_taken
    state.pills_taken.clear()
    state.wake_all()


def acknowledged(state: MonitorState, node: int, inc: int) -> bool:
    """Say whether a node has acknowledged that this incarnation of it has ended all its groups."""
    status = state.view.peer(node).status
    return status is not None and inc in status.pills_obeyed.values()
