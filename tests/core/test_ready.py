"""`ready=` and `start=` in the machines: when an entry counts as started, and what waits for it."""

from __future__ import annotations

import pytest

from mosha.clinit.notify_socket import Notification
from mosha.clinit.reports import group_report
from mosha.core.escalation import Limits
from mosha.core.status import EntryVerb, TroubleKind
from mosha.core.supervision.entries import trouble_text, troubles
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    AlarmRang,
    BecameReady,
    Emptied,
    Exit,
    Exited,
    NotReady,
    Ready,
    Scope,
    Signal,
    Spawn,
    Spawned,
    Started,
    StopAsked,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import STOP_LEVEL, Entry
from tests.core.unit_world import World, entry, running, state_of, world_of

LIMITS = Limits()
AWAITED = "g:d:1:respawn(ready=notify):x"
LIMITED = "g:d:1:respawn(ready=notify,start=30s):x"
NEXT = ("g:w:1:wait:x", "g:e:1:respawn:x")


def started(text: str = LIMITED) -> Process:
    """Return an entry whose first run has begun at 100 s."""
    process, _ = advance(new_process(entry(text)), Started(1), 100.0, LIMITS)
    return advance(process, Spawned(1, 7), 100.0, LIMITS)[0]


def lines(*text: str) -> tuple[Entry, ...]:
    """Return the entries of a cltab."""
    return tuple(entry(line, number) for number, line in enumerate(text, 1))


# --- one entry -----------------------------------------------------------------------------


def test_a_run_that_is_ready_has_no_limit_any_more() -> None:
    process = started()
    assert (process.ready, process.due) == (False, 130.0)
    process, effects = advance(process, BecameReady(1), 112.5, LIMITS)
    assert (process.state, process.ready, process.due) == (ProcessState.RUNNING, True, None)
    assert effects == (Ready(process.entry, 12.5),)
    assert process.since == 100.0


def test_that_it_is_ready_is_heard_once() -> None:
    process, _ = advance(started(), BecameReady(1), 110.0, LIMITS)
    assert advance(process, BecameReady(1), 111.0, LIMITS) == (process, ())


@pytest.mark.parametrize("run", [0, 2])
def test_what_another_run_says_is_not_heard(run: int) -> None:
    process = started()
    assert advance(process, BecameReady(run), 110.0, LIMITS) == (process, ())


def test_what_is_being_stopped_is_not_ready_any_more() -> None:
    process, _ = advance(started(), StopAsked(), 110.0, LIMITS)
    assert advance(process, BecameReady(1), 111.0, LIMITS) == (process, ())


def test_a_run_that_has_ended_is_not_ready_and_neither_is_the_next() -> None:
    process, _ = advance(started(), BecameReady(1), 110.0, LIMITS)
    process, _ = advance(process, Exited(1, Exit(0), in_session=True), 200.0, LIMITS)
    assert (process.state, process.ready) == (ProcessState.CLEARING, False)
    process, _ = advance(process, Emptied(1, Scope.SESSION), 201.0, LIMITS)
    assert (process.state, process.ready, process.due) == (ProcessState.RUNNING, False, 231.0)


def test_without_start_it_may_take_for_ever() -> None:
    process = started(AWAITED)
    assert process.due is None
    assert advance(process, AlarmRang(), 1e9, LIMITS) == (process, ())


def test_who_is_not_awaited_is_ready_from_its_start() -> None:
    process = started("g:d:1:respawn:x")
    assert process.ready
    assert advance(process, BecameReady(1), 101.0, LIMITS) == (process, ())


def test_a_run_that_is_not_ready_in_time_is_stopped_has_failed_and_is_started_again() -> None:
    process, effects = advance(started(), AlarmRang(), 130.0, LIMITS)
    assert process.state is ProcessState.TIMED_OUT
    assert effects == (
        NotReady(process.entry, 30.0),
        Signal(process.entry, 1, "INT", Scope.ENTRY),
    )
    assert advance(process, BecameReady(1), 131.0, LIMITS) == (process, ())  # too late
    process, _ = advance(process, Exited(1, Exit(0), elsewhere=True), 132.0, LIMITS)
    assert process.state is ProcessState.TIMED_OUT  # something of it is left
    process, effects = advance(process, Emptied(1, Scope.ENTRY), 133.0, LIMITS)
    assert effects == (Spawn(process.entry, 2),)
    assert (process.state, process.timed_out, process.due) == (ProcessState.RUNNING, False, 163.0)
    assert (process.exit, process.failures, process.failed_at) == (
        "not ready within 30 s",
        1,
        (132.0,),
    )


def test_the_throttle_counts_runs_that_were_not_ready_like_others() -> None:
    process = started("g:d:1:respawn(ready=notify,start=0.5s,stop=KILL):x")
    now = 100.0
    for run in range(1, 7):
        process, _ = advance(process, AlarmRang(), now + 0.5, LIMITS)
        assert process.state is ProcessState.TIMED_OUT
        now += 0.6
        process, _ = advance(process, Exited(run, Exit(-9)), now, LIMITS)
        assert process.state is ProcessState.RUNNING
    process, _ = advance(process, AlarmRang(), now + 0.5, LIMITS)
    process, _ = advance(process, Exited(7, Exit(-9)), now + 0.6, LIMITS)
    assert process.state is ProcessState.PAUSING
    assert len(process.failed_at) == 7


@pytest.mark.parametrize("text", [AWAITED, LIMITED])
def test_an_end_before_it_was_ready_is_a_failure_whatever_its_exit(text: str) -> None:
    process, _ = advance(started(text), Exited(1, Exit(0)), 105.0, LIMITS)
    assert (process.exit, process.failures) == ("exit 0 before it was ready", 1)
    assert process.failed_at == (105.0,)


