"""The events and effects of an entry: the interface of `core.supervision.process`.

Events are facts reported by the code that runs the processes; effects are orders to it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from msgspec import Struct

from mosha.core.status import EntryVerb
from mosha.core.tables import Entry


class Scope(enum.StrEnum):
    """How much of an entry is meant."""

    LEADER = "leader"  # the run's leader alone
    SESSION = "session"  # the session of the run's leader
    ENTRY = "entry"  # that, and everything the entry's processes started elsewhere


class Exit(Struct, frozen=True):
    """How a process ended: an exit code, or a negative signal number."""

    code: int

    @property
    def well(self) -> bool:
        """Whether it is a success; an end by a signal never is (C3.3)."""
        return self.code == 0

    def __str__(self) -> str:
        """Return `exit 3` or `signal 9`."""
        return f"exit {self.code}" if self.code >= 0 else f"signal {-self.code}"


# --- events --------------------------------------------------------------------------


class Started(Struct, frozen=True):
    """The entry is to start; the run gets this number, respawns count on from it."""

    run: int


class Spawned(Struct, frozen=True):
    """The run has a process."""

    run: int
    pid: int


class SpawnFailed(Struct, frozen=True):
    """The command cannot be executed, for this reason (`cannot execute: …`).

    `left`: processes of earlier runs are alive.
    """

    run: int
    reason: str
    left: bool = False


class SpawnPrevented(Struct, frozen=True):
    """The host could not start the run: the command was not executed.

    `lost`: it is not known whether there is a process; if there is, it was sent SIGKILL. `left`:
    processes of earlier runs are alive.
    """

    run: int
    reason: str
    lost: bool = False
    left: bool = False


class Exited(Struct, frozen=True):
    """The run's leader ended, and left processes in its session, or elsewhere, or none.

    `said` is the last line that the run printed.
    """

    run: int
    exit: Exit
    in_session: bool = False
    elsewhere: bool = False
    said: str = ""


class BecameReady(Struct, frozen=True):
    """The run is ready: from now on it counts as started."""

    run: int


class Failing(Struct, frozen=True):
    """The service of the run has failed, or is being stopped: its process waits for SIGTERM."""

    run: int


class Emptied(Struct, frozen=True):
    """No process of the run is left in this scope."""

    run: int
    scope: Scope


class StopAsked(Struct, frozen=True):
    """End the entry in an orderly way."""


class KillAsked(Struct, frozen=True):
    """End the entry at once (`kill_at`)."""


class StopOrdered(Struct, frozen=True):
    """An operator wants the entry ended, and not started again; `order` identifies the order."""

    order: str


class StartOrdered(Struct, frozen=True):
    """An operator wants the entry to run, whatever keeps it from that."""

    order: str


class RestartOrdered(Struct, frozen=True):
    """An operator wants the entry ended and started anew; `in_turn`: when its users are gone."""

    order: str
    in_turn: bool = False


ORDERED: Mapping[EntryVerb, Callable[[str], StopOrdered | StartOrdered | RestartOrdered]] = {
    EntryVerb.START: StartOrdered,
    EntryVerb.STOP: StopOrdered,
    EntryVerb.RESTART: RestartOrdered,
}
"""What an operator says of an entry -> the event, which is made with the order's name."""


class AlarmRang(Struct, frozen=True):
    """Time has passed; `due` may or may not have come."""


Event = (
    Started
    | Spawned
    | SpawnFailed
    | SpawnPrevented
    | Exited
    | BecameReady
    | Failing
    | Emptied
    | StopAsked
    | KillAsked
    | StopOrdered
    | StartOrdered
    | RestartOrdered
    | AlarmRang
)

# --- effects -------------------------------------------------------------------------


class Spawn(Struct, frozen=True):
    """Start a run; answer with Spawned, SpawnFailed or SpawnPrevented, later with Exited."""

    entry: Entry
    run: int


class Signal(Struct, frozen=True):
    """Send a signal (`INT`, `TERM`, `KILL`) to all processes of a run in this scope."""

    entry: Entry
    run: int
    signal: str
    scope: Scope


class Watch(Struct, frozen=True):
    """Answer with Emptied as soon as no process of the run is left in this scope."""

    entry: Entry
    run: int
    scope: Scope


class Throttled(Struct, frozen=True):
    """Report that the entry respawns too rapidly and pauses until then (C3.9)."""

    entry: Entry
    until: float


class Retried(Struct, frozen=True):
    """Report that the host could not start the entry, why, and that it is tried again."""

    entry: Entry
    reason: str


class TimedOut(Struct, frozen=True):
    """Report that the entry exceeded its time limit (seconds) and is being ended."""

    entry: Entry
    limit_s: float


class Ready(Struct, frozen=True):
    """Report that a run of the entry is ready, and how many seconds after its start."""

    entry: Entry
    after_s: float


class NotReady(Struct, frozen=True):
    """Report that a run was not ready within its limit (seconds) and is being ended."""

    entry: Entry
    limit_s: float


class Unhealthy(Struct, frozen=True):
    """Report that a monitor has failed so often in a row: a failure of its group."""

    entry: Entry
    failures: int


class Healthy(Struct, frozen=True):
    """Report that a monitor that had reported its group unhealthy has succeeded."""

    entry: Entry


Report = Throttled | Retried | TimedOut | Ready | NotReady | Unhealthy | Healthy
"""What is reported and asks for nothing."""

Effect = Spawn | Signal | Watch | Report
