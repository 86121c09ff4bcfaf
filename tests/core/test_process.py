"""One entry: respawn and its throttle, the escalation of a stop, and every order of events."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace

from mosha.core.escalation import Limits, ladder_step
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    AlarmRang,
    BecameReady,
    Effect,
    Emptied,
    Event,
    Exit,
    Exited,
    KillAsked,
    RestartOrdered,
    Scope,
    Signal,
    Spawn,
    Spawned,
    SpawnFailed,
    SpawnPrevented,
    Started,
    StartOrdered,
    StopAsked,
    StopOrdered,
    Throttled,
    Watch,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import FINISHED, LIVE, TABLE, EntryTrigger, ProcessState
from mosha.core.tables import WRAPPED, Mode
from mosha.errors import BugError
from tests.core.unit_world import entry

LIMITS = Limits()
DIED = Exit(-9)


def process_of(mode: str) -> Process:
    return new_process(entry(f"g:a:1:{mode}:x"))


def after(process: Process, *events: Event, now: float = 100.0) -> Process:
    for event in events:
        process, _ = advance(process, event, now, LIMITS)
    return process


def signal_of(effects: tuple[Effect, ...]) -> list[str]:
    return [effect.signal for effect in effects if isinstance(effect, Signal)]


def lives(process: Process, life_s: float, until: float, now: float) -> list[float]:
    """Return when a respawn entry starts whose every run lives `life_s` seconds."""
    process, effects = advance(process, Started(1), now, LIMITS)
    starts = [now]
    while now < until:
        if process.state is ProcessState.PAUSING:
            assert process.due is not None
            now = process.due
            process, effects = advance(process, AlarmRang(), now, LIMITS)
        else:
            now += life_s
            process, effects = advance(process, Exited(process.run, DIED), now, LIMITS)
        if any(isinstance(effect, Spawn) for effect in effects):
            starts.append(now)
    return starts


def test_a_command_that_exits_at_once_starts_7_times_then_twice_a_minute_c3_9() -> None:
    starts = lives(process_of("respawn"), 0.003, 250.0, 0.0)
    assert sum(start < 1 for start in starts) == 7
    assert sum(59 < start < 61 for start in starts) == 2
    assert sum(119 < start < 121 for start in starts) == 2


def test_runs_of_0_9_s_are_throttled_after_7_starts_c3_10() -> None:
    starts = lives(process_of("respawn"), 0.9, 30.0, 0.0)
    assert sum(start < 30 for start in starts) == 7


def test_runs_of_1_2_s_are_never_throttled_c3_10() -> None:
    starts = lives(process_of("respawn"), 1.2, 120.0, 0.0)
    assert all(b - a < 1.3 for a, b in itertools.pairwise(starts))
    assert len(starts) > 90


def test_slow_runs_pay_for_quick_ones_c3_9() -> None:
    process, now = after(process_of("respawn"), Started(1)), 100.0
    for _ in range(4):
        process = after(process, Exited(process.run, DIED), now=now)
    assert process.rapid_restarts == 4
    for _ in range(6):
        now += 2
        process = after(process, Exited(process.run, DIED), now=now)
    assert process.rapid_restarts == 0


def test_the_pause_is_60_seconds_and_says_so_c3_9() -> None:
    process = replace(after(process_of("respawn"), Started(1)), rapid_restarts=6)
    process, effects = advance(process, Exited(1, DIED), 101.0, LIMITS)
    assert effects == (Throttled(process.entry, 161.0),)
    assert process.state is ProcessState.PAUSING


def test_a_command_that_cannot_be_executed_is_throttled_like_an_exit_c3_15() -> None:
    process = after(process_of("respawn"), Started(1))
    for _ in range(6):
        process = after(process, SpawnFailed(process.run, "no"))
    assert process.starts == 7
    assert after(process, SpawnFailed(process.run, "no")).state is ProcessState.PAUSING


def test_leaving_a_pause_takes_no_time_and_resets_the_counter_c3_11() -> None:
    process = replace(after(process_of("respawn"), Started(1)), rapid_restarts=6)
    process = after(process, Exited(1, DIED), StopAsked())
    assert (process.state, process.rapid_restarts) == (ProcessState.WAITING, 0)


def test_a_stop_sends_int_term_5_s_later_kill_10_s_later_and_again_c6_1_c6_2() -> None:
    process, effects = advance(after(process_of("respawn"), Started(1)), StopAsked(), 100.0, LIMITS)
    sent = [(0.0, *signal_of(effects))]
    for _ in range(5):
        assert process.due is not None
        now = process.due
        process, effects = advance(process, AlarmRang(), now, LIMITS)
        sent.append((now - 100, *signal_of(effects)))
    assert sent == [
        *((0, "INT"), (5, "TERM"), (15, "KILL"), (30, "KILL"), (50, "KILL"), (75, "KILL")),
    ]


def test_the_intervals_between_kills_do_not_grow_for_ever_c6_2() -> None:
    assert ladder_step(1000, LIMITS) == ("KILL", 60.0)


def test_nothing_but_time_moves_an_escalation_on_c6_7_c6_8() -> None:
    process = after(process_of("respawn"), Started(1), Spawned(1, 9), StopAsked())
    for event in (StopAsked(), AlarmRang(), Exited(7, DIED), Emptied(7, Scope.ENTRY)):
        again, effects = advance(process, event, 104.9, LIMITS)
        assert (again, effects) == (process, ())


def test_a_stopping_entry_is_gone_when_nothing_of_it_is_left() -> None:
    process = after(process_of("respawn"), Started(1), StopAsked())
    process, effects = advance(process, Exited(1, DIED, in_session=True), 101.0, LIMITS)
    assert process.state is ProcessState.STOPPING
    assert effects == (Watch(process.entry, 1, Scope.ENTRY),)
    assert signal_of(advance(process, AlarmRang(), 105.0, LIMITS)[1]) == ["TERM"]
    assert after(process, Emptied(1, Scope.ENTRY)).state is ProcessState.WAITING


def test_what_escaped_the_session_counts_when_an_entry_stops_but_not_for_a_respawn() -> None:
    process = after(process_of("respawn"), Started(1))
    respawned = after(process, Exited(1, DIED, elsewhere=True), now=200.0)
    assert respawned.state is ProcessState.RUNNING
    stopped = after(process, StopAsked(), Exited(1, DIED, elsewhere=True))
    assert stopped.state is ProcessState.STOPPING


def test_a_kill_overtakes_the_escalation() -> None:
    process = after(process_of("respawn"), Started(1), StopAsked())
    process, effects = advance(process, KillAsked(), 101.0, LIMITS)
    assert signal_of(effects) == ["KILL"]
    assert process.due == 116.0


def test_an_answer_to_the_wrong_question_is_dropped() -> None:
    process = after(process_of("respawn"), Started(1), Exited(1, DIED, in_session=True))
    process = after(process, StopAsked())
    # It was asked about the session when it was clearing; now it is stopping as a whole.
    assert after(process, Emptied(1, Scope.SESSION)) == process
    assert after(process, Emptied(1, Scope.ENTRY)).state is ProcessState.WAITING


def test_a_finished_entry_is_not_signalled_c6_4() -> None:
    for mode in ("wait", "once", "test"):
        process = after(process_of(mode), Started(1), Exited(1, Exit(0)))
        assert process.state in FINISHED
        for event in (StopAsked(), KillAsked()):
            assert advance(process, event, 101.0, LIMITS) == (process, ())


def test_an_event_that_cannot_happen_is_a_bug_and_tells_the_story() -> None:
    process = after(process_of("wait"), Started(1))
    with pytest.raises(BugError, match=r"START.*Started.*has no row for Process"):
        advance(process, Started(2), 100.0, LIMITS)


# --- every order of events -------------------------------------------------------------


def answers(process: Process) -> list[Event]:
    """Return what can happen to an entry, as the world may answer, late answers included."""
    events: list[Event] = [StopAsked(), KillAsked(), AlarmRang()]
    for run in {process.run, process.run - 1, process.run + 1}:
        events += [
            Spawned(run, 4711),
            BecameReady(run),
            SpawnFailed(run, "no"),
            SpawnPrevented(run, "no"),
            SpawnPrevented(run, "no", lost=True),
            Exited(run, Exit(0)),
            Exited(run, DIED, in_session=True),
            Exited(run, DIED, elsewhere=True),
            Emptied(run, Scope.SESSION),
            Emptied(run, Scope.ENTRY),
        ]
    number = len(process.ordered + process.obeyed)
    events += [order(f"{number}") for order in (StopOrdered, StartOrdered, RestartOrdered)]
    if process.state is ProcessState.WAITING:
        events.append(Started(process.run + 1))
    return events


@pytest.mark.parametrize(
    "mode",
    [
        *Mode,
        "wait(timeout=2s)",
        "once(timeout=2s,stop=TERM/3s)",
        "test(timeout=2s,stop=KILL)",
        "respawn(ready=notify,start=2s)",
    ],
)
def test_no_order_of_events_is_a_bug(mode: str) -> None:
    start = process_of(mode)
    seen = {(start.state, start.then, start.leader, start.rapid_restarts, start.ready, 0, True)}
    queue = [(start, 0.0)]
    rows: set[tuple[ProcessState, EntryTrigger]] = set()
    while queue:
        process, now = queue.pop()
        for event in answers(process):
            at = max(now, process.due or now) if isinstance(event, AlarmRang) else now
            result, effects = advance(process, event, at, LIMITS)
            spawned = any(isinstance(effect, Spawn) for effect in effects)
            ended = isinstance(event, Exited | SpawnFailed | SpawnPrevented)
            assert not (spawned and process.leader and not ended)
            assert (
                result.state not in LIVE
                or result.leader
                or result.due is not None
                or result.state in (ProcessState.STOPPING, ProcessState.TIMED_OUT)
            )
            key = (
                result.state,
                result.then,
                result.leader,
                result.rapid_restarts,
                result.ready,
                min(result.escalation_step, 4),
                result.last_start is None,
            )
            if key not in seen:
                seen.add(key)
                queue.append((result, at))
    states = {state for state, *_ in seen}
    assert rows <= set(TABLE)
    limited = "timeout" in mode or "start" in mode or mode == Mode.MONITOR
    assert (ProcessState.TIMED_OUT in states) is limited
    never = {*FINISHED, ProcessState.OFF}
    if mode in {Mode.RESPAWN, *WRAPPED}:
        assert states == set(ProcessState) - never - {ProcessState.TIMED_OUT, ProcessState.IDLE}
    elif mode.startswith("respawn"):
        assert states == set(ProcessState) - never - {ProcessState.IDLE}
    elif mode == Mode.MONITOR:
        assert states == set(ProcessState) - never - {ProcessState.PAUSING}
    elif mode == Mode.OFF:
        assert states == {ProcessState.OFF}
    else:
        assert ProcessState.STOPPING in states
        assert states & FINISHED
