"""What one node publishes about itself (its clstat), as data; format: docs/reference/clstat.md.

A status is a value: a node makes a new one for every write, and `stamp` orders them (O1).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from msgspec import Struct, field

K = TypeVar("K")
V = TypeVar("V")


class Stamp(NamedTuple):
    """Which status of a node: its incarnation, and its number within that."""

    inc: int
    seq: int


class NodeState(enum.StrEnum):
    """The state of a node as a whole."""

    UP = "up"  # takes part in everything
    LEAVING = "leaving"  # halts its groups, claims nothing new, still votes
    LEFT = "left"  # has gone in an orderly way: neither stale nor fenced


class GroupState(enum.StrEnum):
    """The states of a group at a level (catalogue C7.2)."""

    CONFIGURED = "CONFIGURED"
    STARTING = "STARTING"
    CHECKING = "CHECKING"
    DONE = "DONE"
    PASSED = "PASSED"
    FAILED = "FAILED"
    STOPPING = "STOPPING"
    DUMPING = "DUMPING"
    HALTING = "HALTING"


STOPPED = frozenset({GroupState.DONE, GroupState.PASSED})
SETTLED = frozenset({GroupState.DONE, GroupState.PASSED, GroupState.FAILED})


class GroupLine(Struct, frozen=True):
    """`Cluster::Init::Group GROUP LEVEL STATE`: where a group is on this node."""

    level: str
    state: GroupState

    @property
    def active(self) -> bool:
        """Whether this counts as running there: all except CONFIGURED and stopped (H3.1).

        Stopped is `stop DONE`, and `stop PASSED` where all entries of that level are tests.
        """
        if self.state is GroupState.CONFIGURED:
            return False
        return not (self.level == "stop" and self.state in STOPPED)


class Vote(Struct, frozen=True):
    """`Mosha::Vote`: the claim this node supports for a group, and the status that showed it."""

    term: int
    node: int
    inc: int
    seq: int

    @property
    def stamp(self) -> Stamp:
        """The claimant's status on which the vote was given."""
        return Stamp(self.inc, self.seq)


class Term(Struct, frozen=True):
    """`Mosha::Term`: the highest term seen anywhere, and the highest one voted for here."""

    known: int
    voted: int = 0


class Ban(Struct, frozen=True):
    """`Mosha::Ban`: for how many more seconds this node will not take a group, and why."""

    left_s: int
    reason: str


class Grade(enum.IntEnum):
    """On what evidence a node counts as dead; the higher, the better."""

    LEASE_ELAPSED = 0  # nobody shot it: it was not heard from for T
    OPERATOR_SAID_SO = 1
    COMMAND_SAID_SO = 2  # what was run reported success, and that is all there is
    OFF_CONFIRMED = 3  # its device was asked again, and said that the power is off

    @property
    def text(self) -> str:
        """Its name in files and messages, as in `off-confirmed`."""
        return self.name.lower().replace("_", "-")


GRADES = {grade.text: grade for grade in Grade}


OPERATOR = "operator"
"""The method of the receipt that `mosha confirm` gives."""


class Receipt(Struct, frozen=True):
    """`Mosha::Fenced`: a node is known to be dead up to this incarnation, on this evidence."""

    inc: int
    method: str
    grade: Grade = Grade.COMMAND_SAID_SO

    def covers(self, inc: int, required: Grade) -> bool:
        """Say whether it proves the death of an incarnation to those who require this grade."""
        return self.inc >= inc and self.grade >= required


class ShotLine(Struct, frozen=True):
    """`Mosha::Shot`: this node shoots an incarnation of a node, is about to, or has (`fencing`)."""

    inc: int
    outcome: str


class Disarm(Struct, frozen=True):
    """`Mosha::Disarm`: no node is shot for so many seconds (0: it has ended), by whose order.

    The order with the greatest number counts; of two, that of the greater node.
    """

    node: int
    left_s: int
    reason: str


class Unended(Struct, frozen=True):
    """`Mosha::Unended`: a group that this node cannot end; `asks`: it asks to be shot for it."""

    reason: str
    asks: bool = False


