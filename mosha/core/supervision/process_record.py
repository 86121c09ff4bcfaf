"""An entry of a group as its machine has it, and what is noted of its runs and orders.

`process` is the machine: what an event does to an entry. Here is what an event says about it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.supervision.failures import (
    DAEMONIZED_S,
    Severity,
    in_a_row,
    is_unstopped,
    remembered,
    severity_of,
)
from mosha.core.supervision.process_events import (
    BecameReady,
    Event,
    Exited,
    Failing,
    RestartOrdered,
    Spawned,
    SpawnFailed,
    SpawnPrevented,
    Started,
    StartOrdered,
    StopOrdered,
)
from mosha.core.supervision.process_table import LIVE, ProcessState
from mosha.core.tables import Entry, Mode

ORDERS_REMEMBERED_MAX = 16
"""So many operators' orders of an entry are remembered as carried out, and so many can wait."""


class Then(enum.Enum):
    """What follows when an entry that is being stopped has ended."""

    WAIT = enum.auto()  # for its group: the group has ended it
    STAY = enum.auto()  # stopped, as an operator ordered
    START = enum.auto()  # again, as an operator ordered


class Process(Struct, frozen=True):
    """An entry of a group and its state.

    `run` is the number of its last run, `escalation_step` how many signals its stop has sent, `due`
    when time moves it on, `rapid_restarts` the respawn counter of C3.9, `leader` whether the run's
    leader is alive, `ready` whether the run counts as started. `then` belongs to STOPPING;
    `ordered` are operators' orders that wait to be carried out, `obeyed` the last ones that were.

    For reports: `since` is when the state or the run last changed; `exit`, `said` are of the last
    run that ended; `error` is why the last run could not be executed, "" if it was; `failures`
    counts the consecutive runs that failed within `failures.STEADY_S` of their start; `daemonized`
    those of a respawn entry that ended well within `DAEMONIZED_S` and left processes: they went
    into the background; `timed_out`: the last run exceeded its time limit; `prevented`: the host
    could not start it. `failed_at` lists the recent failures of a respawn entry: a run failed, or
    the entry had to pause although its runs succeeded. `severity` is how grave the end of the last
    run was: what is not soft is not started again. `unstopped`: it was of an agent that could not
    stop its service, or was killed before it was ready: its processes are ended before the next
    run. `unattended`: a wrapper was killed, or has failed to stop for an operator; its
    service, which may be there, is stopped by the next one, or before what comes before it. `lost`:
    an agent, a unit or an address has failed and is not ready again; `asks`: its run waits for
    SIGTERM before it stops. `succeeded`: a run of it has, since its group came to its level.
    """

    entry: Entry
    state: ProcessState = ProcessState.WAITING
    run: int = 0
    pid: int = 0
    leader: bool = False
    ready: bool = False
    starts: int = 0
    last_start: float | None = None
    rapid_restarts: int = 0
    escalation_step: int = 0
    due: float | None = None
    exit: str = ""
    since: float | None = None
    said: str = ""
    error: str = ""
    failures: int = 0
    daemonized: int = 0
    timed_out: bool = False
    prevented: bool = False
    failed_at: tuple[float, ...] = ()
    severity: Severity = Severity.SOFT
    unstopped: bool = False
    unattended: bool = False
    succeeded: bool = False
    lost: bool = False
    asks: bool = False
    then: Then = Then.WAIT
    ordered: tuple[str, ...] = ()
    obeyed: tuple[str, ...] = ()

    @property
    def awaited(self) -> bool:
        """Whether it is not ready, and what comes after it waits until it is."""
        return self.entry.awaited and not self.ready

    @property
    def may_live(self) -> bool:
        """Whether anything of it may be there that has to be stopped."""
        idle = self.state in (ProcessState.WAITING, ProcessState.STOPPED)
        return self.state in LIVE or (idle and self.unattended)

    @property
    def in_vain(self) -> bool:
        """Whether it is an agent that cannot run its service here: what comes next needs it."""
        return self.state is ProcessState.FAILED and self.severity is not Severity.SOFT

    @property
    def held(self) -> bool:
        """Whether it has been stopped by an operator, or is being stopped to stay so."""
        stopping = self.state is ProcessState.STOPPING and self.then is Then.STAY
        return stopping or self.state is ProcessState.STOPPED

    @property
    def restarting(self) -> bool:
        """Whether it is being stopped to be started again, as an operator ordered."""
        return self.state is ProcessState.STOPPING and self.then is Then.START


ATTENDED = (Mode.OCF, Mode.SYSTEMD)
"""The modes whose processes attend to a service that outlives them."""


def new_process(entry: Entry) -> Process:
    """Return an entry that waits to be started, or is off (C3.12)."""
    return Process(entry, ProcessState.OFF if entry.mode is Mode.OFF else ProcessState.WAITING)


def with_options_of(
    entries: tuple[Entry, ...], known: Mapping[str, Process]
) -> Mapping[str, Process]:
    """Adopt new options for entries whose definition is unchanged: a stop uses the current ones."""
    defined = {entry.tag: entry for entry in entries}
    return {
        tag: replace(process, entry=replace(process.entry, options=defined[tag].options))
        if tag in defined and is_run_as(process, defined[tag])
        else process
        for tag, process in known.items()
    }


def is_run_as(process: Process, defined: Entry) -> bool:
    """Say whether what runs also matches `defined`; a run that is awaited, also by what."""
    same = process.entry.definition == defined.definition
    ready = process.entry.options.ready == defined.options.ready
    return same and (ready or not process.awaited)


