"""What a node keeps for each group: its ballot, its claim, its ban, what it told clinit.

And `MonitorState`, all that one node knows and has decided: the input of every step. Both are
plain mutable records of the core: shells read them, and change them by events only
(`core.cluster.events`). Their invariants are in `core.cluster.invariants`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.deaths import Deaths
from mosha.core.cluster.fencing import FencingRules, Shot
from mosha.core.cluster.lease import Writes
from mosha.core.cluster.relation_graph import NO_RELATIONS, RelationGraph
from mosha.core.cluster.timing import Timing
from mosha.core.cluster.view import View
from mosha.core.instance_names import single
from mosha.core.replication.lineage import Past
from mosha.core.status import (
    EntryAnswer,
    GaveWay,
    Grade,
    NodeState,
    Order,
    Receipt,
    Stamp,
    Status,
    TableVersion,
    Trouble,
    Unended,
)
from mosha.core.supervision import entries
from mosha.core.supervision.group_report import ABSENT, GroupReport
from mosha.core.tables import STOP_LEVEL, Entry, Hactl, Wish, entries_under
from mosha.core.tell import EntryOrder

NEVER = -math.inf
# A level told to clinit that it never reports was lost on the way: decide again after this.
TOLD_LIMIT_S = 5.0


class FailbackAttempt(Struct):
    """A failback (`failback=yes`) to another node that has not succeeded yet.

    `inc` is that node's incarnation, `until` is when another attempt may be made, and `bans` how
    often that node has banned itself from the group instead; `banned`: this time too.
    """

    inc: int
    until: float = NEVER
    bans: int = 0
    banned: bool = False


class StandingOrder(NamedTuple):
    """An order that was given here, and until when it stands."""

    order: Order
    until: float


class WaitingEntryOrder(Struct):
    """An order for an entry that clinit was given here; `reply` is its reply, None before that.

    `inc` is of who gave it, `name` is what clinit reports when it has been carried out, `term` and
    `level` are those of the group then: with others it is void.
    """

    inc: int
    verb: str
    group: str
    tag: str
    name: str
    term: int
    level: str
    reply: str | None = None


class StandingAnswer(NamedTuple):
    """What became of an order for an entry, and until when that is published."""

    answer: EntryAnswer
    until: float


class Disarmed(NamedTuple):
    """The newest order to disarm that is known here; `until` when it does, seconds of boottime."""

    number: int
    node: int
    until: float
    reason: str


class Asked(NamedTuple):
    """An operator's order to shoot an incarnation of a node, void after `until` (boottime).

    `known` is what was known of its death then. `shown`: the first status of this node, as it is
    on the file system, that shows its aim.
    """

    inc: int
    until: float
    known: Grade = Grade.LEASE_ELAPSED
    shown: Stamp | None = None


class ShotRequest(NamedTuple):
    """Since when an incarnation of a node asks to be shot (seconds of boottime, heard here)."""

    inc: int
    since: float


class PendingReceipt(NamedTuple):
    """A receipt of a node that was heard when it was shot `at`, and until when it may count."""

    receipt: Receipt
    at: float
    until: float


class Hold(NamedTuple):
    """Why a node is not shot: `kind` is heard, brake, asking or budget; the nodes that count."""

    kind: str
    nodes: tuple[int, ...]


class Binding(NamedTuple):
    """What a group with `after=` runs after: the node and the term of that other group."""

    node: int
    term: int


class RestartedInPlace(Struct, frozen=True):
    """How often a group was restarted in place because a monitor failed, under its claim.

    `at` is when it was last, at `level`, and why; `failed_at`: when it had failed before, as far as
    hactl counts it, oldest first.
    """

    count: int
    at: float
    level: str
    failed_at: tuple[float, ...] = ()
    reason: str = ""


class GroupRecord(Struct):
    """This node's record of one group. Times are seconds of boottime."""

    group: str
    ballot: Ballot = field(default_factory=Ballot)
    claim: int | None = None
    claimed_at: float = NEVER
    shown_from: int | None = None  # this node's first status (seq) that shows the claim
    activated: bool = False
    granted: bool = False
    lease_until: float = NEVER
    lease_sent: float = NEVER
    kill_at: float | None = None  # of an adopted lease, until it is renewed
    told_level: str = ""
    told_level_at: float = NEVER
    told_term: int = 0
    killed: bool = False  # the kill of what runs under this claim was ordered (G1)
    backoff_until: float = NEVER
    collisions: int = 0
    ban_until: float = NEVER
    ban_reason: str = ""
    free_since: float | None = None
    failbacks: dict[int, FailbackAttempt] = field(default_factory=dict)
    moved_to: int | None = None  # the ban is a move to that node, 0: to any other
    gave_up_at: tuple[float, ...] = ()  # when this node did so, because of failures
    exhausted: str = ""  # why the group is stopped for good here
    restarts: tuple[tuple[int, Stamp], ...] = ()  # the orders that a restart carries out
    restarting: bool = False  # a restart because a monitor failed is under way
    in_place: RestartedInPlace | None = None  # such restarts under this claim
    stops_again: bool = False  # an operator has repaired what failed at `stop`
    cleaned_at: float = NEVER  # when an operator last ran cleanup for it here
    bound: dict[str, Binding] = field(default_factory=dict)  # what it came after (`after=`)
    leaving: str = ""  # why it is about to leave its level, when those after it have stopped
    leaving_since: float = NEVER
    gave_way: GaveWay | None = None  # to what it gave way here, if that is why it stopped last
    gave_way_at: float = NEVER
    late_seen_s: float = 0.0  # how late a kill was that an operator has acknowledged

    def told_level_now(self, now: float) -> str:
        """Return the level told and not reported yet, "" if there is none (any more)."""
        return self.told_level if now - self.told_level_at < TOLD_LIMIT_S else ""


