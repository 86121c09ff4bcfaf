"""Monitors: entries that are run again and again, and how often they have to fail."""

from __future__ import annotations

import pytest

from mosha.clinit.reports import group_report
from mosha.core.escalation import Limits
from mosha.core.status import EntryVerb, TroubleKind
from mosha.core.supervision.entries import trouble_text, troubles
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    AlarmRang,
    Emptied,
    Event,
    Exit,
    Exited,
    Healthy,
    Scope,
    Signal,
    Spawn,
    SpawnFailed,
    SpawnPrevented,
    Started,
    StopAsked,
    TimedOut,
    Unhealthy,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import STOP_LEVEL
from tests.core.unit_world import World, entry, running, state_of, world_of

LIMITS = Limits()
LINE = "g:m:1:monitor(interval=30s,timeout=5s,failures=2):x"


def started(text: str = LINE) -> Process:
    """Return a monitor whose first run has begun at 100 s."""
    return advance(new_process(entry(text)), Started(1), 100.0, LIMITS)[0]


def after(process: Process, event: Event, now: float) -> tuple[Process, tuple[object, ...]]:
    """Return a monitor after an event, and what is reported of its group."""
    process, effects = advance(process, event, now, LIMITS)
    return process, tuple(it for it in effects if isinstance(it, Unhealthy | Healthy))


# --- one monitor ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, -9])
def test_it_is_run_again_an_interval_after_its_start_however_it_ends(code: int) -> None:
    process, _ = advance(started(), Exited(1, Exit(code)), 102.0, LIMITS)
    assert (process.state, process.due) == (ProcessState.IDLE, 130.0)
    assert advance(process, AlarmRang(), 129.9, LIMITS) == (process, ())
    process, effects = advance(process, AlarmRang(), 130.0, LIMITS)
    assert (process.state, effects) == (ProcessState.RUNNING, (Spawn(process.entry, 2),))
    assert process.due == 135.0


def test_a_run_that_takes_longer_than_the_interval_is_followed_at_once() -> None:
    process = started("g:m:1:monitor(interval=2s,timeout=60s):x")
    process, _ = advance(process, Exited(1, Exit(0)), 110.0, LIMITS)
    assert (process.state, process.due) == (ProcessState.IDLE, 110.0)


def test_it_has_an_interval_a_limit_and_a_number_of_failures_without_options() -> None:
    process = started("g:m:1:monitor:x")
    assert (process.due, process.entry.interval_s, process.entry.failures_max) == (110.0, 10.0, 3)
    assert entry("g:m:1:monitor(interval=0.001):x").interval_s == 1.0


def test_so_many_failures_in_a_row_are_one_failure_of_the_group_and_so_are_as_many_more() -> None:
    process, now, counted = started(), 100.0, []
    for run in range(1, 6):
        process, told = after(process, Exited(run, Exit(1)), now + 1)
        counted.append((process.failures, len(process.failed_at), len(told)))
        now += 30.0
        process, _ = advance(process, AlarmRang(), now, LIMITS)
    assert counted == [(1, 0, 0), (2, 1, 1), (3, 1, 0), (4, 2, 1), (5, 2, 0)]


def test_a_success_begins_anew_and_is_reported_if_it_had_failed_often_enough() -> None:
    process = started()
    told: list[object] = []
    for run, code in enumerate((1, 0, 1, 1, 0), 1):
        process, more = after(process, Exited(run, Exit(code)), 100.0 + 30 * run)
        told += more
        process, _ = advance(process, AlarmRang(), process.due or 0.0, LIMITS)
    assert told == [Unhealthy(process.entry, 2), Healthy(process.entry)]
    assert (process.failures, len(process.failed_at)) == (0, 1)


def test_it_has_succeeded_from_a_success_on_until_its_group_leaves_the_level() -> None:
    process = started()
    seen = []
    for run, code in enumerate((1, 0, 1), 1):
        process, _ = advance(process, Exited(run, Exit(code)), 100.0 + 30 * run, LIMITS)
        seen.append(process.succeeded)
        process, _ = advance(process, AlarmRang(), process.due or 0.0, LIMITS)
    assert seen == [False, True, True]
    process, _ = advance(process, StopAsked(), 300.0, LIMITS)
    process, _ = advance(process, Exited(4, Exit(0)), 301.0, LIMITS)
    assert (process.state, process.succeeded) == (ProcessState.WAITING, False)


