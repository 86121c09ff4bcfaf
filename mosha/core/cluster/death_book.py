"""What this node learns of the deaths of others: ended shots, receipts (R1), an operator's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mosha.core.cluster import poison, shots
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.lease import echo_time
from mosha.core.cluster.peers import Peer
from mosha.core.cluster.state import Asked, MonitorState, PendingReceipt
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
        state.outlived.pop(victim, None)
        if ended.grade is Grade.LEASE_ELAPSED:
            return
        receipt = Receipt(ended.order.inc, ended.method, ended.grade)
        self._believe(victim, receipt, now)
        status = state.view.peer(victim).status
        if victim in state.view.receipts:
            return
        if status is not None and status.inc == receipt.inc and state.view.speaks(victim):
            # What it wrote before may still be read for a while.
            until = now + PENDING_PER_TIMEOUT * state.timeout_s(now)
            state.pending[victim] = PendingReceipt(receipt, now, until)
        elif not poison.acknowledged(state, victim, receipt.inc):
            shots.forget(state, victim)

    def peer_tried(self, node: int, now: float) -> None:
        """Handle: an attempt to read a node was completed.

        The receipt of a node that was heard when it was shot counts once it has gone silent (R1),
        if that is soon. A later life refutes it, and so does a sign that it lived on after its
        device had said that it is off.
        """
        state = self._state
        if node not in state.pending:
            return
        peer, pending = state.view.peer(node), state.pending[node]
        receipt = pending.receipt
        if peer.inc == receipt.inc and node not in state.outlived:
            self._note_life(peer, pending, now)
        lied = node in state.outlived and receipt.grade is Grade.OFF_CONFIRMED
        silent = peer.stale_since is not None
        if now > pending.until or peer.inc > receipt.inc or (silent and lied):
            del state.pending[node]
            state.changed()
            shots.forget(state, node)
        elif silent:
            del state.pending[node]
            self._believe(node, receipt, now)

    def _note_life(self, peer: Peer, pending: PendingReceipt, now: float) -> None:
        """Note that a node has outlived a shot, if it is sure.

        It has read what this node wrote after the device had said that it is off; or it is heard
        all the time. What is not said to be off may be heard for a while.
        """
        state, receipt = self._state, pending.receipt
        read = None
        if peer.status is not None and receipt.grade is Grade.OFF_CONFIRMED:
            read = echo_time(peer.status, state.me, state.inc, state.writes)
        heard_on = now > pending.until and state.view.speaks(peer.node)
        if heard_on or (read is not None and read > pending.at):
            state.outlived[peer.node] = pending
            method, grade = receipt.method, receipt.grade.text
            state.log("shot_outlived", peer=peer.node, inc=receipt.inc, method=method, grade=grade)

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