class LogRecord(Struct, frozen=True):
    """A transition or event that the shell writes to the log, with its fields."""

    event: str
    fields: dict[str, object]


class MonitorState(Struct):
    """Everything one node knows and has decided."""

    me: int
    inc: int
    run: str
    boot: str
    started_at: float
    timing: Timing
    fencing: FencingRules
    view: View
    node_state: NodeState = NodeState.UP
    silent_until: float | None = None
    doubt_until: float = NEVER
    doubts: dict[int, dict[str, int]] = field(default_factory=dict)
    long_timeout_s: float = 0.0  # the T of the earlier run, if it is longer (T1)
    long_until: float = NEVER
    mute_until: float | None = None  # nothing is published before (N1)
    stranger: bool = False  # neither memory nor clstat: mute until all have answered
    lost: str = ""  # what has lost writes (V4b)
    lost_until: float = NEVER
    machine: str = ""
    former_run: str = ""
    former_stamp: Stamp = Stamp(0, 0)
    former_bound: Stamp = Stamp(0, 0)
    former_claims: Mapping[str, int] | None = None
    born_inc: int = 0
    clinit_known: bool = False
    displaced: bool = False
    written: Hactl | None = None  # the hactl in force
    hactl: Hactl | None = None  # with an instance on each node where it says on=all
    cltab_groups: frozenset[str] | None = None
    relations: RelationGraph = NO_RELATIONS
    defined: Mapping[str, tuple[Entry, ...]] | None = None
    records: dict[str, GroupRecord] = field(default_factory=dict)
    # Those of `records` that have a claim.
    claimed: dict[str, GroupRecord] = field(default_factory=dict)
    reports: dict[str, GroupReport] = field(default_factory=dict)
    writes: Writes = field(default_factory=Writes)
    published: Status | None = None
    shots: dict[int, Shot] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    braked: tuple[int, ...] = ()  # they went silent together
    brake_until: float = NEVER
    echoes: dict[tuple[int, int], tuple[Stamp, float]] = field(default_factory=dict)
    asked: dict[int, Asked] = field(default_factory=dict)  # an operator has them shot
    requests: dict[int, ShotRequest] = field(default_factory=dict)  # nodes that ask to be shot
    unended: dict[str, Unended] = field(default_factory=dict)  # groups that this node cannot end
    # Poison pills (F2): given here to incarnations of others; being obeyed here, and obeyed.
    pills: dict[int, int] = field(default_factory=dict)
    pills_taken: dict[int, int] = field(default_factory=dict)
    pills_obeyed: dict[int, int] = field(default_factory=dict)
    pending: dict[int, PendingReceipt] = field(default_factory=dict)
    outlived: dict[int, PendingReceipt] = field(default_factory=dict)  # whose victim lives on
    deaths: Deaths = field(default_factory=Deaths)
    disarmed: Disarmed | None = None
    disarm_told: bool = False
    whole: dict[int, int] = field(default_factory=dict)  # how many groups each node had then
    witness: bool = False
    capacity: int | None = None  # how much weight this node takes, None: any
    cut_off: str = ""  # why this node may not use its storage (yet)
    storage_doubts: int = 0
    tables: dict[str, TableVersion] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    pasts: Mapping[str, Past] = field(default_factory=dict)
    orders: dict[int, StandingOrder] = field(default_factory=dict)
    order_number: int = 0
    taken: dict[int, Stamp] = field(default_factory=dict)
    # The orders, by issuer and number, that stood before this monitor, or that it has not heard in
    # time: the incarnation each is of.
    passed_over: dict[tuple[int, int], int] = field(default_factory=dict)
    obeyed: dict[int, Stamp] = field(default_factory=dict)
    entry_orders: dict[tuple[int, int], WaitingEntryOrder] = field(default_factory=dict)
    answers: dict[tuple[int, int], StandingAnswer] = field(default_factory=dict)
    to_clinit: list[EntryOrder] = field(default_factory=list)
    standby: bool = False
    log_records: list[LogRecord] = field(default_factory=list)
    to_step: set[str] = field(default_factory=set)
    dirty: bool = True
    plan: dict[str, tuple[int, ...]] | None = None
    # By the plan: what gives way to which group, on which node; and where groups will find room.
    preempted: dict[str, tuple[str, int]] = field(default_factory=dict)
    promised: dict[str, int] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)  # free groups that wait for room

    def record(self, group: str) -> GroupRecord:
        """Return the record of a group, made if it is new."""
        found = self.records.get(group)
        if found is None:
            found = self.records[group] = GroupRecord(group)
            self.view.instances.know(group)
        return found

    def report(self, group: str) -> GroupReport:
        """Return clinit's report of a group."""
        return self.reports.get(group, ABSENT)

    def wish(self, group: str) -> Wish | None:
        """Return the wish for a group that is in hactl and in cltab."""
        if self.hactl is None or not self.has_entries(group):
            return None
        return self.hactl.wishes.get(group)

    def has_entries(self, group: str) -> bool:
        """Say whether a cltab is in force that has the group, or the one it is an instance of."""
        return self.cltab_groups is not None and single(group) in self.cltab_groups

    def entries_of(self, group: str) -> tuple[Entry, ...] | None:
        """Return the entries of a group in the cltab in force, None if none is or it has none."""
        entries = self.defined.get(single(group)) if self.defined is not None else None
        return entries and entries_under(group, entries)

    def is_on_all(self, group: str) -> bool:
        """Say whether hactl has an instance of the group on each node."""
        wish = self.written.wishes.get(group) if self.written is not None else None
        return wish is not None and wish.on_all

    def required_grade(self, group: str) -> Grade:
        """Return on what evidence a node counts as dead, as far as this group is concerned."""
        wish = self.hactl.wishes.get(group) if self.hactl is not None else None
        if wish is None and self.written is not None:  # of an older table, or a rival
            wish = self.written.wishes.get(single(group))
        if wish is not None and wish.fence is not None:
            return wish.fence
        return Grade.OPERATOR_SAID_SO if self.fencing.required else Grade.LEASE_ELAPSED

    def wish_level(self, group: str) -> str:
        """Return the level wanted for a group, `stop` where cltab or hactl lack it."""
        wish = self.wish(group)
        return wish.level if wish else STOP_LEVEL

    def troubles(self, group: str, now: float) -> tuple[Trouble, ...]:
        """Return what is wrong with the entries of a group on this node."""
        report = self.reports.get(group)
        if report is None:
            return ()
        record = self.records.get(group)
        if report.stopped and record is not None and record.cleaned_at > report.since:
            return ()
        defined = self.entries_of(group)
        found = entries.troubles(report.entries, report.level, report.state, defined, now)
        restart = record.in_place if record is not None else None
        if restart is None or restart.level != report.level:
            return found
        return (*found, *entries.still_failing(report.entries, restart.reason, now))

    def timeout_s(self, now: float) -> float:
        """Return the T that counts now: the earlier run's while that is longer (T1)."""
        if now < self.long_until:
            return max(self.timing.timeout_s, self.long_timeout_s)
        return self.timing.timeout_s

    def silent(self, now: float) -> bool:
        """Say whether this node must not vote yet (V5)."""
        return self.silent_until is not None and now < self.silent_until

    def log(self, event: str, **fields: object) -> None:
        """Add a log record."""
        self.log_records.append(LogRecord(event, fields))

    def wake(self, groups: Iterable[str]) -> None:
        """Ask for a step of these groups and of those that relate to them.

        The joint placement is computed again.
        """
        for group in groups:
            self.to_step.add(group)
            self.to_step.update(self.view.instances.rivals(group))
            self.wake_concerned(group)
        self._plan_anew()

    def wake_concerned(self, group: str) -> None:
        """Ask for a step of the groups that relate to this one."""
        self.to_step.update(self.relations.concerned.get(group, ()))

    def wake_all(self) -> None:
        """Ask for a step of every group."""
        self.to_step.update(self.records)
        self._plan_anew()

    def changed(self) -> None:
        """Mark this node's status as changed: it is published at once (O5)."""
        self.dirty = True
        self._plan_anew()

    def _plan_anew(self) -> None:
        """Let the joint placement be computed again: there may be room by now."""
        self.plan, self.preempted, self.promised = None, {}, {}
        self.to_step |= self.crowded
        self.crowded.clear()
