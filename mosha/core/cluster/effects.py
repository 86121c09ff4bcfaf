"""The effects of an agent: the shell carries out each at once, in order, and decides nothing.

A tell (`core.tell.Tell`), a shot (`shots.FenceOrder`) and a log line (`state.LogRecord`) are
effects too. Those that have an outcome are answered by one event each: a read by `StatusRead` or
`ReadFailed`, a write by `StatusWritten` or `WriteFailed`, a tell by `TellAnswered`, an
order for an entry by `EntryOrderAnswered`, renewals by
`LeasesRenewed`, a shot by `ShotEnded`, the end of clinit by `ClinitEnded`. The work on tables is
in `table_effects`.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.cluster.fencing import FenceOrder
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.node import Renewal
from mosha.core.cluster.state import LogRecord
from mosha.core.replication.table_effects import TableEffect
from mosha.core.status import Status
from mosha.core.tell import EntryOrder, Tell


class ReadStatus(Struct, frozen=True):
    """Read the status of a node; give up after `limit_s`."""

    node: int
    limit_s: float


class WriteStatus(Struct, frozen=True):
    """Write `memory` to the local disk if it is not there, then write the status (V4b)."""

    status: Status
    memory: Memory


class RenewLeases(Struct, frozen=True):
    """Send clinit these deadlines; with none, check that it answers."""

    renewals: tuple[Renewal, ...]


class WatchNodes(Struct, frozen=True):
    """Watch the files of these nodes from now on, and no others."""

    nodes: frozenset[int]


class LookAround(Struct, frozen=True):
    """A heartbeat has passed: check what is watched."""


class HurryWatch(Struct, frozen=True):
    """For a moment, deliver file events at once, whatever they cost."""


class FeedWatchdog(Struct, frozen=True):
    """A publication is over, well or not: tell the service manager that this process is alive."""


class Announce(Struct, frozen=True):
    """Something that followers of the report may see has changed."""


class EndClinit(Struct, frozen=True):
    """No process of any group is left here: end clinit."""


class EndMonitor(Struct, frozen=True):
    """Everything is done: end. `stranded`: it is not known whether something still runs here."""

    stranded: bool = False


Effect = (
    ReadStatus
    | WriteStatus
    | Tell
    | EntryOrder
    | RenewLeases
    | FenceOrder
    | LogRecord
    | TableEffect
    | WatchNodes
    | LookAround
    | HurryWatch
    | FeedWatchdog
    | Announce
    | EndClinit
    | EndMonitor
)
