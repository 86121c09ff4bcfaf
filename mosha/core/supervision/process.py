"""One entry of a group: started, respawned, stopped, as a machine without a clock.

The rules of this file (catalogue C3, C6; docs/explanation/architecture.md):

- A run has a number that is unique for the entry; an answer with another number is late and is
  dropped.
- A respawn entry is restarted at once, unless it was restarted too often (C3.9); what its dead
  leader left in its session is ended first.
- What the host could not start has not failed: it is tried again each second, whatever its mode;
  this counts neither as a run nor for the throttle.
- A run that exceeds its time limit is ended as by a stop, and counts as failed; so does one of a
  respawn entry that is not ready in time (`ready=`, `start=`), which is then started again.
- An agent that says that it cannot run its service here has failed, and is not started again.
- What a wrapper that was killed has left of an agent's service is stopped by the next wrapper.
- An agent that cannot stop its service is started again when all processes of the entry are ended:
  a service that is frozen, whose wrapper was killed, hinders each next one, and no agent ends it.
  So is one whose wrapper was killed before it was ready: its start may still run.
- A monitor is run again and again, `interval` from start to start. As many failures in a row as its
  option says are one failure of its group, and so are as many more.
- An agent, a unit or an address that has ended waits for its turn, which its group gives it: not
  while the group is stopping. One that fails after it was ready is `lost` until it is ready again:
  what comes after it is stopped first (`lost_entries`).
- A stop sends INT, TERM and KILL in turn and repeats KILL as long as anything is alive. Only time
  moves it on: no second stop, and no other exit (C6.7, C6.8).
- "Ended" means that no process of the entry is left, not that its leader is dead.
- An operator can stop, start and restart an entry by itself. That is no failure and not the work of
  the throttle: the entry starts afresh. What its group orders comes first: an entry that the group
  ends is not started again by an operator's order.
"""

from __future__ import annotations

from msgspec.structs import replace

from mosha.core.escalation import Limits
from mosha.core.supervision import ending
from mosha.core.supervision.failures import Severity
from mosha.core.supervision.process_events import (
    AlarmRang,
    BecameReady,
    Effect,
    Emptied,
    Event,
    Exit,
    Exited,
    Failing,
    Healthy,
    KillAsked,
    Ready,
    RestartOrdered,
    Retried,
    Scope,
    Spawn,
    Spawned,
    SpawnFailed,
    SpawnPrevented,
    Started,
    StartOrdered,
    StopAsked,
    StopOrdered,
    Throttled,
    Unhealthy,
)
from mosha.core.supervision.process_record import (
    Process,
    Then,
    afresh,
    failed,
    noted,
    rested,
    with_obeyed,
)
from mosha.core.supervision.process_table import ENDING, TABLE, EntryTrigger, ProcessState
from mosha.core.tables import Mode
from mosha.errors import BugError

# --- the machine ---------------------------------------------------------------------


def advance(
    process: Process, event: Event, now: float, limits: Limits
) -> tuple[Process, tuple[Effect, ...]]:
    """Return the entry after the event, and the effects.

    Late answers and alarms before `due` change nothing.

    Raises:
        BugError: the event cannot happen in this state.
    """
    if _is_late(process, event):
        return process, ()
    before, process = process, noted(process, event, now)
    trigger = _read(process, event, now, limits)
    if trigger is None:
        return with_obeyed(before, process, event), ()
    state = TABLE.get((process.state, trigger))
    if state is None:
        raise BugError(f"{trigger} by {event} at {now} has no row for {process}")
    process, effects = _enter(process, state, trigger, now, limits)
    process = with_obeyed(before, process, event)
    if _is_news(before, process):
        process = replace(process, since=now)
    if isinstance(event, SpawnPrevented) and process.state in _PREVENTED_IN:
        again = before.prevented and before.error == event.reason
        effects = effects if again else (Retried(process.entry, event.reason), *effects)
    return process, (*effects, *_health(before, process))


def _health(before: Process, process: Process) -> tuple[Effect, ...]:
    """Return what the end of a run of a monitor says of its group, if it is news."""
    most, stopping = process.entry.failures_max, process.state is ProcessState.STOPPING
    if not most or stopping or before.failures == process.failures:
        return ()
    if process.failures and process.failures % most == 0:
        return (Unhealthy(process.entry, process.failures),)
    well = process.failures == 0 and before.failures >= most
    return (Healthy(process.entry),) if well else ()


