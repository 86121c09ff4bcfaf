"""A group with its entries: the original's behaviour step by step, and every order of events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mosha.core.status import GroupState
from mosha.core.supervision.group import Deadlines, Renewed
from mosha.core.supervision.process_events import Scope, Signal
from mosha.core.supervision.process_table import LIVE, ProcessState
from mosha.core.supervision.unit import Launch
from mosha.core.tables import STOP_LEVEL, Mode
from tests.core.unit_world import (
    World,
    entry,
    explore,
    killed_all,
    leased,
    owned,
    running,
    settled,
    state_of,
    swept,
    world_of,
)

pytestmark = pytest.mark.xdist_group("unit")  # all orders are gone through once


def signals(world: World) -> list[tuple[str, str]]:
    """Return (tag, signal) of what the last step sent to entries."""
    return [(e.entry.tag, e.signal) for e in world.effects if isinstance(e, Signal)]


def started(world: World) -> list[str]:
    """Return the tags that the last step started."""
    return [effect.entry.tag for effect in world.effects if isinstance(effect, Launch)]


# --- levels and modes ------------------------------------------------------------------


def test_a_wait_entry_keeps_the_next_ones_waiting_c3_1_c1_18() -> None:
    world = world_of("g:a:1:wait:x", "g:b:1:wait:x").tell("1")
    assert state_of(world) == "1 STARTING"
    assert running(world) == ["a"]
    world = world.end("a")
    assert running(world) == ["b"]
    assert state_of(world.end("b")) == "1 DONE"


def test_once_and_respawn_entries_do_not_keep_anything_waiting_c3_2() -> None:
    world = world_of("g:a:1:once:x", "g:b:1:respawn:x", "g:c:1:once:x").tell("1")
    assert running(world) == ["a", "b", "c"]
    assert state_of(world) == "1 DONE"


def test_a_once_entry_that_has_ended_stays_done_c3_7() -> None:
    world = world_of("g:a:1:once:x").tell("1").end("a")
    assert state_of(world) == "1 DONE"
    assert world.unit.processes["a"].state is ProcessState.DONE
    assert running(world) == []


def test_the_group_does_not_change_when_an_entry_is_respawned_c3_8() -> None:
    world = world_of("g:a:1:respawn:x").tell("1")
    again = world.later(5).end("a", 3)
    assert started(again) == ["a"]
    assert again.shown == world.shown


@pytest.mark.parametrize(
    ("ends", "result"),
    [
        pytest.param({"a": 0, "b": 0}, "1 PASSED", id="all pass"),
        pytest.param({"a": 0, "b": 1}, "1 FAILED", id="one fails"),
        pytest.param({"a": -9, "b": 0}, "1 FAILED", id="one is killed (C3.3)"),
    ],
)
def test_the_results_of_tests_are_the_groups_c3_3_c3_5(ends: dict[str, int], result: str) -> None:
    world = world_of("g:a:1:test:x", "g:b:1:test:x").tell("1")
    for tag, code in ends.items():
        world = world.end(tag, code)
    assert state_of(world) == result


def test_tests_beside_other_entries_make_done_at_best_c3_5() -> None:
    lines = ("g:a:1:test:x", "g:b:1:wait:x")
    assert state_of(world_of(*lines).tell("1").end("a").end("b")) == "1 DONE"
    failed = world_of(*lines).tell("1").end("a", 1).end("b")
    assert state_of(failed) == "1 FAILED"
    assert failed.unit.group.cause == "test entry a: exit 1"


def test_a_failed_test_does_not_keep_later_entries_from_starting_c3_6() -> None:
    world = world_of("g:t:1:test:x", "g:r:1:respawn:x").tell("1").end("t", 1)
    assert state_of(world) == "1 FAILED"
    assert running(world) == ["r"]


def test_the_exit_status_of_wait_once_and_respawn_does_not_matter_c3_4_c3_17() -> None:
    world = world_of("g:a:1:wait:x", "g:b:1:once:x").tell("1").end("a", 7).end("b", -9)
    assert state_of(world) == "1 DONE"


def test_an_off_entry_is_skipped_c3_12() -> None:
    world = world_of("g:y:3:off:x", "g:z:3:wait:x").tell("3")
    assert running(world) == ["z"]
    world = world.end("z")
    assert state_of(world) == "3 DONE"
    assert world.unit.processes["y"].state is ProcessState.OFF


def test_a_level_without_entries_is_done_at_once_c2_9() -> None:
    assert world_of("g:a:1:wait:x").tell("zz").shown == (
        *("zz STARTING", "zz CHECKING", "zz DONE"),
    )


def test_a_command_that_cannot_be_executed_ends_its_entry_and_nothing_else_c3_15() -> None:
    world = world_of("g:r:1:respawn:x", "g:w:1:wait:x", "g:t:1:test:x", "g:z:1:once:x")
    world = world.tell("1").fail("w").fail("t")
    assert running(world) == ["r", "z"]
    assert state_of(world) == "1 FAILED"
    assert world.unit.group.cause == "test entry t: cannot execute: x"


# --- tells -----------------------------------------------------------------------------


def test_the_first_tell_shows_starting_checking_and_the_result_c7_3() -> None:
    world = world_of("g:a:1:wait:x").tell("1").end("a")
    assert world.shown == ("1 STARTING", "1 CHECKING", "1 DONE")


def test_a_later_tell_shows_the_old_level_until_its_processes_are_gone_c4_11_c7_3() -> None:
    world = world_of("g:a:1:respawn:x", "g:b:2:wait:x").tell("1").tell("2")
    assert state_of(world) == "1 STOPPING"
    assert signals(world) == [("a", "INT")]
    world = world.end("a", -2)
    assert world.shown[-3:] == ("1 STOPPING", "1 DUMPING", "2 STARTING")
    assert state_of(world.end("b")) == "2 DONE"


def test_all_leave_at_the_same_time_and_nothing_starts_before_the_last_is_gone_c4_6() -> None:
    world = world_of("g:a:1:respawn:x", "g:b:1:respawn:x", "g:c:2:once:x").tell("1").tell("2")
    assert signals(world) == [("a", "INT"), ("b", "INT")]
    world = world.end("b", -2)
    assert running(world) == ["a"]
    assert running(world.end("a", -2)) == ["c"]


def test_an_entry_of_both_levels_keeps_running_c4_7() -> None:
    world = world_of("g:a:12:respawn:x", "g:b:1:respawn:x").tell("1")
    run = world.of("a").run
    world = world.tell("2").end("b", -2)
    assert state_of(world) == "2 DONE"
    assert world.of("a").run == run


def test_leaving_a_level_forgets_what_finished_c4_5() -> None:
    world = world_of("g:a:1:wait:x").tell("1").end("a").tell("2").tell("1")
    assert running(world) == ["a"]


def test_the_same_level_again_starts_what_is_new_and_touches_nothing_else_c4_3_c5_1() -> None:
    world = world_of("g:w:1:wait:x", "g:r:1:respawn:x").tell("1").end("w")
    run = world.of("r").run
    world = world.tell("1", (*world.unit.entries, entry("g:n:1:wait:x")))
    assert running(world) == ["r", "n"]
    assert world.of("r").run == run
    assert state_of(world.end("n")) == "1 DONE"


def test_a_failed_test_is_not_retried_by_the_same_level_c4_4() -> None:
    world = world_of("g:t:1:test:x").tell("1").end("t", 1).tell("1")
    assert running(world) == []
    assert state_of(world) == "1 FAILED"
    assert running(world.tell("2").tell("1")) == ["t"]


def test_a_tell_while_starting_stops_the_running_wait_entry_c4_9() -> None:
    world = world_of("g:a:1:wait:x", "g:b:2:wait:x").tell("1").tell("2")
    assert signals(world) == [("a", "INT")]
    assert state_of(world) == "1 STOPPING"
    assert running(world.end("a", -2)) == ["b"]


def test_of_two_tells_in_quick_succession_the_last_wins_c4_9() -> None:
    world = world_of("g:a:1:respawn:x", "g:b:2:once:x", "g:c:3:once:x").tell("1")
    world = world.tell("2").tell("3").end("a", -2)
    assert running(world) == ["c"]


def test_the_sequence_of_the_originals_0232stop_c4_22() -> None:
    world = world_of("g:a:1:wait:x", "g:b:2:wait:x", "g:c:3:once:x").tell("2").tell("1")
    assert state_of(world) == "2 STOPPING"
    world = world.end("b", -2)
    assert world.shown[-3:] == ("2 STOPPING", "2 DUMPING", "1 STARTING")
    world = world.tell("2")
    assert state_of(world) == "1 STOPPING"
    world = world.tell("3")
    assert state_of(world) == "1 STOPPING"
    world = world.end("a", -2)
    assert state_of(world) == "3 DONE"
    assert running(world) == ["c"]


def test_an_entry_that_is_being_stopped_starts_afresh_if_it_is_wanted_again() -> None:
    world = world_of("g:a:1:respawn:x").tell("1").tell("2").tell("1")
    assert state_of(world) == "1 STOPPING"
    world = world.end("a", -2)
    assert started(world) == ["a"]
    assert state_of(world) == "1 DONE"


# --- changed entries -------------------------------------------------------------------


@pytest.mark.parametrize("line", ["g:a:1:respawn:y", "g:a:1:once:x"])
def test_a_changed_entry_is_stopped_in_an_orderly_way_and_started_anew_c5_2(line: str) -> None:
    world = world_of("g:a:1:respawn:x").tell("1")
    world = world.tell("1", (entry(line),))
    assert signals(world) == [("a", "INT")]
    world = world.end("a", -2)
    assert started(world) == ["a"]
    assert world.unit.processes["a"].entry == entry(line)


def test_a_removed_entry_is_stopped_in_an_orderly_way_c5_3() -> None:
    world = world_of("g:a:1:respawn:x", "g:b:1:respawn:x").tell("1")
    world = world.tell("1", (entry("g:b:1:respawn:x"),))
    assert signals(world) == [("a", "INT")]
    world = world.end("a", -2)
    assert running(world) == ["b"]
    assert list(world.unit.processes) == ["b"]


def test_an_entry_that_became_off_is_stopped_c3_12() -> None:
    world = world_of("g:a:1:respawn:x").tell("1").tell("1", (entry("g:a:1:off:x"),))
    assert signals(world) == [("a", "INT")]
    assert state_of(world.end("a", -2)) == "1 DONE"


def test_an_entry_whose_level_field_was_widened_keeps_running_c4_8() -> None:
    world = world_of("g:a:1:respawn:x").tell("1")
    world = world.tell("2", (entry("g:a:12:respawn:x"),))
    assert state_of(world) == "2 DONE"
    assert signals(world) == []


def test_a_finished_entry_with_a_new_command_runs_again_c5_2() -> None:
    world = world_of("g:a:1:wait:x").tell("1").end("a").tell("1", (entry("g:a:1:wait:y"),))
    assert started(world) == ["a"]


# --- stop, and what is left over ---------------------------------------------------------


def test_stop_runs_its_entries_and_then_ends_what_is_left() -> None:
    world = world_of("g:w:1:wait:x", "g:s:stop:wait:x").tell("1").end("w", elsewhere=True)
    assert state_of(world) == "1 DONE"
    world = world.tell("stop")
    assert running(world) == ["s"]
    assert swept(world) == []
    world = world.end("s")
    assert state_of(world) == "stop CHECKING"
    assert swept(world) == ["INT"]
    assert state_of(world.settle()) == "stop CHECKING"
    assert state_of(world.vanish("w").settle()) == "stop DONE"


def test_another_level_leaves_the_daemons_of_wait_entries_alone() -> None:
    world = world_of("g:w:1:wait:x").tell("1").end("w", in_session=True).tell("2")
    assert state_of(world) == "2 DONE"
    assert swept(world) == []


def test_what_is_left_at_stop_gets_int_term_and_kill_c6_1() -> None:
    world = world_of("g:w:1:wait:x").tell("1").end("w", in_session=True).tell("stop")
    assert swept(world) == ["INT"]
    begin = world.now
    seen = []
    for _ in range(4):
        world = world.wait()
        seen.append((round(world.now - begin, 3), swept(world)))
    assert seen == [(5.0, ["TERM"]), (15.0, ["KILL"]), (30.0, ["KILL"]), (50.0, ["KILL"])]


def test_stop_is_not_done_while_a_once_entry_of_it_runs() -> None:
    world = world_of("g:o:stop:once:x", "g:p:stop:once:x").tell("stop")
    assert running(world) == ["o", "p"]
    world = world.end("o")
    assert state_of(world) == "stop CHECKING"
    assert state_of(world.end("p").settle()) == "stop DONE"


def test_a_respawn_entry_of_stop_is_spared() -> None:
    world = world_of("g:r:stop:respawn:x", "g:w:1:wait:x").tell("1").end("w", elsewhere=True)
    world = world.tell("stop").vanish("w").settle()
    assert state_of(world) == "stop DONE"
    assert running(world) == ["r"]


def test_what_a_dead_leader_left_is_ended_before_the_respawn() -> None:
    world = world_of("g:r:1:respawn:x").tell("1").later(5).end("r", -9, in_session=True)
    assert signals(world) == [("r", "TERM")]
    assert started(world) == []
    assert signals(world.wait()) == [("r", "KILL")]
    assert started(world.vanish("r").settle()) == ["r"]


# --- halting and removal -----------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1])
def test_a_halt_stops_also_what_runs_in_a_passed_or_failed_group_c8_5(code: int) -> None:
    world = world_of("g:t:1:test:x", "g:r:1:respawn:x").tell("1").end("t", code).halt()
    assert state_of(world) == "1 HALTING"
    assert signals(world) == [("r", "INT")]
    world = world.end("r", -2).settle()
    assert world.shown[-2:] == ("1 HALTING", "1 CONFIGURED")


def test_a_halt_runs_no_stop_entries_and_ends_what_is_left_c8_4() -> None:
    world = world_of("g:w:1:wait:x", "g:s:stop:wait:x").tell("1").end("w", elsewhere=True).halt()
    assert running(world) == []
    assert swept(world) == ["INT"]
    assert state_of(world.vanish("w").settle()) == "1 CONFIGURED"


def test_a_repeated_stop_or_halt_does_not_restart_the_escalation_c6_8() -> None:
    world = world_of("g:r:1:respawn:x").tell("1").tell("stop")
    begin = world.now
    world = world.later(4).tell("stop").later(0.5).tell("stop")
    assert signals(world) == []
    world = world.wait()
    assert (world.now - begin, signals(world)) == (5.0, [("r", "TERM")])
    world = world.halt()
    assert signals(world) == []
    assert signals(world.halt()) == []


# --- deadlines ---------------------------------------------------------------------------


def test_a_lease_that_ends_stops_the_group_by_itself() -> None:
    world = leased().wait()
    assert world.now == 130
    assert state_of(world) == "start STOPPING"
    assert world.unit.group.cause == "lease ended"
    world = world.end("r", -2)
    assert running(world) == ["s"]
    world = world.end("s").settle()
    assert state_of(world) == "stop DONE"
    assert world.unit.due is None


def test_kill_at_kills_everything_the_entries_of_stop_too() -> None:
    world = leased().wait().end("r", -2)
    assert running(world) == ["s"]
    world = world.later(30)
    assert killed_all(world)
    assert state_of(world) == "stop STOPPING"
    world = world.end("s", -9).settle()
    assert state_of(world) == "stop DONE"
    assert world.unit.group.cause == "lease ended: killed"


def test_kill_at_runs_no_stop_entries() -> None:
    world = leased().later(100)
    assert killed_all(world)
    world = world.end("r", -9).settle()
    assert state_of(world) == "stop DONE"
    assert "stop STARTING" in world.shown
    assert running(world) == []


def test_a_renewal_of_the_same_term_moves_the_deadlines_on() -> None:
    world = leased().group(Renewed(7, Deadlines(200, 230)))
    assert state_of(world.later(60)) == "start DONE"
    assert state_of(world.later(101)) == "start STOPPING"


def test_a_renewal_of_another_term_is_ignored() -> None:
    world = leased().group(Renewed(6, Deadlines(200, 230))).group(Renewed(8, Deadlines(200, 230)))
    assert state_of(world.later(31)) == "start STOPPING"


def test_a_renewal_after_the_end_extends_the_stop_and_does_not_undo_it() -> None:
    world = leased().wait().group(Renewed(7, Deadlines(300, 330)))
    assert state_of(world) == "start STOPPING"
    assert not killed_all(world.later(60))
    world = world.end("r", -2).end("s").settle()
    assert state_of(world) == "stop DONE"


def test_a_tell_with_new_deadlines_undoes_a_lapse() -> None:
    world = leased().wait().lease("start", 8, 300.0, 330.0)
    world = world.end("r", -2)
    assert state_of(world) == "start DONE"
    assert running(world) == ["r"]


def test_a_tell_without_deadlines_does_not_undo_a_lapse() -> None:
    world = leased().wait().tell("start").end("r", -2).end("s").settle()
    assert state_of(world) == "stop DONE"


def test_a_deadline_that_is_past_counts_before_anything_is_started() -> None:
    world = world_of("g:r:start:respawn:x").lease("start", 1, 99.0, 130.0)
    assert started(world) == []
    assert state_of(world.settle()) == "stop DONE"


def test_the_lease_of_a_group_that_is_being_stopped_lapses_in_silence() -> None:
    world = leased().tell("stop").later(31)
    assert world.unit.group.lapsed
    assert signals(world) != [("r", "INT")]
    assert world.unit.group.cause == "tell"


def test_deadlines_are_forgotten_at_stop() -> None:
    world = leased().tell("stop").end("r", -2).end("s").settle()
    assert world.unit.group.deadlines is None
    world = world.group(Renewed(7, Deadlines(140, 150)))
    assert world.unit.due is None


# --- every order of events -----------------------------------------------------------------

LINES = (
    "g:t:1:test:x",
    "g:w:1:wait:x",
    "g:r:12:respawn:x",
    "g:p:3:test:x",
    "g:s:stop:once:x",
)
EXPLORED_MAX = 12_000


def moves(world: World) -> Iterator[tuple[str, World]]:
    """Yield everything that can happen next."""
    for level in ("1", "2", "3", STOP_LEVEL):
        if world.unit.group.state is not GroupState.HALTING:
            yield f"tell {level}", world.tell(level)
    if world.unit.group.state is not GroupState.HALTING:
        yield "lease 1", world.lease("1", 1, world.now + 30, world.now + 60)
    if world.unit.due is not None:
        yield "wait", world.wait()
    yield "halt", world.halt()
    for tag, alive in world.alive.items():
        if alive.run:
            yield f"{tag} ends", world.end(tag, 0)
            yield f"{tag} ends, in_session", world.end(tag, 1, in_session=True)
            if tag == "w":
                yield f"{tag} ends, elsewhere", world.end(tag, 0, elsewhere=True)
            yield f"{tag} fails", world.fail(tag)
        elif alive.anything:
            yield f"{tag} vanishes", world.vanish(tag)
    for question in world.asked:
        if world.is_true(question):
            yield f"answer {question}", world.answer(question)


@pytest.fixture(scope="module")
def reachable() -> list[World]:
    return explore(world_of(*LINES), moves, EXPLORED_MAX)


def test_no_order_of_events_meets_a_missing_row(reachable: list[World]) -> None:
    assert len(reachable) > 1000
    states = {world.unit.group.state for world in reachable}
    assert states == set(GroupState) - {GroupState.DUMPING}  # which lasts no time


def test_stop_done_always_means_that_nothing_is_alive(reachable: list[World]) -> None:
    at_stop = [w for w in reachable if settled(w) and w.unit.group.level == STOP_LEVEL]
    assert at_stop
    assert not any(alive.anything for world in at_stop for alive in world.alive.values())


def test_configured_always_means_that_nothing_is_alive(reachable: list[World]) -> None:
    resting = [w for w in reachable if w.unit.group.state is GroupState.CONFIGURED]
    assert len(resting) > 1
    assert not any(alive.anything for world in resting for alive in world.alive.values())


def test_only_what_belongs_to_the_level_runs_when_it_is_reached(reachable: list[World]) -> None:
    for world in filter(settled, reachable):
        level = world.unit.group.level
        live = {p.entry for p in world.unit.processes.values() if p.state in LIVE}
        assert all(entry.runs_at(level) for entry in live)


def test_from_everywhere_a_halt_comes_to_its_end(reachable: list[World]) -> None:
    for start in reachable:
        world = start.halt()
        for _ in range(10):
            for tag, alive in world.alive.items():
                if alive.run:
                    world = world.end(tag, -9)
                world = world.vanish(tag)
            world = world.settle()
        assert world.unit.group.state is GroupState.CONFIGURED


def test_from_everywhere_a_kill_at_reaches_stop_done_or_configured(reachable: list[World]) -> None:
    for start in reachable:
        if start.unit.group.deadlines is None or start.unit.group.killed:
            continue
        world = start.later(1000)
        assert killed_all(world) or world.unit.group.resting
        for tag, alive in world.alive.items():
            if alive.run:
                world = world.end(tag, -9)
        for tag in world.alive:
            world = world.vanish(tag)
        world = world.settle()
        assert world.unit.group.resting
        assert state_of(world) in {"stop DONE", f"{world.unit.group.level} CONFIGURED"}


def test_off_entries_are_the_only_ones_with_that_state() -> None:
    world = world_of("g:a:1:off:x").tell("1")
    assert world.unit.processes["a"].entry.mode is Mode.OFF


def test_a_signal_for_leftovers_names_their_session_only() -> None:
    world = world_of("g:r:1:respawn:x").tell("1").end("r", -9, in_session=True)
    scopes = [effect.scope for effect in world.effects if isinstance(effect, Signal)]
    assert scopes == [Scope.SESSION]


# --- a claim that ran nothing ---------------------------------------------------------------


def test_a_claim_that_is_withdrawn_from_an_empty_plan_runs_no_stop_entries() -> None:
    world = owned(world_of("g:s:stop:wait:x", "g:w:start:wait:x"), "plan", 3)
    world = owned(world, "stop", 3).settle()
    assert state_of(world) == "stop DONE"
    assert running(world) == []
    again = owned(owned(world, "plan", 4), "stop", 4).settle()  # as often as it happens
    assert (state_of(again), running(again)) == ("stop DONE", [])


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        pytest.param(["g:p:plan:once:x"], [("plan", 3)], id="its plan has an entry"),
        pytest.param(["g:w:start:once:x"], [("plan", 3), ("start", 3)], id="it has run"),
        pytest.param([], [("plan", 3), ("start", 3), ("plan", 3)], id="it was told more than plan"),
        pytest.param([], [], id="what ended with its clinit is put away (C7)"),
        pytest.param([], [("plan", 2)], id="the plan was another claim's"),
    ],
)
def test_what_may_have_run_is_undone_by_the_stop_entries(
    entries: list[str], told: list[tuple[str, int]]
) -> None:
    world = world_of("g:s:stop:wait:x", "g:r:start:respawn:x", *entries)
    for level, term in told:
        world = owned(world, level, term)
        for tag in running(world):
            world = world.end(tag)
        world = world.settle()
    world = owned(world, "stop", 3).settle()
    for tag in set(running(world)) - {"s"}:
        world = world.end(tag).settle()
    assert running(world) == ["s"]


def test_by_hand_plan_and_stop_run_the_stop_entries_again() -> None:
    world = world_of("g:s:stop:wait:x").tell("plan").tell("stop").settle()
    assert running(world) == ["s"]
