"""The events of an agent: facts, in the past tense, and that time has passed.

Each is about this node unless it names another. Times are not in them: `Agent.handle` gets the
present moment, and remembers itself when it ordered what has ended now. What the tables are told
is in `table_events`.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.timing import Timing
from mosha.core.replication.table_events import TableEvent
from mosha.core.status import Grade, Order, Status
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import EntryOrder

# --- the file system -------------------------------------------------------------------


class StatusRead(Struct, frozen=True):
    """An ordered read of a node's status succeeded.

    `status` is the same object as before if the bytes are the same. `polled`: the file sends no
    change events.
    """

    node: int
    status: Status
    polled: bool = False


class ReadFailed(Struct, frozen=True):
    """An ordered read of a node's status failed; `error` says why.

    `torn`: it may have been written meanwhile. `hung`: it has not ended, but was abandoned.
    """

    node: int
    error: str
    polled: bool = False
    torn: bool = False
    hung: bool = False


class FileChanged(Struct, frozen=True):
    """The status file of a node has changed, or may have."""

    node: int


class StatusWritten(Struct, frozen=True):
    """The ordered status is on the file system."""

    status: Status


class WriteFailed(Struct, frozen=True):
    """The ordered status could not be written, or not in time."""


class StatusSetBack(Struct, frozen=True):
    """This node's status had been set back to one of an earlier run, and has been replaced."""


class NamesakeFound(Struct, frozen=True):
    """Another node writes its status under this node's number."""


class MembersFound(Struct, frozen=True):
    """These nodes exist; used where no configuration names the nodes."""

    nodes: frozenset[int]


# --- clinit ----------------------------------------------------------------------------


class GroupsReported(Struct, frozen=True):
    """clinit has reported groups: all of them if `full`, else those that have changed."""

    groups: tuple[GroupReport, ...] = ()
    gone: tuple[str, ...] = ()
    full: bool = False


class ClinitLost(Struct, frozen=True):
    """clinit no longer answers."""


class ClinitEnded(Struct, frozen=True):
    """clinit has ended as ordered."""


class TellAnswered(Struct, frozen=True):
    """The tell for a group was answered, or there is no clinit to answer it.

    `refusal` is clinit's reason, "" if it obeys.
    """

    group: str
    level: str
    refusal: str = ""


class EntryOrderAnswered(Struct, frozen=True):
    """clinit has replied to an order for an entry; `ok` None: there is no clinit to reply."""

    order: EntryOrder
    ok: bool | None
    text: str = ""


class LeasesRenewed(Struct, frozen=True):
    """The ordered renewals have been sent, or there is no clinit to send them to."""


# --- fencing, people, time -------------------------------------------------------------


class MethodBegun(Struct, frozen=True):
    """A shot has come to a method, or a level of methods; `detail` is what failed before it."""

    order: FenceOrder
    method: str
    detail: str = ""


class ShotEnded(Struct, frozen=True):
    """A shot has ended: with a `receipt` as required, `no receipt`, or it `failed`.

    `grade` is that of its receipt; one that failed may have one of a lower grade than required, or
    none, and all the same have switched something off (`may_be_off`).
    """

    order: FenceOrder
    outcome: str
    method: str
    detail: str = ""
    grade: Grade = Grade.LEASE_ELAPSED
    may_be_off: bool = False

    @property
    def counts(self) -> bool:
        """Whether it counts for the budget: somebody may have been shot."""
        return self.outcome != "failed" or self.grade > Grade.LEASE_ELAPSED or self.may_be_off


class FenceAsked(Struct, frozen=True):
    """An operator orders a node to be shot (`shots.fenceable` was checked before)."""

    node: int


class FenceWithdrawn(Struct, frozen=True):
    """Whoever ordered a node to be shot has gone, or waits no longer: it is not begun any more."""

    node: int


class PillOrdered(Struct, frozen=True):
    """A shot by poison pill has begun: an incarnation of a node is to end all its groups (F2)."""

    node: int
    inc: int


class PillWithdrawn(Struct, frozen=True):
    """A shot by poison pill has ended, in whatever way."""

    node: int


class DisarmAsked(Struct, frozen=True):
    """An operator disarms all nodes for so many seconds, 0: arms them again."""

    for_s: float
    reason: str


class StorageAnswered(Struct, frozen=True):
    """The storage has said whether this node may use it; `refusal`: why not, "" if so.

    `doubt` is the number of the doubt that it was asked for, `MonitorState.storage_doubts`.
    """

    doubt: int
    refusal: str = ""


class DeathConfirmed(Struct, frozen=True):
    """An operator confirmed the death of a node (`shots.confirmable` was checked before)."""

    node: int


class OrderGiven(Struct, frozen=True):
    """An operator gave an order here; its number is `MonitorState.order_number` afterwards."""

    order: Order


class FailureReported(Struct, frozen=True):
    """A watcher reported that a group failed here (`orders.fail_refusal` was checked before)."""

    group: str
    reason: str


class SettingsChanged(Struct, frozen=True):
    """Settings that apply at once have changed."""

    timing: Timing
    fencing: FencingRules
    capacity: int | None = None


class LeaveAsked(Struct, frozen=True):
    """This node was asked to leave in an orderly way."""


class TimePassed(Struct, frozen=True):
    """Time has passed: do what is due; `chance` in [0, 1) spreads the back-offs of nodes."""

    chance: float


Event = (
    StatusRead
    | ReadFailed
    | FileChanged
    | StatusWritten
    | WriteFailed
    | StatusSetBack
    | NamesakeFound
    | MembersFound
    | TableEvent
    | GroupsReported
    | ClinitLost
    | ClinitEnded
    | TellAnswered
    | EntryOrderAnswered
    | LeasesRenewed
    | MethodBegun
    | ShotEnded
    | StorageAnswered
    | DeathConfirmed
    | FenceAsked
    | FenceWithdrawn
    | PillOrdered
    | PillWithdrawn
    | DisarmAsked
    | OrderGiven
    | FailureReported
    | SettingsChanged
    | LeaveAsked
    | TimePassed
)
