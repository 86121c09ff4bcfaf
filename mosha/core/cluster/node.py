"""The decisions of one node: facts go in; what to publish, tell and shoot comes out.

Shells use `core.cluster.agent.Agent`, which calls this. It reports facts by the methods named in
the past tense and then asks which groups need a step (`take_to_step`), which leases to renew, which
nodes to fence and what to log. Nothing here uses a clock, randomness or a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core.cluster import (
    access,
    arming,
    group_step,
    group_votes,
    orders,
    own_status,
    peers,
    poison,
    recovery,
    rivals,
    shot_requests,
    shots,
)
from mosha.core.cluster.death_book import DeathBook
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.group_step import GroupStep
from mosha.core.cluster.memory import Memory, memory_of
from mosha.core.cluster.quorum import Electorate, Policy, QuorumState
from mosha.core.cluster.recovery import Startup
from mosha.core.cluster.state import NEVER, LogRecord, MonitorState
from mosha.core.cluster.timing import Timing
from mosha.core.cluster.view import View
from mosha.core.replication.lineage import Past
from mosha.core.status import NodeState, Status, TableVersion
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
    """The decisions of one node. Not thread-safe; `now` never goes back."""

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
            cut_off=access.at_start(rules),
            view=View(startup.me, electorate, members),
        )
        self._read_at = startup.now
        self.seq = 0
        self._settled = False
        self._quorum_since = math.inf
        self._voters = electorate.nodes
        self._deaths = DeathBook(self.state, self._judge_quorum)
        recovery.recover(self.state, startup)
        recovery.look_for_traces(self.state, startup.now)

    # --- facts: the others -----------------------------------------------------------

    def peer_read(
        self, node: int, status: Status | None, *, began: float, now: float, error: str = ""
    ) -> None:
        """Handle: an attempt to read a peer's status was completed.

        `status` is None if there was none to read or it was torn; `error` says what failed.
        """
        state, view = self.state, self.state.view
        before, standing, receipts = view.peer(node), view.standing(node), dict(view.receipts)
        news = status is not None and view.heard(status, now)
        self._read_at = now
        view.tried(node, began=began, now=now, timeout_s=state.timeout_s(now), error=error)
        self._deaths.peer_tried(node, now)
        if news and status is not None:
            view.echo(status, state.inc, state.writes, now)
            self._notice(before, status, now)
        if state.stranger:
            recovery.look_for_traces(state, now)
        if view.receipts != receipts:
            self._deaths.receipts_changed(receipts, now)
        after = view.standing(node)
        if after is not standing:
            state.log("peer_changed", peer=node, **{"from": standing, "to": after})
            state.wake_all()
        elif before.stale_since is None and view.peer(node).stale_since is not None:
            state.wake_all()  # never heard in this run, but a recovered vote may be for it
        self._settled = now - state.started_at >= state.timing.timeout_s
        if after is not standing or not before.looked_at or view.quorum_state is _UNKNOWN:
            self._judge_quorum()
        if view.quorum_state is not _YES and not view.is_half:
            self._quorum_since = math.inf
        elif self._quorum_since == math.inf:
            self._quorum_since = now

    def _notice(self, before: peers.Peer, status: Status, now: float) -> None:
        state, old = self.state, before.status
        if old is None or old.witness is not status.witness:
            rivals.place_instances(self.state)
        if old is None or status.inc > old.inc:
            state.changed()  # O5: a new incarnation wants its echo
        orders.hear(state, old, status, now)
        arming.hear(state, status, now)
        access.hear(state, old, status)
        shot_requests.hear(state, status, now)
        poison.hear(state, status, now)
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
            access.doubt(state)
            self._raise_inc(receipt.inc + 1)

    def _raise_inc(self, inc: int) -> None:
        """Start a new incarnation: others know a later one, or believe this one dead."""
        state = self.state
        state.log("incarnation_raised", **{"from": state.inc, "to": inc})
        orders.go_on_counting(state, state.me, state.inc, inc)
        state.inc = inc
        state.view.life_inc = inc  # what others knew of before may be of a life that is forgotten
        state.writes.clear()
        if state.silent_until is not None and state.doubt_until == NEVER:
            state.doubts.clear()
        state.changed()
        self._judge_quorum()

    def members_found(self, found: frozenset[int]) -> None:
        """Handle: these nodes exist; used where no configuration names the nodes."""
        view = self.state.view
        if found - {self.state.me} == view.members:
            return
        view.find_members(found)
        if view.electorate.policy is Policy.MAJORITY:
            grown = view.electorate.nodes | found
            view.electorate = Electorate(Policy.MAJORITY, grown, view.electorate.remembered)
        rivals.place_instances(self.state)
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

    # --- facts: clinit, tables, writes -----------------------------------------------

    def clinit_answered(self, found: Iterable[GroupReport], now: float) -> None:
        """Handle clinit's full report, at the start or after clinit was restarted."""
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
        """Handle a change of one group."""
        state = self.state
        record = state.record(report.group)
        if record.told_level and report.wanted == record.told_level:
            record.told_level = ""
        before = state.reports.get(report.group)
        state.reports[report.group] = report
        if before is None or own_status.is_news(before, report):
            state.changed()
        state.wake((report.group,))

    def clinit_dropped(self, group: str) -> None:
        """Handle: clinit no longer has this group."""
        if self.state.reports.pop(group, None) is not None:
            self.state.changed()
        record = self.state.record(group)
        record.told_level, record.activated = "", False
        self.state.wake((group,))

    def clinit_lost(self) -> None:
        """Handle: clinit does not answer; claims and lines stay as they are (C7)."""
        self.state.clinit_known = False
        self.state.log("clinit_lost")

    def tell_refused(self, group: str, level: str, text: str, now: float) -> None:
        """Handle: clinit refused a tell; this node is banned from the group for a while."""
        state = self.state
        record = state.record(group)
        if group not in state.reports:
            record.activated = False  # nothing of it is here, and no tell can reach it
        if group not in state.reports or level != STOP_LEVEL:
            record.told_level = ""  # a stop is still wanted: it is told again, but not at once
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
        """Handle: these tables are in force, None where there is none yet, and their ancestry."""
        state = self.state
        edited = dict(versions) != state.tables
        state.written, state.cltab_groups = hactl, cltab_groups
        rivals.place_instances(self.state)
        state.tables, state.refused = dict(versions), dict(refused)
        state.pasts = dict(pasts or {})
        if edited:
            for record in state.records.values():
                record.failbacks.clear()  # an edit of a table may have repaired what failed
        state.changed()
        state.wake_all()

    def cltab_adopted(self, cltab: Cltab | None) -> None:
        """Handle a new cltab: its entries show which ones run with an outdated definition."""
        defined: dict[str, tuple[Entry, ...]] = {}
        for entry in cltab.entries if cltab is not None else ():
            defined[entry.group] = (*defined.get(entry.group, ()), entry)
        self.state.defined = defined if cltab is not None else None

    def wrote(self, status: Status, *, began: float) -> None:
        """Handle: a status is on the file system; its write began at `began` (C4)."""
        state = self.state
        if status.inc == state.inc:
            state.writes.add(status.seq, began)
        if state.view.quorum_state is QuorumState.UNKNOWN:
            self._judge_quorum()  # a cluster of one reads no peer
        state.view.follow(began, state.timing.timeout_s)
        if state.view.electorate.nodes != self._voters:
            self._voters = state.view.electorate.nodes
            state.log("electorate_changed", nodes=sorted(self._voters))
            state.wake_all()
        first = state.published is None or state.published.inc != status.inc
        state.published = status
        waiting = [group for group, record in state.claimed.items() if not record.granted]
        state.wake(state.records if first else waiting)

    def displaced(self) -> None:
        """Handle: another node uses this number; stop everything, publish no more."""
        self.state.displaced = True
        self.state.wake_all()

    def leave(self) -> None:
        """Start to leave in an orderly way: halt all groups, claim nothing new."""
        self.state.node_state = NodeState.LEAVING
        self.state.changed()
        self.state.wake_all()

    def halted(self) -> bool:
        """Say whether no process of any group is left here, so that the node may end."""
        state = self.state
        return not state.claimed and not any(report.present for report in state.reports.values())

    # --- fencing ---------------------------------------------------------------------

    def fence_orders(self, now: float) -> tuple[list[FenceOrder], float]:
        """Return which nodes to shoot now, and when to ask again (infinity: not by time alone)."""
        if self.mute(now):
            return [], math.inf
        return shots.orders(self.state, self._quorum_since, now)

    def shot(self, ended: ShotEnded, now: float) -> None:
        """Handle the end of a shot: `receipt`, `no receipt` or `failed`."""
        self._deaths.shot(ended, now)

    def fence_asked(self, node: int, now: float) -> str:
        """Handle an operator's order to shoot a node; return why it is refused, or ""."""
        return self._deaths.fence_asked(node, now)

    def confirmed(self, node: int, now: float) -> str:
        """Handle the operator's confirmation of a node's death; return why it is refused, or ""."""
        return self._deaths.confirmed(node, now)

    # --- orders ----------------------------------------------------------------------

    def step(self, group: str, now: float, chance: float) -> GroupStep:
        """Take a step of one group; the shell carries out its `tell`."""
        return group_step.take(self.state, group, now, chance)

    def renewals(self, now: float) -> list[Renewal]:
        """Count all votes again and return the leases that have moved enough to be sent."""
        state = self.state
        step = state.timing.heartbeat_s * RENEWAL_STEP
        moved = []
        for record in state.claimed.values():
            group_votes.settle_grant(state, record, now)
            moved_on = record.lease_until >= record.lease_sent + step
            if (
                record.claim is None
                or not record.activated
                or record.lease_until == NEVER
                or not moved_on
            ):
                continue
            record.lease_sent = record.lease_until
            kill_at = group_votes.kill_at(state, record)
            moved.append(Renewal(record.group, record.claim, record.lease_until, kill_at))
        return moved

    def look_at(self, node: int) -> float:
        """Return when a read of a peer could find it stale, infinity if none can (O3)."""
        counted_s = self.state.timeout_s(self._read_at)
        due = peers.judge_at(self.state.view.peer(node), counted_s)
        return math.inf if due is None else due

    def take_to_step(self) -> frozenset[str]:
        """Return the groups that need a step since the last call."""
        groups = frozenset(self.state.to_step)
        self.state.to_step.clear()
        return groups

    def take_notes(self) -> list[LogRecord]:
        """Return the log records since the last call."""
        notes, self.state.log_records = self.state.log_records, []
        return notes

    @property
    def dirty(self) -> bool:
        """Whether this node's status has changes that are not published yet."""
        return self.state.dirty

    def mute(self, now: float) -> bool:
        """Say whether this node must not publish yet (N1): do not call `next_status`."""
        return recovery.mute(self.state, now)

    def memory(self, status: Status) -> Memory:
        """Return what must be on the local disk before a status may be published (V4b)."""
        return memory_of(self.state, status)

    def next_status(self, now: float, *, left: bool = False) -> Status:
        """Make the next status to write; `left`: the last one, votes and terms are kept (V4)."""
        state = self.state
        self.seq += 1
        orders.drop_old(state, now)
        shot_requests.note_own(state, now)
        if poison.is_obeyed(state, now):
            self._raise_inc(state.inc + 1)
            poison.acknowledge(state)
        state.dirty = False
        shots.remember_whole(state)
        for record in state.claimed.values():
            if record.shown_from is None:
                record.shown_from = self.seq
        return own_status.compose(state, seq=self.seq, now=now, left=left)