class TroubleKind(enum.StrEnum):
    """What is wrong with an entry of a group."""

    UNABLE = "unable"  # its program could not be executed
    RETRYING = "retrying"  # its host could not start it, and tries again
    PAUSING = "pausing"  # it respawned too rapidly and pauses (C3.9)
    FAILING = "failing"  # it keeps failing soon after each start
    FAILED = "failed"  # it had to succeed, and the group has failed because of it
    LATE = "late"  # it does not end, and delays the level or the stop
    UNHEALTHY = "unhealthy"  # it is a monitor, and has failed several times in a row
    DEGRADED = "degraded"  # its agent says that it works, and that something is wrong with it
    UNREADY = "unready"  # it is not ready, and delays the level, or what it serves
    TIMED_OUT = "timed-out"  # it exceeded its time limit, and was or is being ended
    OUTDATED = "outdated"  # it runs with an older definition than cltab's
    STOPPED = "stopped"  # an operator has stopped it, and nothing else of its group
    OTHER = "other"  # a kind of a later version


DELIBERATE = frozenset({TroubleKind.OUTDATED, TroubleKind.STOPPED})
"""What operators have done to entries: nothing has failed, but it is not all as the tables say."""


class Trouble(Struct, frozen=True):
    """`Mosha::Entry`: an entry of a group that is in trouble on this node.

    `for_s` is how long it has been in its state; `text` is its last exit or error and the last
    line that it printed.
    """

    tag: str
    kind: TroubleKind
    restarts: int = 0
    for_s: int = 0
    text: str = ""


class Restarts(Struct, frozen=True):
    """`Mosha::Restarted`: how often a node restarted a group in place since it is claimed there.

    `age_s`: how many seconds ago it did so last, at `level`; `failed`: how many seconds ago the
    group failed before that, the oldest first, as far as hactl counts it.
    """

    count: int
    age_s: int
    level: str
    failed: tuple[int, ...] = ()
    reason: str = ""


class GaveWay(Struct, frozen=True):
    """`Mosha::GaveWay`: a group stopped on a node, last, for one of a higher priority.

    `by` is that group, `priority` what it had then, `term` that of the claim that was given up;
    `age_s`: how many seconds ago.
    """

    by: str
    priority: int
    term: int
    age_s: int = 0


class TableVersion(Struct, frozen=True):
    """`Mosha::Table`: the version of cltab or hactl in force on a node.

    Ordered by time of edit, then by digest, so that all nodes choose the same one.
    """

    mtime_ns: int
    digest: str

    @property
    def order(self) -> tuple[int, str]:
        """The sort key; the newest version has the greatest."""
        return (self.mtime_ns, self.digest)


class Verb(enum.StrEnum):
    """The orders of operators."""

    RESTART = "restart"  # stop and start a group where it runs, under its claim
    MOVE = "move"  # to a node, or away from where it runs
    CLEANUP = "cleanup"  # forget what failed, on a node or on all
    STANDBY = "standby"  # run nothing, and vote
    UNSTANDBY = "unstandby"


class EntryVerb(enum.StrEnum):
    """The orders of operators for one entry of a group, where the group runs."""

    START = "start"  # ends a stop or a pause
    STOP = "stop"  # until it is started, or its group is started anew
    RESTART = "restart"


class Order(Struct, frozen=True):
    """`Mosha::Order`: an order of the publishing node to others. `node` 0: none is named.

    With a `tag` it is for one entry, and a line of its own class (`Mosha::EntryOrder`): a version
    that does not know it must not take it for an order for the whole group.
    """

    verb: str  # a later version may have others than those of Verb and EntryVerb
    group: str = ""
    node: int = 0
    tag: str = ""


class EntryAnswer(Struct, frozen=True):
    """`Mosha::EntryAnswer`: what became of an order for an entry; `inc` is of who gave it.

    `ok`: it was carried out. `text` says more: that nothing was to be done, or why it was not.
    """

    inc: int
    ok: bool
    text: str = ""


def same(first: Mapping[K, V], second: Mapping[K, V]) -> bool:
    """Say whether two parts of statuses are equal.

    Of two successive statuses they are mostly one object, which `==` of two dicts does not look at.
    """
    return first is second or first == second


