"""The decisions of one node: facts go in, what to publish, tell and shoot comes out.

`core.cluster.agent.Agent` is the way in for shells; it says when which of these is asked. It
reports facts by the methods named in the past tense and then asks: which groups want a step
(`take_woken`), which leases to renew, whom to fence, what to log. Nothing here knows a clock,
chance or a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core.cluster import group_step, orders, own_status, peers, recovery, shots
from mosha.core.cluster.fencing import FencingRules, Shot
from mosha.core.cluster.group_step import GroupStep
from mosha.core.cluster.memory import Memory, memory_of
from mosha.core.cluster.quorum import Electorate, Policy, QuorumState
from mosha.core.cluster.recovery import Startup
from mosha.core.cluster.shots import FenceOrder
from mosha.core.cluster.state import NEVER, LogRecord, MonitorState
from mosha.core.cluster.timing import Timing
from mosha.core.cluster.view import View
from mosha.core.replication.lineage import Past
from mosha.core.status import NodeState, Receipt, Status, TableVersion
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import STOP_LEVEL, Cltab, Entry, Hactl

# A renewal reaches clinit when the lease has moved by this part of a heartbeat.
RENEWAL_STEP = 0.25
_UNKNOWN, _YES = QuorumState.UNKNOWN, QuorumState.YES  # found once, as in `peers`


class Renewal(Struct, frozen=True):
    """New deadlines for what runs under a claim, in seconds of boottime (C5)."""

    group: str
    term: int
    stop_at: float
    kill_at: float


class Node:
    """One node's brain. Not for several threads; `now` never goes back."""

    def __init__(
        self,
        startup: Startup,
        timing: Timing,
        *,
        rules: FencingRules,
        electorate: Electorate,
        members: frozenset[int],
    ) -> None:
        self.state = MonitorState(
            me=startup.me,
            inc=startup.inc,
            run=startup.run,
            boot=startup.boot,
            machine=startup.machine,
            started_at=startup.now,
            timing=timing,
            fencing=rules,
            view=View(startup.me, electorate, members),
        )
        self._read_at = startup.now
        self.seq = 0
        self._settled = False
        self._quorum_since = math.inf
        self._voters = electorate.nodes
        recovery.recover(self.state, startup)
        recovery.look_for_traces(self.state, startup.now)

    # --- facts: the others -----------------------------------------------------------

    def peer_read(
        self, node: int, status: Status | None, *, began: float, now: float, error: str = ""
    ) -> None:
        """Take in that an attempt to read a peer's status was completed.

        `status` is None if there was none to read or it was torn; `error` says what failed.
        """
        state, view = self.state, self.state.view
        before, standing, receipts = view.peer(node), view.standing(node), dict(view.receipts)
        news = status is not None and view.heard(status, now)
        self._read_at = now
        view.tried(node, began=began, now=now, timeout_s=state.timeout_s(now), error=error)
        if news and status is not None:
            view.echo(status, state.inc, state.writes, now)
            self._notice(before, status, now)
        if state.stranger:
            recovery.look_for_traces(state, now)
        if view.receipts != receipts:
            self._receipts_changed(receipts)
        after = view.standing(node)
        if after is not standing:
            state.log("peer_changed", peer=node, **{"from": standing, "to": after})
            state.wake_all()
        elif before.stale_since is None and view.peer(node).stale_since is not None:
            state.wake_all()  # never heard in this life, but a recovered vote may be for it
        self._settled = now - state.started_at >= state.timing.timeout_s
        if after is not standing or not before.looked_at or view.quorum_state is _UNKNOWN:
            self._judge_quorum()
        if view.quorum_state is not _YES:
            self._quorum_since = math.inf
        elif self._quorum_since == math.inf:
            self._quorum_since = now

    def _receipts_changed(self, before: Mapping[int, Receipt]) -> None:
        """Draw the consequences where a receipt counts now, or does not any more (R1)."""
        state = self.state
        for node in before.keys() - state.view.receipts.keys():
            if state.view.peer(node).inc <= before[node].inc:
                state.log("receipt_refuted", peer=node, inc=before[node].inc)
            shots.forget(state, node)  # it may be shot again when it is missed again
        state.changed()
        self._judge_quorum()
        state.wake_all()

    def _notice(self, before: peers.Peer, status: Status, now: float) -> None:
        state, old = self.state, before.status
        if old is None or status.inc > old.inc:
            state.changed()  # O5: a new incarnation wants its echo
        orders.hear(state, old, status, now)
        changed = own_status.differences(old, status)
        if changed or changed is None:
            for group in (*status.claims, *status.groups, *status.votes):
                state.record(group)
        if changed is None:
            self._judge_quorum()
            state.wake_all()
        elif changed:
            state.wake(changed)
        if state.silent(now):
            recovery.hear_timeout(state, status)
            recovery.hear_echo(state, status, now)
        echo, receipt = status.seen.get(state.me), status.fenced.get(state.me)
        if echo is not None and recovery.hear_of_self(state, echo, now, self.seq):
            self._raise_inc(echo.inc + 1)
        if receipt is not None and receipt.inc >= state.inc:
            self._raise_inc(receipt.inc + 1)

    def _raise_inc(self, inc: int) -> None:
        """Begin a new incarnation: others know of a later one, or believe this one dead."""
        state = self.state
        state.log("incarnation_raised", **{"from": state.inc, "to": inc})
        state.inc = inc
        state.writes.clear()
        if state.silent_until is not None and state.doubt_until == NEVER:
            state.doubts.clear()
        state.changed()

    def members_found(self, found: frozenset[int]) -> None:
        """Take in which nodes there are, where no configuration names them."""
        view = self.state.view
        if found - {self.state.me} == view.members:
            return
        view.find_members(found)
        if view.electorate.policy is Policy.MAJORITY:
            grown = view.electorate.nodes | found
            view.electorate = Electorate(Policy.MAJORITY, grown, view.electorate.remembered)
        self.state.log("members_changed", nodes=sorted(found))
        self._judge_quorum()
        self.state.wake_all()

    def _judge_quorum(self) -> None:
        view = self.state.view
        before = view.quorum_state
        if view.judge_quorum(settled=self._settled):
            self.state.log("quorum_changed", **{"from": before, "to": view.quorum_state})
            self.state.changed()
            self.state.wake_all()

    # --- facts: clinit, tables, own writes -------------------------------------------

    def clinit_answered(self, found: Iterable[GroupReport], now: float) -> None:
        """Take in everything that clinit has, at the start or after a new clinit started."""
        state = self.state
        first = not state.clinit_known
        state.reports = {report.group: report for report in found}
        state.clinit_known = True
        for record in state.records.values():
            record.told_level = ""
        for report in state.reports.values():
            recovery.adopt(state, report, now)
        if first or state.reports:
            state.changed()
        state.wake_all()

    def clinit_changed(self, report: GroupReport) -> None:
        """Take in a change of one group."""
        state = self.state
        record = state.record(report.group)
        if record.told_level and report.wanted == record.told_level:
            record.told_level = ""
        before = state.reports.get(report.group)
        state.reports[report.group] = report
        if before is None or own_status.line_of(before) != own_status.line_of(report):
            state.changed()
        state.wake((report.group,))

    def clinit_dropped(self, group: str) -> None:
        """Take in that clinit has no such group any more."""
        if self.state.reports.pop(group, None) is not None:
            self.state.changed()
        record = self.state.record(group)
        record.told_level, record.activated = "", False
        self.state.wake((group,))

    def clinit_lost(self) -> None:
        """Take in that clinit does not answer: claims and lines stay as they are (C7)."""
        self.state.clinit_known = False
        self.state.log("clinit_lost")

    def tell_refused(self, group: str, level: str, text: str, now: float) -> None:
        """Take in that clinit refused a tell: this node keeps off the group for a while."""
        state = self.state
        record = state.record(group)
        if group not in state.reports:
            record.activated = False  # nothing of it is here, and nothing can be told
        if group not in state.reports or level != STOP_LEVEL:
            record.told_level = (
                ""  # a stop is wanted all the same: it is told again, and not at once
            )
        record.ban_until, record.ban_reason = now + state.timing.ban_s, f"clinit: {text}"
        state.log("tell_refused", group=group, to=level, reason=text)
        state.changed()
        state.wake((group,))

    def tables_adopted(
        self,
        hactl: Hactl | None,
        cltab_groups: frozenset[str] | None,
        versions: Mapping[str, TableVersion],
        refused: Mapping[str, str],
        pasts: Mapping[str, Past] | None = None,
    ) -> None:
        """Take in which tables are in force, None where there is none yet, and where from."""
        state = self.state
        edited = dict(versions) != state.tables
        state.hactl, state.cltab_groups = hactl, cltab_groups
        state.tables, state.refused = dict(versions), dict(refused)
        state.pasts = dict(pasts or {})
        for group in hactl.wishes if hactl else ():
            state.record(group)
        if edited:
            for record in state.records.values():
                record.failbacks.clear()  # whoever edits a table may have mended what failed
        state.changed()
        state.wake_all()

    def cltab_adopted(self, cltab: Cltab | None) -> None:
        """Take in what the cltab in force says of the entries, to tell what runs otherwise."""
        defined: dict[str, tuple[Entry, ...]] = {}
        for entry in cltab.entries if cltab is not None else ():
            defined[entry.group] = (*defined.get(entry.group, ()), entry)
        self.state.defined = defined if cltab is not None else None

    def wrote(self, status: Status, *, began: float) -> None:
        """Take in that a status is on the file system; its write began at `began` (C4)."""
        state = self.state
        if status.inc == state.inc:
            state.writes.add(status.seq, began)
        if state.view.quorum_state is QuorumState.UNKNOWN:
            self._judge_quorum()  # a cluster of one reads nobody
        state.view.follow(began, state.timing.timeout_s)
        if state.view.electorate.nodes != self._voters:
            self._voters = state.view.electorate.nodes
            state.log("electorate_changed", nodes=sorted(self._voters))
            state.wake_all()
        first = state.published is None
        state.published = status
        waiting = [group for group, record in state.claimed.items() if not record.granted]
        state.wake(state.records if first else waiting)

    def displaced(self) -> None:
        """Take in that another node uses this number: stop everything, publish no more."""
        self.state.displaced = True
        self.state.wake_all()

    def leave(self) -> None:
        """Begin to leave in an orderly way: halt all groups, claim nothing new."""
        self.state.node_state = NodeState.LEAVING
        self.state.changed()
        self.state.wake_all()

    def halted(self) -> bool:
        """Say whether nothing of any group is left here, so that the node may go."""
        state = self.state
        return not state.claimed and not any(report.present for report in state.reports.values())

    # --- fencing ---------------------------------------------------------------------

    def fence_orders(self, now: float) -> tuple[list[FenceOrder], float]:
        """Return whom to shoot now, and when to ask again (infinity: not by time alone)."""
        if self.mute(now):
            return [], math.inf
        return shots.orders(self.state, self._quorum_since, now)

    def shot(
        self, order: FenceOrder, *, outcome: str, method: str, detail: str, now: float
    ) -> None:
        """Take in how a shot ended: `receipt`, `no receipt` or `failed`."""
        state = self.state
        known = state.shots.get(order.node)  # None: a later shot has ended and was forgotten (R1)
        if known is not None and known.inc == order.inc:  # else it lived again and is shot anew
            state.shots[order.node] = Shot(order.node, order.inc, now, outcome, method, detail)
        state.log("fence_ended", peer=order.node, outcome=outcome, method=method, detail=detail)
        if outcome == "receipt":
            self._believe_dead(order.node, Receipt(order.inc, method))
            if order.node not in state.view.receipts:
                shots.forget(state, order.node)

    def confirmed(self, node: int) -> str:
        """Take in that the operator vouches for a node's death; return why not, or ""."""
        state = self.state
        inc, refusal = shots.confirmable(state, node)
        if refusal:
            return refusal
        self._believe_dead(node, Receipt(inc, "operator"))
        state.log("fence_confirmed", peer=node, inc=inc)
        return ""

    def _believe_dead(self, node: int, receipt: Receipt) -> None:
        self.state.view.receipt(node, receipt, own=True)
        self.state.changed()
        self._judge_quorum()
        self.state.wake_all()

    # --- orders ----------------------------------------------------------------------

    def turn(self, group: str, now: float, chance: float) -> GroupStep:
        """Take the turn of one group; the shell carries out its `tell`."""
        return group_step.take(self.state, group, now, chance)

    def renewals(self, now: float) -> list[Renewal]:
        """Count all votes again and return the leases that have moved enough to be told."""
        state = self.state
        step = state.timing.heartbeat_s * RENEWAL_STEP
        moved = []
        for record in state.claimed.values():
            group_step.settle_grant(state, record, now)
            moved_on = record.lease_until >= record.lease_sent + step
            if (
                record.claim is None
                or not record.activated
                or record.lease_until == NEVER
                or not moved_on
            ):
                continue
            record.lease_sent = record.lease_until
            kill_at = group_step.kill_at(state, record)
            moved.append(Renewal(record.group, record.claim, record.lease_until, kill_at))
        return moved

    def look_at(self, node: int) -> float:
        """Return when a look at a peer could find it stale, infinity if none can (O3)."""
        counted_s = self.state.timeout_s(self._read_at)
        due = peers.judge_at(self.state.view.peer(node), counted_s)
        return math.inf if due is None else due

    def take_woken(self) -> frozenset[str]:
        """Return the groups that want a turn since the last call."""
        woken = frozenset(self.state.woken)
        self.state.woken.clear()
        return woken

    def take_notes(self) -> list[LogRecord]:
        """Return what is to be logged since the last call."""
        notes, self.state.log_records = self.state.log_records, []
        return notes

    @property
    def dirty(self) -> bool:
        """Whether the own status says something that is not published yet."""
        return self.state.dirty

    def mute(self, now: float) -> bool:
        """Say whether nothing must be published yet (N1): `next_status` is not for now."""
        return recovery.mute(self.state, now)

    def memory(self, status: Status) -> Memory:
        """Return what must be on the local disk before a status may be published (V4b)."""
        return memory_of(self.state, status)

    def next_status(self, now: float, *, left: bool = False) -> Status:
        """Make the status to be written now, with the next number.

        `left` makes it the last one: gone, with votes and terms kept (V4).
        """
        state = self.state
        self.seq += 1
        orders.drop_old(state, now)
        state.dirty = False
        for record in state.claimed.values():
            if record.shown_from is None:
                record.shown_from = self.seq
        return own_status.compose(state, seq=self.seq, now=now, left=left)