_PREVENTED_IN = (ProcessState.RETRYING, ProcessState.CLEARING)


def _is_news(before: Process, process: Process) -> bool:
    """Say whether state or run changed; attempts without a process are one long state."""
    changed = (process.state, process.run) != (before.state, before.run)
    return changed and not (before.prevented and process.prevented)


def _is_late(process: Process, event: Event) -> bool:
    match event:
        case Spawned(run) | SpawnFailed(run) | SpawnPrevented(run) | Exited(run):
            return run != process.run or not process.leader
        case BecameReady(run):
            running = process.state is ProcessState.RUNNING and process.leader
            return run != process.run or not running or process.ready
        case Failing(run):
            running = process.state is ProcessState.RUNNING and process.leader
            return run != process.run or not running or not process.entry.wrapped
        case Emptied(run, scope):
            return run != process.run or process.leader or scope is not _awaited(process)
        case StopOrdered(order) | StartOrdered(order) | RestartOrdered(order):
            ended = process.state is ProcessState.STOPPING and process.then is Then.WAIT
            return ended or order in process.ordered or order in process.obeyed
    return False


def _awaited(process: Process) -> Scope | None:
    if process.state is ProcessState.CLEARING:
        return ending.cleared(process)
    return Scope.ENTRY if process.state in ENDING else None


_MEANINGS: dict[type, EntryTrigger] = {
    Started: EntryTrigger.START,
    BecameReady: EntryTrigger.READY,
    StopAsked: EntryTrigger.STOP,
    KillAsked: EntryTrigger.KILL,
    StopOrdered: EntryTrigger.STOP_ORDERED,
    StartOrdered: EntryTrigger.START_ORDERED,
    RestartOrdered: EntryTrigger.RESTART_ORDERED,
}


def _read(process: Process, event: Event, now: float, limits: Limits) -> EntryTrigger | None:
    match event:
        case AlarmRang():
            if process.due is None or now < process.due:
                return None
            if process.state is ProcessState.RUNNING:
                return EntryTrigger.TIME_OUT
            again = process.state in (ProcessState.PAUSING, ProcessState.RETRYING)
            return EntryTrigger.TURN if again and process.entry.wrapped else EntryTrigger.ALARM
        case Emptied():
            if process.state in ENDING:
                return _when_gone(process, limits)
            return EntryTrigger.RETRY if process.prevented else _after_death(process, limits)
        case SpawnFailed(run, _, left):
            return _read_end(process, Exited(run, Exit(127), elsewhere=left), limits)
        case SpawnPrevented(_, _, lost, left):
            if process.state is ProcessState.STOPPING:
                return EntryTrigger.LEADER_DEAD if lost or left else _when_gone(process, limits)
            return EntryTrigger.LOSE if lost else EntryTrigger.RETRY
        case Exited():
            return _read_end(process, event, limits)
    return _meaning(process, event)


_UNDOES: dict[type, EntryTrigger] = {
    StopAsked: EntryTrigger.UNDO,
    StopOrdered: EntryTrigger.UNDO_ORDERED,
}


_UNDONE_IN = (
    ProcessState.WAITING,
    ProcessState.STOPPED,
    ProcessState.PAUSING,
    ProcessState.RETRYING,
)


def _meaning(process: Process, event: Event) -> EntryTrigger | None:
    if isinstance(event, RestartOrdered) and event.in_turn:
        return None
    undoes = process.unattended and process.state in _UNDONE_IN
    usual = _MEANINGS.get(type(event))
    return _UNDOES.get(type(event), usual) if undoes else usual


def _read_end(process: Process, event: Exited, limits: Limits) -> EntryTrigger:
    if process.state in ENDING:
        left = event.in_session or event.elsewhere
        return EntryTrigger.LEADER_DEAD if left else _when_gone(process, limits)
    if process.entry.respawns:
        left = event.in_session or (process.unstopped and event.elsewhere)
        return EntryTrigger.CLEAR if left else _after_death(process, limits)
    if process.entry.mode is Mode.TEST:
        return EntryTrigger.PASS if event.exit.well else EntryTrigger.FAIL
    return EntryTrigger.FINISH