class Status(Struct, frozen=True):
    """Everything that one node publishes at one moment.

    `timeout_ms` is its T and `heartbeat_ms` how often it writes, 0 if not published; `voters` a
    digest of its configured nodes, "" if they are not configured. T and voters must be the same
    everywhere; a node that finds them different reports it, and waits for the longer T.

    `unfinished` are orders of other nodes that are being carried out here, or that this monitor
    found when it started and passed over; they do not count as obeyed although a later one does:
    (node that gave it, number) -> the incarnation of that node.

    `troubles` are entries in trouble: (group, tag) -> what is wrong. `answers` are to orders for
    entries: (node that gave it, number) -> what became of it.

    `unended` are the groups that the node cannot end, `late_kills` those that it ended too late, by
    how many milliseconds. `pills` are orders to incarnations of other nodes to end all their
    groups, `pills_obeyed` those that were obeyed here, by who gave them.

    `given_up`: how many seconds ago the node gave up a group that failed too often there, the
    oldest first, where hactl counts that. `exhausted`: groups whose failures have used up
    `on-failure=`, and why; they are stopped, and stay claimed. `restarts`: groups that were
    restarted in place because a monitor failed. `gave_way`: groups that stopped there last for one
    of a higher priority.

    `shots` are those under way; `disarms` has the order that counts, by its number; `probations`
    are nodes that may own nothing, and for how many seconds; `deaths` are nodes that were shot or
    found dead lately, and how many seconds ago. `cut_off`: its storage does not let
    this node in; older versions take that for `standby`. `capacity`: how much weight of groups the
    node takes; None: any.
    """

    node: int
    inc: int
    run: str
    boot: str
    seq: int
    state: NodeState = NodeState.UP
    version: int = 1
    quorum: bool = True
    timeout_ms: int = 0
    heartbeat_ms: int = 0
    voters: str = ""
    seen: Mapping[int, Stamp] = field(default_factory=dict)
    votes: Mapping[str, Vote] = field(default_factory=dict)
    terms: Mapping[str, Term] = field(default_factory=dict)
    claims: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, GroupLine] = field(default_factory=dict)
    bans: Mapping[str, Ban] = field(default_factory=dict)
    fenced: Mapping[int, Receipt] = field(default_factory=dict)
    tables: Mapping[str, TableVersion] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    pasts: Mapping[str, tuple[TableVersion, ...]] = field(default_factory=dict)
    orders: Mapping[int, Order] = field(default_factory=dict)
    obeyed: Mapping[int, Stamp] = field(default_factory=dict)
    unfinished: Mapping[tuple[int, int], int] = field(default_factory=dict)
    standby: bool = False
    witness: bool = False
    cut_off: bool = False
    capacity: int | None = None
    troubles: Mapping[tuple[str, str], Trouble] = field(default_factory=dict)
    answers: Mapping[tuple[int, int], EntryAnswer] = field(default_factory=dict)
    shots: Mapping[int, ShotLine] = field(default_factory=dict)
    disarms: Mapping[int, Disarm] = field(default_factory=dict)
    probations: Mapping[int, int] = field(default_factory=dict)
    deaths: Mapping[int, int] = field(default_factory=dict)
    unended: Mapping[str, Unended] = field(default_factory=dict)
    given_up: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    exhausted: Mapping[str, str] = field(default_factory=dict)
    restarts: Mapping[str, Restarts] = field(default_factory=dict)
    gave_way: Mapping[str, GaveWay] = field(default_factory=dict)
    pills: Mapping[int, int] = field(default_factory=dict)
    pills_obeyed: Mapping[int, int] = field(default_factory=dict)
    late_kills: Mapping[str, int] = field(default_factory=dict)
    leaving: Mapping[str, str] = field(default_factory=dict)

    @property
    def stamp(self) -> Stamp:
        """What orders the statuses of one node (O1)."""
        return Stamp(self.inc, self.seq)

    @property
    def timeout_s(self) -> float:
        """The T of its node in seconds, 0 if not published."""
        return self.timeout_ms / 1000

    @property
    def asks_to_be_shot(self) -> bool:
        """Whether its node cannot end a group, and asks to be shot for it (F1)."""
        return any(it.asks for it in self.unended.values())

    def troubles_of(self, group: str) -> tuple[Trouble, ...]:
        """Return what is wrong with the entries of a group on this node."""
        return tuple(trouble for (name, _), trouble in self.troubles.items() if name == group)

    def holds(self, group: str) -> bool:
        """Say whether this node claims the group or may have processes of it."""
        line = self.groups.get(group)
        return group in self.claims or (line is not None and line.active)
