"""Runs that the host could not start: neither a failure nor a success, whatever the mode."""

from __future__ import annotations

import pytest

from mosha.core.escalation import Limits
from mosha.core.status import TroubleKind
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    AlarmRang,
    Emptied,
    Exit,
    Exited,
    KillAsked,
    Retried,
    Scope,
    Signal,
    Spawn,
    Spawned,
    SpawnFailed,
    SpawnPrevented,
    Started,
    StopAsked,
    Watch,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import STOP_LEVEL
from tests.core.test_time_limits import told_of
from tests.core.unit_world import entry, state_of, world_of

LIMITS = Limits()
MODES = ("test", "wait", "once", "respawn")
WHY = "could not be started: no process; it is tried again"
GONE = "could not be started: the fork server is gone; it is tried again"


def started(mode: str) -> Process:
    """Return an entry whose first run was ordered at 100 s."""
    return advance(new_process(entry(f"g:a:1:{mode}:x")), Started(1), 100.0, LIMITS)[0]


@pytest.mark.parametrize("mode", MODES)
def test_what_the_host_could_not_start_is_tried_again_each_second(mode: str) -> None:
    process, now = started(mode), 100.0
    for _ in range(20):
        process, _ = advance(process, SpawnPrevented(process.run, WHY), now, LIMITS)
        assert (process.state, process.due) == (ProcessState.RETRYING, now + 1.0)
        now += 1.0
        process, effects = advance(process, AlarmRang(), now, LIMITS)
        assert effects == (Spawn(process.entry, process.run),)
    process, _ = advance(process, Spawned(process.run, 17), now, LIMITS)
    assert (process.starts, process.failures, process.rapid_restarts) == (1, 0, 0)
    assert (process.error, process.prevented, process.exit) == ("", False, "")


def test_each_reason_is_said_once() -> None:
    process = started("wait")
    process, effects = advance(process, SpawnPrevented(1, WHY), 100.0, LIMITS)
    assert effects == (Retried(process.entry, WHY),)
    process, _ = advance(process, AlarmRang(), 101.0, LIMITS)
    process, effects = advance(process, SpawnPrevented(2, WHY), 101.0, LIMITS)
    assert effects == ()
    assert process.since == 100.0
    process, _ = advance(process, AlarmRang(), 102.0, LIMITS)
    process, effects = advance(process, SpawnPrevented(3, GONE), 102.0, LIMITS)
    assert effects == (Retried(process.entry, GONE),)


def test_what_may_exist_is_ended_before_another_one_is_tried() -> None:
    process = started("test")
    process, effects = advance(process, SpawnPrevented(1, GONE, lost=True), 100.0, LIMITS)
    assert process.state is ProcessState.CLEARING
    assert effects[1:] == (Watch(process.entry, 1, Scope.ENTRY),)
    process, effects = advance(process, AlarmRang(), 101.0, LIMITS)
    assert effects == (Signal(process.entry, 1, "KILL", Scope.ENTRY),)
    assert advance(process, Emptied(1, Scope.SESSION), 101.5, LIMITS) == (process, ())
    process, _ = advance(process, Emptied(1, Scope.ENTRY), 101.5, LIMITS)
    assert (process.state, process.due) == (ProcessState.RETRYING, 102.5)


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("ask", [StopAsked(), KillAsked()])
def test_a_stop_ends_the_tries(ask: StopAsked | KillAsked, *, lost: bool) -> None:
    process = started("wait")
    process, _ = advance(process, SpawnPrevented(1, GONE, lost=lost), 100.0, LIMITS)
    process, _ = advance(process, ask, 100.5, LIMITS)
    if lost:
        assert process.state is ProcessState.STOPPING
        process, _ = advance(process, Emptied(1, Scope.ENTRY), 100.6, LIMITS)
    assert (process.state, process.due, process.error) == (ProcessState.WAITING, None, "")


@pytest.mark.parametrize("event", [SpawnPrevented(1, GONE, lost=True), SpawnPrevented(1, GONE)])
def test_what_is_stopped_while_it_is_born_is_not_tried_again(event: SpawnPrevented) -> None:
    process, _ = advance(started("wait"), StopAsked(), 100.0, LIMITS)
    process, effects = advance(process, event, 100.5, LIMITS)
    if event.lost:
        assert effects == (Watch(process.entry, 1, Scope.ENTRY),)
        process, _ = advance(process, Emptied(1, Scope.ENTRY), 100.6, LIMITS)
    assert process.state is ProcessState.WAITING


@pytest.mark.parametrize("mode", ["test(timeout=2s)", "wait(timeout=2s)"])
def test_the_time_limit_is_one_of_runs_not_of_tries(mode: str) -> None:
    process, _ = advance(started(mode), AlarmRang(), 102.0, LIMITS)
    assert process.state is ProcessState.TIMED_OUT
    process, _ = advance(process, SpawnPrevented(1, WHY), 102.1, LIMITS)
    assert (process.state, process.timed_out) == (ProcessState.RETRYING, False)


@pytest.mark.parametrize(
    "event", [SpawnFailed(1, "x", left=True), SpawnPrevented(1, "x", left=True)]
)
def test_what_former_runs_left_is_waited_for_though_the_last_run_had_no_process(
    event: SpawnFailed | SpawnPrevented,
) -> None:
    process, _ = advance(started("respawn"), StopAsked(), 100.0, LIMITS)
    process, effects = advance(process, event, 100.5, LIMITS)
    assert process.state is ProcessState.STOPPING
    assert effects == (Watch(process.entry, 1, Scope.ENTRY),)


@pytest.mark.parametrize(
    ("mode", "result"), [("test", "PASSED"), ("wait", "DONE"), ("once", "DONE")]
)
def test_a_stop_waits_for_an_entry_that_its_host_cannot_start(mode: str, result: str) -> None:
    world = world_of("g:r:1:respawn:x", f"g:s:stop:{mode}:x").tell("1").tell(STOP_LEVEL)
    world = world.end("r", -2).prevent("s").settle()
    assert not state_of(world).endswith(("DONE", "PASSED", "FAILED"))
    assert told_of(world) == [(TroubleKind.RETRYING, f"entry s {GONE}")]
    world = world.wait().prevent("s", lost=True)
    assert not state_of(world.settle()).endswith(("DONE", "PASSED", "FAILED"))
    world = world.vanish("s").settle().wait().end("s", 0).settle()
    assert state_of(world) == f"stop {result}"
    assert told_of(world) == []


def test_a_lost_run_that_failed_before_is_not_the_result_of_the_next_one() -> None:
    process, _ = advance(started("test"), SpawnPrevented(1, WHY), 100.0, LIMITS)
    process, _ = advance(process, AlarmRang(), 101.0, LIMITS)
    late, effects = advance(process, Exited(1, Exit(1)), 101.1, LIMITS)
    assert (late, effects) == (process, ())