def noted(process: Process, event: Event, now: float) -> Process:
    """Return the entry with what an event says about its run, or orders; its state stays."""
    match event:
        case Started(run):
            return replace(process, run=run)
        case Spawned(_, pid):
            return replace(process, pid=pid, error="", prevented=False)
        case BecameReady():
            return replace(process, ready=True, lost=False, unattended=False)
        case Failing():
            return replace(process, ready=False, lost=True, asks=True)
        case SpawnPrevented(_, reason):
            return _unstarted(process, reason)
        case SpawnFailed() | Exited() if process.timed_out:  # however it ends, it took too long
            process = _counted(process, now, well=False)
            return replace(_without_leader(process), said=_said(event))
        case SpawnFailed(_, reason):
            process = _without_leader(_counted(process, now, well=False))
            return replace(process, exit=reason, said="", error=reason, prevented=False)
        case Exited(_, ended, _, _, said):
            daemonized = process.daemonized + 1 if _daemonized(process, event, now) else 0
            running = process.state is ProcessState.RUNNING
            early = process.awaited and running and not process.asks
            lost = process.lost or (running and process.ready and process.entry.wrapped)
            process = _counted(process, now, well=ended.well and not early)
            text = f"{ended} before it was ready" if early else str(ended)
            if running:
                mode, code = process.entry.mode, ended.code
                severity = severity_of(mode, code)
                unstopped = is_unstopped(mode, code, early=early)
                lost = lost and severity is Severity.SOFT  # else its group fails
                process = replace(process, severity=severity, unstopped=unstopped, lost=lost)
            cut = (running and ended.code < 0) or (process.held and not ended.well)
            left = cut and process.entry.mode in ATTENDED
            process = replace(process, unattended=left, exit=text, said=said)
            return replace(_without_leader(process), daemonized=daemonized)
        case RestartOrdered(order, in_turn=True):
            gone = replace(afresh(process), ready=False, lost=True, asks=True)
            return replace(gone, ordered=(*process.ordered, order)[-ORDERS_REMEMBERED_MAX:])
        case StopOrdered(order) | StartOrdered(order) | RestartOrdered(order):
            waiting = (*process.ordered, order)[-ORDERS_REMEMBERED_MAX:]
            return replace(process, ordered=waiting)
    return process


_NOT_YET = (ProcessState.STOPPING, ProcessState.WAITING, ProcessState.CLEARING)
"""The states in which operators' orders wait."""


def with_obeyed(before: Process, process: Process, event: Event) -> Process:
    """Return the entry after an event, with the operators' orders that are carried out now."""
    if not process.ordered or _is_under_way(before, process, event):
        return process
    obeyed = (*process.obeyed, *process.ordered)[-ORDERS_REMEMBERED_MAX:]
    return replace(process, ordered=(), obeyed=obeyed)


def _is_under_way(before: Process, process: Process, event: Event) -> bool:
    """Say whether operators' orders are not carried out yet: a start not before it is ready.

    One that could not be started has an `error`, and one that ended before it was ready an `exit`:
    that is the answer, though it is tried again.
    """
    ended = isinstance(event, Exited) and before.state is ProcessState.RUNNING and before.awaited
    running = process.state is ProcessState.RUNNING and process.leader
    unstarted = running and (not process.pid or process.awaited)
    answered = isinstance(event, SpawnFailed) or ended
    return process.state in _NOT_YET or (unstarted and not answered)


def _unstarted(process: Process, reason: str) -> Process:
    """Return the entry without its last run, which does not count as one."""
    ended = "" if process.timed_out else process.exit
    return replace(
        _without_leader(process),
        starts=process.starts - 1,
        last_start=None,
        exit=ended,
        error=reason,
        timed_out=False,
        prevented=True,
    )


def _without_leader(process: Process) -> Process:
    return replace(process, leader=False, pid=0, ready=False, asks=False)


def _said(event: SpawnFailed | Exited) -> str:
    return event.said if isinstance(event, Exited) else ""


def _counted(process: Process, now: float, *, well: bool) -> Process:
    """Count the end of a run if it is a failure; a run that was being stopped is not."""
    if well or process.state is ProcessState.STOPPING:
        return replace(process, failures=0, succeeded=process.succeeded or well)
    if most := process.entry.failures_max:
        process = replace(process, failures=process.failures + 1)
        return failed(process, now) if process.failures % most == 0 else process
    process = replace(process, failures=in_a_row(process.failures, process.last_start, now))
    return failed(process, now) if process.entry.respawns else process


def _daemonized(process: Process, event: Exited, now: float) -> bool:
    """Say whether a run went into the background, where clinit cannot see it end."""
    soon = process.last_start is not None and now - process.last_start < DAEMONIZED_S
    ended = event.exit.well and process.state is ProcessState.RUNNING
    left = event.in_session or event.elsewhere
    return process.entry.mode is Mode.RESPAWN and soon and ended and left


def failed(process: Process, now: float) -> Process:
    """Return the entry with one more recent failure."""
    return replace(process, failed_at=remembered(process.failed_at, now))


def rested(process: Process) -> Process:
    """Return the entry without the counter of C3.9: leaving resets it (C3.11)."""
    process = replace(process, rapid_restarts=0, last_start=None, failed_at=(), succeeded=False)
    return replace(process, error="", prevented=False) if process.prevented else process


def afresh(process: Process) -> Process:
    """Return an entry that an operator starts as if it had never run: it has no failures."""
    process = replace(rested(process), then=Then.WAIT, lost=False)
    return replace(process, starts=0, failures=0, daemonized=0, error="")
