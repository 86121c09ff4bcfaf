"""How the processes of an entry are ended, step by step; part of the machine in `process`."""

from __future__ import annotations

from msgspec.structs import replace

from mosha.core.escalation import KILL, Limits, kill_rung, ladder_step
from mosha.core.supervision.process_events import (
    Effect,
    NotReady,
    Scope,
    Signal,
    Spawn,
    TimedOut,
    Watch,
)
from mosha.core.supervision.process_record import Process, Then
from mosha.core.supervision.process_table import ENDING, EntryTrigger, ProcessState
from mosha.core.tables import Mode


def cleared(process: Process) -> Scope:
    """Return the scope to clear; the session of an unknown process is not known."""
    return Scope.ENTRY if process.prevented or process.unstopped else Scope.SESSION


def clear(
    process: Process, trigger: EntryTrigger, now: float, limits: Limits
) -> tuple[Process, tuple[Effect, ...]]:
    """End what a dead leader has left, before the next run."""
    entry, run = process.entry, process.run
    if trigger is EntryTrigger.ALARM:
        name, next_s = ladder_step(process.escalation_step, limits, entry.stop_schedule)
        again = replace(process, due=now + next_s, escalation_step=process.escalation_step + 1)
        return again, (Signal(entry, run, name, cleared(process)),)
    escalation_step = kill_rung(limits, entry.stop_schedule)
    due = now + limits.clear_to_kill_s
    process = replace(
        process, state=ProcessState.CLEARING, due=due, escalation_step=escalation_step
    )
    if trigger is EntryTrigger.LOSE:  # it has been sent SIGKILL
        return process, (Watch(entry, run, Scope.ENTRY),)
    scope = cleared(process)
    return process, (Signal(entry, run, "TERM", scope), Watch(entry, run, scope))


THEN = {
    EntryTrigger.STOP: Then.WAIT,
    EntryTrigger.KILL: Then.WAIT,
    EntryTrigger.STOP_ORDERED: Then.STAY,
    EntryTrigger.START_ORDERED: Then.START,
    EntryTrigger.RESTART_ORDERED: Then.START,
    EntryTrigger.UNDO: Then.WAIT,
    EntryTrigger.UNDO_ORDERED: Then.STAY,
}
"""What stops an entry -> what follows when it has ended."""


def stop(
    process: Process, trigger: EntryTrigger, now: float, limits: Limits
) -> tuple[Process, tuple[Effect, ...]]:
    """Begin to stop an entry."""
    then = THEN[trigger]
    process = replace(process, then=then, ordered=process.ordered if then is not Then.WAIT else ())
    if trigger in (EntryTrigger.UNDO, EntryTrigger.UNDO_ORDERED):
        return _undo(process, now, limits)
    if trigger is not EntryTrigger.KILL and process.state in ENDING:
        return replace(process, state=ProcessState.STOPPING), ()
    effects: tuple[Effect, ...] = ()
    if process.state not in ENDING and not process.leader:
        effects = (Watch(process.entry, process.run, Scope.ENTRY),)
    last = kill_rung(limits, process.entry.stop_schedule)
    escalation_step = max(process.escalation_step, last) if trigger is EntryTrigger.KILL else 0
    process = replace(process, state=ProcessState.STOPPING, escalation_step=escalation_step)
    process, signals = signal(process, now, limits)
    return process, signals + effects


def _undo(process: Process, now: float, limits: Limits) -> tuple[Process, tuple[Effect, ...]]:
    """Stop the service of a wrapper that was killed: by its agent; a unit by signals."""
    process = replace(process, state=ProcessState.STOPPING, unattended=False, escalation_step=0)
    if process.entry.mode is not Mode.OCF:
        return leader_gone(process, now, limits)
    _, next_s = ladder_step(0, limits, process.entry.stop_schedule)
    process = replace(process, run=process.run + 1, leader=True, pid=0, ready=False)
    process = replace(process, escalation_step=1, due=now + next_s)
    return process, (Spawn(replace(process.entry, stops=process.entry.tag), process.run),)


def time_out(process: Process, now: float, limits: Limits) -> tuple[Process, tuple[Effect, ...]]:
    """End a run that has exceeded its time limit."""
    limit_s = process.entry.limit_s or 0.0
    awaited = process.entry.awaited
    text = f"not ready within {limit_s:g} s" if awaited else f"timed out after {limit_s:g} s"
    process = replace(
        process,
        state=ProcessState.TIMED_OUT,
        escalation_step=0,
        timed_out=True,
        exit=text,
        said="",
        error="",
    )
    process, signals = signal(process, now, limits)
    late = NotReady(process.entry, limit_s) if awaited else TimedOut(process.entry, limit_s)
    return process, (late, *signals)


def leader_gone(process: Process, now: float, limits: Limits) -> tuple[Process, tuple[Effect, ...]]:
    """Wait for what the leader has left; what the stop of an agent has left is ended soon."""
    entry, run = process.entry, process.run
    watch = Watch(entry, run, Scope.ENTRY)
    last = kill_rung(limits, entry.stop_schedule)
    if not entry.wrapped or process.escalation_step > last:
        return process, (watch,)
    process = replace(process, escalation_step=last, due=now + limits.clear_to_kill_s)
    return process, (Signal(entry, run, "TERM", Scope.ENTRY), watch)


def signal(process: Process, now: float, limits: Limits) -> tuple[Process, tuple[Effect, ...]]:
    """Send the next signal of a stop."""
    name, next_s = ladder_step(process.escalation_step, limits, process.entry.stop_schedule)
    # What runs an agent or a unit stops that itself: what else is in the entry belongs to that.
    alone = process.entry.wrapped and process.leader and name != KILL
    scope = Scope.LEADER if alone else Scope.ENTRY
    signal = Signal(process.entry, process.run, name, scope)
    return replace(process, escalation_step=process.escalation_step + 1, due=now + next_s), (
        signal,
    )