def test_a_stop_before_it_was_ready_is_no_failure() -> None:
    process, _ = advance(started(), StopAsked(), 105.0, LIMITS)
    process, _ = advance(process, Exited(1, Exit(-2)), 106.0, LIMITS)
    assert (process.state, process.exit, process.failed_at) == (
        ProcessState.WAITING,
        "signal 2",
        (),
    )


# --- its group -----------------------------------------------------------------------------


def test_the_next_entry_and_the_group_wait_until_it_is_ready() -> None:
    world = world_of(AWAITED, *NEXT).tell("1")
    assert (running(world), state_of(world)) == (["d"], "1 STARTING")
    world = world.ready("d")
    assert running(world) == ["d", "w"]
    world = world.end("w")
    assert (running(world), state_of(world)) == (["d", "e"], "1 DONE")


def test_they_wait_for_the_next_run_if_it_ends_before() -> None:
    world = world_of(AWAITED, *NEXT).tell("1").end("d", 1)
    assert (running(world), state_of(world)) == (["d"], "1 STARTING")
    assert running(world.ready("d")) == ["d", "w"]


def test_a_group_that_has_arrived_stays_so_when_a_run_is_followed_by_another() -> None:
    world = world_of(AWAITED, "g:e:1:respawn:x").tell("1").ready("d").end("d", 1)
    assert state_of(world) == "1 DONE"
    assert not world.unit.processes["d"].ready


def test_told_the_same_level_again_it_waits_for_who_is_not_ready_and_restarts_nobody() -> None:
    world = world_of(AWAITED, "g:e:1:respawn:x").tell("1").ready("d").end("d", 1).tell("1")
    assert state_of(world) == "1 STARTING"
    assert world.unit.processes["d"].starts == 2
    assert state_of(world.ready("d")) == "1 DONE"


def test_a_group_can_be_stopped_while_it_waits() -> None:
    world = world_of(AWAITED, "g:e:1:respawn:x").tell("1").tell(STOP_LEVEL).end("d", -2).settle()
    assert state_of(world) == "stop DONE"


def test_an_operator_can_stop_who_is_awaited_and_start_it_again() -> None:
    world = world_of(AWAITED, "g:e:1:respawn:x").tell("1")
    world = world.order_entry("d", EntryVerb.STOP).end("d", -2)
    assert (running(world), state_of(world)) == ([], "1 STARTING")
    world = world.order_entry("d", EntryVerb.START).ready("d")
    assert (running(world), state_of(world)) == (["d", "e"], "1 DONE")


def test_a_new_ready_restarts_a_run_that_is_awaited() -> None:
    world = world_of(AWAITED).tell("1")
    another = lines("g:d:1:respawn(ready=port/80):x")
    assert state_of(world.tell("1", another)) == "1 STOPPING"
    none = world.tell("1", lines("g:d:1:respawn:x")).end("d", -2)
    assert (running(none), state_of(none)) == (["d"], "1 DONE")


@pytest.mark.parametrize("options", ["", "(ready=port/80)", "(ready=notify,start=9s)"])
def test_a_new_ready_leaves_a_run_alone_that_is_ready(options: str) -> None:
    world = world_of(AWAITED).tell("1").ready("d")
    world = world.tell("1", lines(f"g:d:1:respawn{options}:x"))
    assert (state_of(world), world.unit.processes["d"].starts) == ("1 DONE", 1)


def test_a_ready_where_there_was_none_leaves_what_runs_alone() -> None:
    world = world_of("g:d:1:respawn:x").tell("1").tell("1", lines(AWAITED))
    assert (state_of(world), world.unit.processes["d"].starts) == ("1 DONE", 1)


def test_a_new_start_is_that_of_the_next_run() -> None:
    world = world_of(LIMITED).tell("1").tell("1", lines("g:d:1:respawn(ready=notify,start=9s):x"))
    assert world.unit.processes["d"].due == 130.0
    world = world.end("d", 1)
    assert world.unit.processes["d"].due == world.now + 9.0


# --- what is said of it --------------------------------------------------------------------


def told_of(world: World, later_s: float, status: str = "") -> list[tuple[TroubleKind, str]]:
    """Return what a node tells of the entries, from the report that clinit makes of them."""
    unit, now = world.unit, world.now + later_s
    report = group_report(
        unit, unit.group, 0, lambda _tag, _lines: (), {"d": Notification(status=status)}
    )
    found = troubles(report.entries, unit.group.level, unit.group.state, unit.entries, now)
    return [(trouble.kind, trouble_text(trouble)) for trouble in found]


def test_who_takes_long_to_be_ready_is_said_with_its_limit_and_what_it_says_of_itself() -> None:
    world = world_of(LIMITED).tell("1")
    assert told_of(world, 10.0) == []
    late = "entry d is not ready after 11 s: its time limit is 30 s: recovering"
    assert told_of(world, 11.0, "recovering") == [(TroubleKind.UNREADY, late)]
    assert told_of(world.ready("d"), 11.0) == []


def test_a_run_that_is_not_ready_is_shown_as_starting() -> None:
    world = world_of(AWAITED).tell("1")
    shown = [
        group_report(it.unit, it.unit.group, 0, lambda _tag, _lines: ()).entries[0].shown_state
        for it in (world, world.ready("d"), world.tell(STOP_LEVEL))
    ]
    assert shown == ["starting", "running", "stopping"]