def test_a_run_that_takes_too_long_is_ended_has_failed_and_is_followed_by_the_next() -> None:
    process, effects = advance(started(), AlarmRang(), 105.0, LIMITS)
    assert effects == (
        TimedOut(process.entry, 5.0),
        Signal(process.entry, 1, "INT", Scope.ENTRY),
    )
    process, _ = advance(process, Exited(1, Exit(0), elsewhere=True), 106.0, LIMITS)
    process, _ = advance(process, Emptied(1, Scope.ENTRY), 107.0, LIMITS)
    assert (process.state, process.due, process.failures) == (ProcessState.IDLE, 130.0, 1)
    assert process.exit == "timed out after 5 s"


def test_what_it_left_in_its_session_is_ended_before_it_rests() -> None:
    process, effects = advance(started(), Exited(1, Exit(0), in_session=True), 101.0, LIMITS)
    assert process.state is ProcessState.CLEARING
    assert [it.signal for it in effects if isinstance(it, Signal)] == ["TERM"]
    process, _ = advance(process, Emptied(1, Scope.SESSION), 102.0, LIMITS)
    assert (process.state, process.due) == (ProcessState.IDLE, 130.0)


def test_a_command_that_is_missing_is_a_failure_and_a_host_without_room_is_none() -> None:
    process, _ = advance(started(), SpawnFailed(1, "cannot execute: x"), 100.1, LIMITS)
    assert (process.state, process.failures) == (ProcessState.IDLE, 1)
    process, _ = advance(started(), SpawnPrevented(1, "no room"), 100.1, LIMITS)
    assert (process.state, process.failures) == (ProcessState.RETRYING, 0)


def test_it_never_pauses() -> None:
    process = started("g:m:1:monitor(interval=1s):x")
    for run in range(1, 30):
        process, _ = advance(process, Exited(run, Exit(1)), (process.last_start or 0.0), LIMITS)
        assert process.state is ProcessState.IDLE
        process, _ = advance(process, AlarmRang(), process.due or 0.0, LIMITS)
    assert process.starts == 30


def test_a_stop_is_no_failure_and_tells_nothing_of_the_group() -> None:
    process, _ = advance(started(), StopAsked(), 101.0, LIMITS)
    process, told = after(process, Exited(1, Exit(-2)), 102.0)
    assert (process.state, process.failures, told) == (ProcessState.WAITING, 0, ())


# --- its group -----------------------------------------------------------------------------


def test_the_level_does_not_wait_for_it_nor_for_what_it_says() -> None:
    world = world_of("g:m:1:monitor:x", "g:r:1:respawn:x").tell("1")
    assert (running(world), state_of(world)) == (["m", "r"], "1 DONE")
    assert state_of(world.end("m", 1)) == "1 DONE"


def test_it_ends_with_its_level_whether_it_runs_or_rests() -> None:
    world = world_of("g:m:1:monitor:x").tell("1")
    assert state_of(world.end("m").tell(STOP_LEVEL).settle()) == "stop DONE"
    assert state_of(world.tell(STOP_LEVEL).end("m", -2).settle()) == "stop DONE"


def test_an_operator_can_stop_it_and_start_it_again() -> None:
    world = world_of("g:m:1:monitor:x").tell("1").end("m")
    stopped = world.order_entry("m", EntryVerb.STOP).settle()
    assert stopped.unit.processes["m"].state is ProcessState.STOPPED
    assert running(stopped.order_entry("m", EntryVerb.START)) == ["m"]


def told_of(world: World) -> list[tuple[TroubleKind, str]]:
    """Return what a node tells of the entries, from the report that clinit makes of them."""
    unit = world.unit
    report = group_report(unit, unit.group, 0, lambda _tag, _lines: ("looking",))
    found = troubles(report.entries, unit.group.level, unit.group.state, unit.entries, world.now)
    return [(trouble.kind, trouble_text(trouble)) for trouble in found]


def test_what_it_finds_is_said_once_it_has_failed_often_enough_and_until_it_succeeds() -> None:
    world = world_of(LINE).tell("1").end("m", 7)
    assert told_of(world) == []
    world = world.wait().end("m", 7, said="no answer")
    told = [(TroubleKind.UNHEALTHY, "monitor m fails: exit 7: no answer")]
    assert told_of(world) == told
    world = world.wait()
    assert told_of(world) == told
    assert told_of(world.end("m")) == []
