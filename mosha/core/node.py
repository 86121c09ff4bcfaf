"""The decisions of one node: facts go in, what to publish, tell and shoot comes out.

`core.agent.Agent` is the way in for shells; it says when which of these is asked. It reports facts
by the methods named in the past tense and then asks: which groups want a turn (`take_woken`), which
leases to renew, whom to fence, what to log. Nothing here knows a clock, chance or a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core import account, orders, peers, recovery, shots, turn
from mosha.core.fencing import FencingRules, Shot
from mosha.core.group_report import GroupReport
from mosha.core.lineage import Past
from mosha.core.memory import Memory, memory_of
from mosha.core.quorum import Electorate, Policy, Sight
from mosha.core.recovery import Birth
from mosha.core.seat import NEVER, Mind, Note
from mosha.core.shots import FenceOrder
from mosha.core.status import NodeState, Receipt, Status, TableVersion
from mosha.core.tables import STOP_LEVEL, Cltab, Entry, Hactl
from mosha.core.timing import Timing
from mosha.core.turn import Turn
from mosha.core.view import View

# A renewal reaches clinit when the lease has moved by this part of a heartbeat.
RENEWAL_STEP = 0.25


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
        birth: Birth,
        timing: Timing,
        *,
        rules: FencingRules,
        electorate: Electorate,
        members: frozenset[int],
    ) -> None:
        self.mind = Mind(
            me=birth.me,
            inc=birth.inc,
            run=birth.run,
            boot=birth.boot,
            machine=birth.machine,
            started_at=birth.now,
            timing=timing,
            fencing=rules,
            view=View(birth.me, electorate, members),
        )
        self._read_at = birth.now
        self.seq = 0
        self._settled = False
        self._quorum_since = math.inf
        self._voters = electorate.nodes
        recovery.recover(self.mind, birth)
        recovery.look_for_traces(self.mind, birth.now)

    # --- facts: the others -----------------------------------------------------------

    def peer_read(
        self, node: int, status: Status | None, *, began: float, now: float, error: str = ""
    ) -> None:
        """Take in that an attempt to read a peer's status was completed.

        `status` is None if there was none to read or it was torn; `error` says what failed.
        """
        view = self.mind.view
        before, standing, receipts = view.peer(node), view.standing(node), dict(view.receipts)
        news = status is not None and view.heard(status, now)
        self._read_at = now
        view.tried(node, began=began, now=now, timeout_s=self.mind.timeout_s(now), error=error)
        if news and status is not None:
            view.echo(status, self.mind.inc, self.mind.writes, now)
            self._notice(before, status, now)
        recovery.look_for_traces(self.mind, now)
        if view.receipts != receipts:
            self._receipts_changed(receipts)
        after = view.standing(node)
        if after is not standing:
            self.mind.note("peer_changed", peer=node, **{"from": standing, "to": after})
            self.mind.wake_all()
        elif before.stale_since is None and view.peer(node).stale_since is not None:
            self.mind.wake_all()  # never heard in this life, but a recovered vote may be for it
        self._settled = now - self.mind.started_at >= self.mind.timing.timeout_s
        if after is not standing or not before.looked_at or view.sight is Sight.UNKNOWN:
            self._judge_quorum()
        if view.sight is not Sight.YES:
            self._quorum_since = math.inf
        elif self._quorum_since == math.inf:
            self._quorum_since = now

    def _receipts_changed(self, before: Mapping[int, Receipt]) -> None:
        """Draw the consequences where a receipt counts now, or does not any more (R1)."""
        mind = self.mind
        for node in before.keys() - mind.view.receipts.keys():
            if mind.view.peer(node).inc <= before[node].inc:
                mind.note("receipt_refuted", peer=node, inc=before[node].inc)
            shots.forget(mind, node)  # it may be shot again when it is missed again
        mind.changed()
        self._judge_quorum()
        mind.wake_all()

    def _notice(self, before: peers.Peer, status: Status, now: float) -> None:
        mind, old = self.mind, before.status
        if old is None or status.inc > old.inc:
            mind.changed()  # O5: a new incarnation wants its echo
        orders.hear(mind, old, status, now)
        changed = account.differences(old, status)
        if changed or changed is None:
            for group in (*status.claims, *status.groups, *status.votes):
                mind.seat(group)
        if changed is None:
            self._judge_quorum()
            mind.wake_all()
        elif changed:
            mind.wake(changed)
        if mind.silent(now):
            recovery.hear_timeout(mind, status)
            recovery.hear_echo(mind, status, now)
        echo, receipt = status.seen.get(mind.me), status.fenced.get(mind.me)
        if echo is not None and recovery.hear_of_self(mind, echo, now, self.seq):
            self._raise_inc(echo.inc + 1)
        if receipt is not None and receipt.inc >= mind.inc:
            self._raise_inc(receipt.inc + 1)

    def _raise_inc(self, inc: int) -> None:
        """Begin a new incarnation: others know of a later one, or believe this one dead."""
        mind = self.mind
        mind.note("incarnation_raised", **{"from": mind.inc, "to": inc})
        mind.inc = inc
        mind.writes.clear()
        if mind.silent_until is not None and mind.doubt_until == NEVER:
            mind.doubts.clear()
        mind.changed()

    def members_found(self, found: frozenset[int]) -> None:
        """Take in which nodes there are, where no configuration names them."""
        view = self.mind.view
        if found - {self.mind.me} == view.members:
            return
        view.find_members(found)
        if view.electorate.policy is Policy.MAJORITY:
            grown = view.electorate.nodes | found
            view.electorate = Electorate(Policy.MAJORITY, grown, view.electorate.remembered)
        self.mind.note("members_changed", nodes=sorted(found))
        self._judge_quorum()
        self.mind.wake_all()

    def _judge_quorum(self) -> None:
        view = self.mind.view
        before = view.sight
        if view.judge_quorum(settled=self._settled):
            self.mind.note("quorum_changed", **{"from": before, "to": view.sight})
            self.mind.changed()
            self.mind.wake_all()

    # --- facts: clinit, tables, own writes -------------------------------------------

    def clinit_answered(self, found: Iterable[GroupReport], now: float) -> None:
        """Take in everything that clinit has, at the start or after a new clinit started."""
        mind = self.mind
        first = not mind.clinit_known
        mind.locals = {local.group: local for local in found}
        mind.clinit_known = True
        for seat in mind.seats.values():
            seat.told = ""
        for local in mind.locals.values():
            recovery.adopt(mind, local, now)
        if first or mind.locals:
            mind.changed()
        mind.wake_all()

    def clinit_changed(self, local: GroupReport) -> None:
        """Take in a change of one group."""
        mind = self.mind
        seat = mind.seat(local.group)
        if seat.told and local.wanted == seat.told:
            seat.told = ""
        before = mind.locals.get(local.group)
        mind.locals[local.group] = local
        if before is None or account.line_of(before) != account.line_of(local):
            mind.changed()
        mind.wake((local.group,))

    def clinit_dropped(self, group: str) -> None:
        """Take in that clinit has no such group any more."""
        if self.mind.locals.pop(group, None) is not None:
            self.mind.changed()
        seat = self.mind.seat(group)
        seat.told, seat.proven = "", False
        self.mind.wake((group,))

    def clinit_lost(self) -> None:
        """Take in that clinit does not answer: claims and lines stay as they are (C7)."""
        self.mind.clinit_known = False
        self.mind.note("clinit_lost")

    def tell_refused(self, group: str, level: str, text: str, now: float) -> None:
        """Take in that clinit refused a tell: this node keeps off the group for a while."""
        mind = self.mind
        seat = mind.seat(group)
        if group not in mind.locals:
            seat.proven = False  # nothing of it is here, and nothing can be told
        if group not in mind.locals or level != STOP_LEVEL:
            seat.told = ""  # a stop is wanted all the same: it is told again, and not at once
        seat.ban_until, seat.ban_reason = now + mind.timing.ban_s, f"clinit: {text}"
        mind.note("tell_refused", group=group, to=level, reason=text)
        mind.changed()
        mind.wake((group,))

    def tables_adopted(
        self,
        hactl: Hactl | None,
        cltab_groups: frozenset[str] | None,
        versions: Mapping[str, TableVersion],
        refused: Mapping[str, str],
        pasts: Mapping[str, Past] | None = None,
    ) -> None:
        """Take in which tables are in force, None where there is none yet, and where from."""
        mind = self.mind
        edited = dict(versions) != mind.tables
        mind.hactl, mind.cltab_groups = hactl, cltab_groups
        mind.tables, mind.refused = dict(versions), dict(refused)
        mind.pasts = dict(pasts or {})
        for group in hactl.wishes if hactl else ():
            mind.seat(group)
        if edited:
            for seat in mind.seats.values():
                seat.ways.clear()  # whoever edits a table may have mended what failed
        mind.changed()
        mind.wake_all()

    def cltab_adopted(self, cltab: Cltab | None) -> None:
        """Take in what the cltab in force says of the entries, to tell what runs otherwise."""
        defined: dict[str, tuple[Entry, ...]] = {}
        for entry in cltab.entries if cltab is not None else ():
            defined[entry.group] = (*defined.get(entry.group, ()), entry)
        self.mind.defined = defined if cltab is not None else None

    def wrote(self, status: Status, *, began: float) -> None:
        """Take in that a status is on the file system; its write began at `began` (C4)."""
        mind = self.mind
        if status.inc == mind.inc:
            mind.writes.add(status.seq, began)
        if mind.view.sight is Sight.UNKNOWN:
            self._judge_quorum()  # a cluster of one reads nobody
        mind.view.follow(began, mind.timing.timeout_s)
        if mind.view.electorate.nodes != self._voters:
            self._voters = mind.view.electorate.nodes
            mind.note("electorate_changed", nodes=sorted(self._voters))
            mind.wake_all()
        first = mind.published is None
        mind.published = status
        waiting = [group for group, seat in mind.claimed.items() if not seat.granted]
        mind.wake(mind.seats if first else waiting)

    def displaced(self) -> None:
        """Take in that another node uses this number: stop everything, publish no more."""
        self.mind.displaced = True
        self.mind.wake_all()

    def leave(self) -> None:
        """Begin to leave in an orderly way: halt all groups, claim nothing new."""
        self.mind.state = NodeState.LEAVING
        self.mind.changed()
        self.mind.wake_all()

    def halted(self) -> bool:
        """Say whether nothing of any group is left here, so that the node may go."""
        mind = self.mind
        return not mind.claimed and not any(local.present for local in mind.locals.values())

    # --- fencing ---------------------------------------------------------------------

    def fence_orders(self, now: float) -> tuple[list[FenceOrder], float]:
        """Return whom to shoot now, and when to ask again (infinity: not by time alone)."""
        if self.mute(now):
            return [], math.inf
        return shots.orders(self.mind, self._quorum_since, now)

    def shot(
        self, order: FenceOrder, *, outcome: str, method: str, detail: str, now: float
    ) -> None:
        """Take in how a shot ended: `receipt`, `no receipt` or `failed`."""
        mind = self.mind
        known = mind.shots.get(order.node)  # None: a later shot has ended and was forgotten (R1)
        if known is not None and known.inc == order.inc:  # else it lived again and is shot anew
            mind.shots[order.node] = Shot(order.node, order.inc, now, outcome, method, detail)
        mind.note("fence_ended", peer=order.node, outcome=outcome, method=method, detail=detail)
        if outcome == "receipt":
            self._believe_dead(order.node, Receipt(order.inc, method))
            if order.node not in mind.view.receipts:
                shots.forget(mind, order.node)

    def confirmed(self, node: int) -> str:
        """Take in that the operator vouches for a node's death; return why not, or ""."""
        mind = self.mind
        inc, refusal = shots.confirmable(mind, node)
        if refusal:
            return refusal
        self._believe_dead(node, Receipt(inc, "operator"))
        mind.note("fence_confirmed", peer=node, inc=inc)
        return ""

    def _believe_dead(self, node: int, receipt: Receipt) -> None:
        self.mind.view.receipt(node, receipt, own=True)
        self.mind.changed()
        self._judge_quorum()
        self.mind.wake_all()

    # --- orders ----------------------------------------------------------------------

    def turn(self, group: str, now: float, chance: float) -> Turn:
        """Take the turn of one group; the shell carries out its `tell`."""
        return turn.take(self.mind, group, now, chance)

    def renewals(self, now: float) -> list[Renewal]:
        """Count all votes again and return the leases that have moved enough to be told."""
        mind = self.mind
        step = mind.timing.heartbeat_s * RENEWAL_STEP
        moved = []
        for seat in mind.claimed.values():
            turn.settle_grant(mind, seat, now)
            moved_on = seat.lease_until >= seat.lease_sent + step
            if seat.claim is None or not seat.proven or seat.lease_until == NEVER or not moved_on:
                continue
            seat.lease_sent = seat.lease_until
            kill_at = turn.kill_at(mind, seat)
            moved.append(Renewal(seat.group, seat.claim, seat.lease_until, kill_at))
        return moved

    def look_at(self, node: int) -> float:
        """Return when a look at a peer could find it stale, infinity if none can (O3)."""
        counted_s = self.mind.timeout_s(self._read_at)
        due = peers.judge_at(self.mind.view.peer(node), counted_s)
        return math.inf if due is None else due

    def take_woken(self) -> frozenset[str]:
        """Return the groups that want a turn since the last call."""
        woken = frozenset(self.mind.woken)
        self.mind.woken.clear()
        return woken

    def take_notes(self) -> list[Note]:
        """Return what is to be logged since the last call."""
        notes, self.mind.notes = self.mind.notes, []
        return notes

    @property
    def dirty(self) -> bool:
        """Whether the own status says something that is not published yet."""
        return self.mind.dirty

    def mute(self, now: float) -> bool:
        """Say whether nothing must be published yet (N1): `next_status` is not for now."""
        return recovery.mute(self.mind, now)

    def memory(self, status: Status) -> Memory:
        """Return what must be on the local disk before a status may be published (V4b)."""
        return memory_of(self.mind, status)

    def next_status(self, now: float, *, left: bool = False) -> Status:
        """Make the status to be written now, with the next number.

        `left` makes it the last one: gone, with votes and terms kept (V4).
        """
        mind = self.mind
        self.seq += 1
        orders.drop_old(mind, now)
        mind.dirty = False
        for seat in mind.claimed.values():
            if seat.shown_from is None:
                seat.shown_from = self.seq
        return account.compose(mind, seq=self.seq, now=now, left=left)
