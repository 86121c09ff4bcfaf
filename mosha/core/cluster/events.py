"""What an agent can be told: facts, in the past tense, and that time has passed.

Each is about this node unless it names another. Times are not in them: `Agent.handle` gets the
present moment, and remembers itself when it ordered what has ended now. What the tables are told
is in `table_events`.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.shots import FenceOrder
from mosha.core.cluster.timing import Timing
from mosha.core.replication.table_events import TableEvent
from mosha.core.status import Order, Status
from mosha.core.supervision.group_report import GroupReport

# --- the file system -------------------------------------------------------------------


class StatusRead(Struct, frozen=True):
    """The read of a node that was ordered has brought a status.

    It is the same object as before if the bytes are the same. `polled`: no events come from there.
    """

    node: int
    status: Status
    polled: bool = False


class ReadFailed(Struct, frozen=True):
    """The read of a node that was ordered has brought none, and `error` says why.

    `torn`: somebody may have been writing. `hung`: it has not ended, but has been given up.
    """

    node: int
    error: str
    polled: bool = False
    torn: bool = False
    hung: bool = False


class FileChanged(Struct, frozen=True):
    """The status of a node has changed, or whoever watches it cannot say that it has not."""

    node: int


class StatusWritten(Struct, frozen=True):
    """The status that was ordered is on the file system."""

    status: Status


class WriteFailed(Struct, frozen=True):
    """The status that was ordered could not be written, or not in time."""


class StatusSetBack(Struct, frozen=True):
    """The own status had been set back to one of an earlier life, and has been mended."""


class NamesakeFound(Struct, frozen=True):
    """Another node writes its status under the number of this one."""


class MembersFound(Struct, frozen=True):
    """These nodes exist, where no configuration names them."""

    nodes: frozenset[int]


# --- clinit ----------------------------------------------------------------------------


class GroupsReported(Struct, frozen=True):
    """Clinit has reported groups: all that it has if `full`, else those that have changed."""

    groups: tuple[GroupReport, ...] = ()
    gone: tuple[str, ...] = ()
    full: bool = False


class ClinitLost(Struct, frozen=True):
    """Clinit does not answer any more."""


class ClinitEnded(Struct, frozen=True):
    """Clinit has ended as it was ordered to."""


class TellAnswered(Struct, frozen=True):
    """The tell that was ordered for a group was answered, or there is nobody to answer it.

    `refusal` is clinit's reason, "" if it obeys.
    """

    group: str
    level: str
    refusal: str = ""


class LeasesRenewed(Struct, frozen=True):
    """The renewals that were ordered have been handed over, or there is nobody to take them."""


# --- fencing, people, time -------------------------------------------------------------


class ShotEnded(Struct, frozen=True):
    """A shot has ended: with a `receipt`, `no receipt`, or it `failed`."""

    order: FenceOrder
    outcome: str
    method: str
    detail: str = ""


class DeathConfirmed(Struct, frozen=True):
    """An operator vouches for the death of a node (`shots.confirmable` has been asked)."""

    node: int


class OrderGiven(Struct, frozen=True):
    """An operator has given an order here; its number is `MonitorState.order_number` afterwards."""

    order: Order


class FailureReported(Struct, frozen=True):
    """A watcher has found a group failed here (`orders.fail_refusal` has been asked)."""

    group: str
    reason: str


class SettingsChanged(Struct, frozen=True):
    """Settings that count at once have changed."""

    timing: Timing
    fencing: FencingRules


class LeaveAsked(Struct, frozen=True):
    """This node shall leave in an orderly way."""


class TimePassed(Struct, frozen=True):
    """What is due is to be done; `chance` in [0, 1) spreads the back-offs of several nodes."""

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
    | LeasesRenewed
    | ShotEnded
    | DeathConfirmed
    | OrderGiven
    | FailureReported
    | SettingsChanged
    | LeaveAsked
    | TimePassed
)
