"""What this node learns of the deaths of others: ended shots, receipts (R1), an operator's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mosha.core.cluster import poison, shots
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.state import Asked, MonitorState
from mosha.core.status import OPERATOR, Grade, Receipt

PENDING_PER_TIMEOUT = 2.0


class DeathBook:
    """Takes receipts in and drops them; `judge_quorum` is asked after each change."""

    def __init__(self, state: MonitorState, judge_quorum: Callable[[], None]) -> None:
        self._state = state
        self._judge_quorum = judge_quorum

    def receipts_changed(self, before: Mapping[int, Receipt], now: float) -> None:
        """Update what depends on receipts that were added or dropped (R1)."""
        state = self._state
        state.deaths.note(state.view.receipts, now)
        for node in before.keys() - state.view.receipts.keys():
            if state.view.peer(node).inc <= before[node].inc:
                state.log("receipt_refuted", peer=node, inc=before[node].inc)
            shots.forget(state, node)  # it may be shot again when it goes silent again
        self._changed()

    def shot(self, ended: ShotEnded, now: float) -> None:
        """Handle the end of a shot."""
        state, victim = self._state, ended.order.node
        shots.ended(state, ended, now)
        if ended.grade is Grade.LEASE_ELAPSED:
            return
        receipt = Receipt(ended.order.inc, ended.method, ended.grade)
        self._believe(victim, receipt, now)
        status = state.view.peer(victim).status
        if victim in state.view.receipts:
            return
        if status is not None and status.inc == receipt.inc and state.view.speaks(victim):
            # What it wrote before may still be read for a while.
            state.pending[victim] = receipt, now + PENDING_PER_TIMEOUT * state.timeout_s(now)
        elif not poison.acknowledged(state, victim, receipt.inc):
            shots.forget(state, victim)

    def peer_tried(self, node: int, now: float) -> None:
        """Handle: an attempt to read a node was completed.

        The receipt of a node that was heard when it was shot counts once it has gone silent (R1),
        if that is soon. A later life refutes it.
        """
        state = self._state
        if node not in state.pending:
            return
        peer, (receipt, until) = state.view.peer(node), state.pending[node]
        if now > until or peer.inc > receipt.inc:
            del state.pending[node]
            state.changed()
            shots.forget(state, node)
        elif peer.stale_since is not None:
            del state.pending[node]
            self._believe(node, receipt, now)

    def fence_asked(self, node: int, now: float) -> str:
        """Handle an operator's order to shoot a node; return why it is refused, or ""."""
        state = self._state
        refusal = shots.fenceable(state, node)
        if not refusal:
            inc, known = state.view.peer(node).inc, shots.grade_known(state, node)
            state.asked[node] = Asked(inc, now + shots.ASKED_S, known)
            state.log("fence_asked", peer=node)
        return refusal

    def confirmed(self, node: int, now: float) -> str:
        """Handle the operator's confirmation of a node's death; return why it is refused, or ""."""
        state = self._state
        inc, refusal = shots.confirmable(state, node, now)
        if refusal:
            return refusal
        self._believe(node, Receipt(inc, OPERATOR, Grade.OPERATOR_SAID_SO), now)
        state.log("fence_confirmed", peer=node, inc=inc)
        return ""

    def _believe(self, node: int, receipt: Receipt, now: float) -> None:
        self._state.view.receipt(node, receipt, own=True)
        self._state.deaths.note(self._state.view.receipts, now)
        self._changed()

    def _changed(self) -> None:
        self._state.changed()
        self._judge_quorum()
        self._state.wake_all()