def _when_gone(process: Process, limits: Limits) -> EntryTrigger:
    """Return the trigger for "nothing is left" of what was being ended."""
    if process.state is ProcessState.STOPPING:
        return _GONE[process.then]
    if process.entry.respawns:
        return _after_death(process, limits)
    return EntryTrigger.FAIL if process.entry.mode is Mode.TEST else EntryTrigger.FINISH


_GONE = {
    Then.WAIT: EntryTrigger.GONE,
    Then.STAY: EntryTrigger.GONE_FOR_GOOD,
    Then.START: EntryTrigger.GONE_TO_START,
}


def _after_death(process: Process, limits: Limits) -> EntryTrigger:
    if process.entry.mode is Mode.MONITOR:
        return EntryTrigger.REST
    if process.severity is not Severity.SOFT:
        return EntryTrigger.FAIL
    if process.rapid_restarts > limits.haste_max:
        return EntryTrigger.PAUSE
    return EntryTrigger.TURN if process.entry.wrapped else EntryTrigger.RESPAWN


def _enter(
    process: Process, state: ProcessState, trigger: EntryTrigger, now: float, limits: Limits
) -> tuple[Process, tuple[Effect, ...]]:
    stays = state is process.state and state is not ProcessState.STOPPING
    if stays and trigger is EntryTrigger.START_ORDERED:
        return replace(process, rapid_restarts=0), ()
    match state, trigger:
        case ProcessState.RUNNING, EntryTrigger.READY:
            after_s = now - (process.last_start if process.last_start is not None else now)
            return replace(process, due=None), (Ready(process.entry, after_s),)
        case ProcessState.RUNNING, _:
            process = afresh(process) if trigger in _AFRESH else process
            run = process.run + (trigger is not EntryTrigger.START)
            return _run(replace(process, run=run), now, limits)
        case ProcessState.PAUSING, _:
            until = now + limits.pause_s
            process = process if process.failures else failed(process, now)
            process = replace(process, state=state, due=until)
            return process, (Throttled(process.entry, until),)
        case ((ProcessState.RETRYING | ProcessState.IDLE), _):
            return replace(process, state=state, due=_again_at(process, state, now, limits)), ()
        case ProcessState.CLEARING, _:
            return ending.clear(process, trigger, now, limits)
        case ProcessState.STOPPING, trigger if trigger in ending.THEN:
            return ending.stop(process, trigger, now, limits)
        case ProcessState.TIMED_OUT, EntryTrigger.TIME_OUT:
            return ending.time_out(process, now, limits)
        case ProcessState.STOPPING | ProcessState.TIMED_OUT, EntryTrigger.ALARM:
            return ending.signal(process, now, limits)
        case ProcessState.STOPPING | ProcessState.TIMED_OUT, EntryTrigger.LEADER_DEAD:
            return ending.leader_gone(process, now, limits)
        case ((ProcessState.WAITING | ProcessState.STOPPED), _):
            # The throttle goes on while it waits for its turn.
            process = process if trigger is EntryTrigger.TURN else rested(process)
            process = replace(process, state=state, due=None, escalation_step=0)
            return replace(process, then=Then.WAIT), ()
    return replace(process, state=state, due=None), ()


def _again_at(process: Process, state: ProcessState, now: float, limits: Limits) -> float:
    if state is ProcessState.RETRYING or process.last_start is None:
        return now + limits.retry_s
    return max(now, process.last_start + process.entry.interval_s)


_AFRESH = (
    EntryTrigger.GONE_TO_START,
    EntryTrigger.START_ORDERED,
    EntryTrigger.RESTART_ORDERED,
)


def _run(process: Process, now: float, limits: Limits) -> tuple[Process, tuple[Effect, ...]]:
    rapid_restarts = process.rapid_restarts
    if process.last_start is not None:
        since_s = now - process.last_start
        rapid_restarts += (since_s < limits.haste_s) - (since_s > limits.haste_s)
    limit_s = process.entry.limit_s
    process = replace(
        process,
        state=ProcessState.RUNNING,
        leader=True,
        ready=not process.entry.awaited,
        starts=process.starts + 1,
        last_start=now,
        rapid_restarts=max(0, rapid_restarts),
        escalation_step=0,
        due=None if limit_s is None else now + limit_s,
        timed_out=False,
        severity=Severity.SOFT,
        unstopped=False,
    )
    return process, (Spawn(process.entry, process.run),)
