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
    """Show the order no longer; who has begun to obey goes on."""
    if state.pills.pop(node, None) is not None:
        state.changed()


def hear(state: MonitorState, status: Status, now: float) -> None:
    """Begin to obey the order of another node, if it is for this incarnation."""
    del now
    if status.pills.get(state.me) == state.inc and status.node not in state.swallowing:
        state.swallowing[status.node] = state.inc
        state.log("pill_swallowed", peer=status.node, inc=state.inc)
        state.changed()
        state.wake_all()


def is_digested(state: MonitorState, now: float) -> bool:
    """Say whether an order was obeyed: no claim is left, and no process that clinit knows of."""
    if not state.swallowing or not state.clinit_known or state.claimed:
        return False
    told = any(record.told_level_now(now) for record in state.records.values())
    return not told and not any(report.present for report in state.reports.values())


def acknowledge(state: MonitorState) -> None:
    """Acknowledge all orders; this incarnation is a new one by now."""
    for node, inc in state.swallowing.items():
        state.log("pill_acknowledged", peer=node, inc=inc)
    state.digested |= state.swallowing
    state.swallowing.clear()
    state.wake_all()


def acknowledged(state: MonitorState, node: int, inc: int) -> bool:
    """Say whether a node has acknowledged that this incarnation of it has ended all its groups."""
    status = state.view.peer(node).status
    return status is not None and inc in status.digested.values()
