"""Options of an entry in the machines: its time limit, and the signals of its stop."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.clinit.reports import group_report
from mosha.core.escalation import Limits
from mosha.core.status import TroubleKind
from mosha.core.supervision.entries import trouble_text, troubles
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    AlarmRang,
    Emptied,
    Exit,
    Exited,
    KillAsked,
    Scope,
    Signal,
    SpawnFailed,
    Started,
    StopAsked,
    TimedOut,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import STOP_LEVEL
from tests.core.unit_world import World, entry, state_of, world_of

LIMITS = Limits()


def started(mode: str) -> Process:
    """Return an entry whose first run has begun at 100 s."""
    return advance(new_process(entry(f"g:a:1:{mode}:x")), Started(1), 100.0, LIMITS)[0]


def running(world: World) -> list[str]:
    """Return the tags whose leader is alive."""
    return [tag for tag, alive in world.alive.items() if alive.run]


def signals(effects: tuple[object, ...]) -> list[str]:
    """Return the signals that are sent to entries."""
    return [effect.signal for effect in effects if isinstance(effect, Signal)]


def escalation(process: Process, now: float, rungs: int) -> list[tuple[float, str]]:
    """Return when which signals are sent by a stop at `now`, in seconds after it."""
    process, effects = advance(process, StopAsked(), now, LIMITS)
    sent = [(0.0, signals(effects)[0])]
    while len(sent) < rungs:
        due = process.due or 0.0
        process, effects = advance(process, AlarmRang(), due, LIMITS)
        sent.append((due - now, signals(effects)[0]))
    return sent


# --- how long a run may take ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "end"),
    [
        ("test(timeout=10s)", ProcessState.FAILED),
        ("wait(timeout=10s)", ProcessState.DONE),
        ("once(timeout=10s)", ProcessState.DONE),
    ],
)
def test_a_run_that_takes_too_long_gets_the_signals_of_a_stop_and_has_failed(
    mode: str, end: ProcessState
) -> None:
    process = started(mode)
    assert advance(process, AlarmRang(), 109.9, LIMITS) == (process, ())
    process, effects = advance(process, AlarmRang(), 110.0, LIMITS)
    assert process.state is ProcessState.TIMED_OUT
    assert effects[0] == TimedOut(process.entry, 10.0)
    assert signals(effects) == ["INT"]
    process, effects = advance(process, AlarmRang(), 115.0, LIMITS)
    assert signals(effects) == ["TERM"]
    # That it says now that it has done well comes too late.
    process, _ = advance(process, Exited(1, Exit(0), said="at last"), 116.0, LIMITS)
    assert process.state is end
    assert (process.exit, process.said, process.failures) == ("timed out after 10 s", "at last", 1)


def test_it_has_ended_when_nothing_of_it_is_left() -> None:
    process, _ = advance(started("test(timeout=10s)"), AlarmRang(), 110.0, LIMITS)
    process, _ = advance(process, Exited(1, Exit(-2), elsewhere=True), 111.0, LIMITS)
    assert process.state is ProcessState.TIMED_OUT
    process, _ = advance(process, Emptied(1, Scope.ENTRY), 112.0, LIMITS)
    assert process.state is ProcessState.FAILED


def test_a_run_that_was_never_born_has_timed_out_too() -> None:
    process, _ = advance(started("test(timeout=10s)"), AlarmRang(), 110.0, LIMITS)
    told = SpawnFailed(1, "stopped before it had started")
    process, _ = advance(process, told, 110.1, LIMITS)
    assert (process.state, process.exit) == (ProcessState.FAILED, "timed out after 10 s")
    assert process.error == ""


@pytest.mark.parametrize("mode", ["test", "wait", "once", "respawn"])
def test_without_a_limit_it_may_run_for_ever(mode: str) -> None:
    process = started(mode)
    assert process.due is None
    assert advance(process, AlarmRang(), 1e9, LIMITS) == (process, ())


def test_a_stop_meanwhile_does_not_begin_again_c6_8() -> None:
    process, _ = advance(started("wait(timeout=10s)"), AlarmRang(), 110.0, LIMITS)
    process, _ = advance(process, AlarmRang(), 115.0, LIMITS)
    process, effects = advance(process, StopAsked(), 116.0, LIMITS)
    assert (process.state, signals(effects), process.due) == (ProcessState.STOPPING, [], 125.0)
    process, _ = advance(process, Exited(1, Exit(-15)), 117.0, LIMITS)
    assert process.state is ProcessState.WAITING


def test_a_kill_meanwhile_kills() -> None:
    process, _ = advance(started("wait(timeout=10s)"), AlarmRang(), 110.0, LIMITS)
    process, effects = advance(process, KillAsked(), 111.0, LIMITS)
    assert (process.state, signals(effects)) == (ProcessState.STOPPING, ["KILL"])


# --- and what becomes of its group ---------------------------------------------------------


def test_a_test_that_times_out_fails_its_group_which_says_so() -> None:
    world = world_of("g:t:1:test(timeout=10s):x").tell("1").wait()
    assert state_of(world) == "1 STARTING"
    world = world.end("t", 0)
    assert state_of(world) == "1 FAILED"
    assert world.unit.group.cause == "test entry t: timed out after 10 s"


def test_after_a_wait_that_times_out_the_next_entry_starts() -> None:
    world = world_of("g:w:1:wait(timeout=10s):x", "g:r:1:respawn:x").tell("1").wait()
    assert running(world) == ["w"]
    world = world.end("w", -2)
    assert (running(world), state_of(world)) == (["r"], "1 DONE")


@pytest.mark.parametrize("mode", ["wait", "once"])
def test_a_stop_entry_that_times_out_does_not_hold_up_the_stop(mode: str) -> None:
    world = world_of("g:r:1:respawn:x", f"g:s:stop:{mode}(timeout=10s):x").tell("1")
    world = world.tell(STOP_LEVEL).end("r", -2)
    assert running(world) == ["s"]
    world = world.wait()
    assert state_of(world) != "stop DONE"
    world = world.end("s", -2).settle()
    assert state_of(world) == "stop DONE"
    assert told_of(world) == [(TroubleKind.TIMED_OUT, "entry s: timed out after 10 s")]


def test_a_stop_test_that_times_out_keeps_the_group_as_any_failed_one() -> None:
    world = world_of("g:r:1:respawn:x", "g:s:stop:test(timeout=10s):x").tell("1")
    world = world.tell(STOP_LEVEL).end("r", -2).wait().end("s", -2).settle()
    assert state_of(world) == "stop FAILED"


def told_of(world: World, later_s: float = 0.0) -> list[tuple[TroubleKind, str]]:
    """Return what a node tells of the entries, from the report that clinit makes of them."""
    unit, now = world.unit, world.now + later_s
    report = group_report(unit, unit.group, 0, lambda _tag, _lines: ())
    found = troubles(report.entries, unit.group.level, unit.group.state, unit.entries, now)
    return [(trouble.kind, trouble_text(trouble)) for trouble in found]


def test_who_takes_long_is_said_with_its_limit_before_and_after_it_is_exceeded() -> None:
    world = world_of("g:w:1:wait(timeout=2m):x").tell("1")
    assert told_of(world, 5.0) == []
    late = "entry w has not ended for 11 s: its time limit is 120 s"
    assert told_of(world, 11.0) == [(TroubleKind.LATE, late)]
    exceeded = [(TroubleKind.TIMED_OUT, "entry w: timed out after 120 s")]
    assert told_of(world.wait()) == exceeded
    done = world.wait().end("w", -2)
    assert state_of(done) == "1 DONE"
    assert told_of(done, 3600.0) == exceeded


# --- the signals of a stop -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "sent"),
    [
        ("TERM/30s", [(0, "TERM"), (30, "KILL"), (45, "KILL"), (65, "KILL")]),
        ("QUIT/1m/TERM/5s", [(0, "QUIT"), (60, "TERM"), (65, "KILL"), (80, "KILL")]),
        ("KILL", [(0, "KILL"), (15, "KILL"), (35, "KILL"), (60, "KILL")]),
        ("INT/5s/TERM/10s", [(0, "INT"), (5, "TERM"), (15, "KILL"), (30, "KILL")]),
    ],
)
def test_an_entry_is_stopped_by_its_own_schedule(stop: str, sent: list[tuple[float, str]]) -> None:
    assert escalation(started(f"respawn(stop={stop})"), 200.0, len(sent)) == sent


def test_a_kill_does_not_go_through_the_schedule() -> None:
    process = started("respawn(stop=QUIT/1m/TERM/1m/INT/1m)")
    process, _ = advance(process, StopAsked(), 200.0, LIMITS)
    process, effects = advance(process, KillAsked(), 201.0, LIMITS)
    assert (signals(effects), process.due) == (["KILL"], 216.0)


def test_a_run_that_takes_too_long_is_ended_by_the_schedule_of_its_entry() -> None:
    process = started("test(timeout=10s,stop=TERM/2s)")
    process, effects = advance(process, AlarmRang(), 110.0, LIMITS)
    assert (signals(effects), process.due) == (["TERM"], 112.0)
    assert signals(advance(process, AlarmRang(), 112.0, LIMITS)[1]) == ["KILL"]


def test_a_stop_goes_by_the_schedule_that_cltab_has_now_and_restarts_nothing_before() -> None:
    world = world_of("g:r:1,2:respawn:x").tell("1")
    slower = (entry("g:r:1,2:respawn(stop=QUIT/1m):x", 1),)
    same = world.tell("1", slower)
    assert running(same) == ["r"]
    assert same.unit.processes["r"].starts == 1
    assert signals(world.tell(STOP_LEVEL, slower).effects) == ["QUIT"]


def test_what_cltab_has_otherwise_is_stopped_as_it_was_started() -> None:
    world = world_of("g:r:1:respawn(stop=QUIT/1m):x").tell("1")
    another = (entry("g:r:1:respawn(stop=HUP/1m):y", 1),)
    assert signals(world.tell("1", another).effects) == ["QUIT"]


# --- what the process itself has -----------------------------------------------------------


@pytest.mark.parametrize("options", ["(user=a)", "(user=b,nice=5)", ""])
def test_another_attribute_of_the_process_restarts_it(options: str) -> None:
    world = world_of("g:r:1:respawn(user=b):x").tell("1")
    another = (entry(f"g:r:1:respawn{options}:x", 1),)
    assert state_of(world.tell("1", another)) == "1 STOPPING"
    assert running(world.tell("1", another).end("r", -2)) == ["r"]
    same = world.tell("1", (entry("g:r:1:respawn(user=b,stop=KILL):x", 1),))
    assert (state_of(same), same.unit.processes["r"].starts) == ("1 DONE", 1)


def test_an_attribute_that_cltab_has_otherwise_by_now_is_said() -> None:
    world = world_of("g:r:1:respawn(umask=022):x").tell("1")
    assert told_of(world) == []
    unit = replace(world.unit, entries=(entry("g:r:1:respawn(umask=027):x", 1),))
    newer = "entry r: cltab has a newer definition"
    assert told_of(replace(world, unit=unit)) == [(TroubleKind.OUTDATED, newer)]
