"""When a node may clean up after a group: `stop` entries and the term under which it ran (C5).

Once `kill_at` has passed another node may run the group, whatever a monitor that was paused says
then; and what never ran needs no cleaning up.
"""

from __future__ import annotations

import math

import pytest

from mosha.core.supervision.unit import Launch, Touched
from tests.core.unit_world import leased, owned, running, state_of, world_of


@pytest.mark.parametrize("again", [("stop", 7), ("plan", 7)])
def test_a_tell_after_kill_at_starts_no_stop_entry_of_that_term(again: tuple[str, int]) -> None:
    """The monitor was paused and says now that the lease is lost; another node has the group."""
    world = leased().later(100).end("r", -9).settle()
    world = owned(world, *again).settle()
    assert running(world) == []
    world = owned(world, "stop", 7).settle()
    assert (state_of(world), running(world)) == ("stop DONE", [])


def test_a_stop_entry_that_kill_at_has_ended_is_not_run_again() -> None:
    world = leased().wait().end("r", -2).later(30).end("s", -9).settle()
    world = owned(world, "stop", 7).settle()
    assert (state_of(world), running(world)) == ("stop DONE", [])


def test_a_start_under_a_lease_is_void_from_its_kill_at_on() -> None:
    until = [e.kill_at for e in leased().effects if isinstance(e, Launch)]
    assert until == [160.0]
    by_hand = world_of("g:r:1:respawn:x").tell("1")
    assert [e.kill_at for e in by_hand.effects if isinstance(e, Launch)] == [math.inf]


def test_after_new_deadlines_of_the_same_claim_the_stop_entries_run() -> None:
    world = leased().later(100).end("r", -9).settle().lease("start", 7, 300.0, 330.0)
    assert running(owned(world, "stop", 7).end("r", -2)) == ["s"]


def test_a_tell_with_passed_deadlines_runs_no_stop_entries_and_forgets_that_they_failed() -> None:
    world = world_of("g:s:stop:test:x", "g:r:start:respawn:x").lease("start", 7, 130.0, 160.0)
    world = owned(world, "stop", 7).end("r", -2).end("s", 1).settle()
    assert state_of(world) == "stop FAILED"
    world = world.lease("stop", 7, 100.0, 100.0).settle()
    assert (state_of(world), running(world)) == ("stop DONE", [])


def test_a_stop_of_what_has_stopped_already_is_answered_with_a_report_and_nothing_else() -> None:
    """The clinit was paused; the next claim's `plan` comes right after it, and ran nothing."""
    world = owned(leased(), "stop", 7).end("r", -2).end("s").settle()
    again = owned(world, "stop", 7)
    assert (again.unit, again.effects) == (world.unit, (Touched("g"),))
    for level, term in (("plan", 8), ("plan", 9), ("stop", 9)):
        again = owned(again, level, term)
    assert running(again.settle()) == []


def test_a_claim_that_ran_nothing_runs_no_stop_entries_however_often_it_is_stopped() -> None:
    """A paused clinit gets all tells at once, and then one that answers its first report."""
    planned = world_of("g:s:stop:wait:x", "g:w:start:wait:x")
    planned = owned(owned(owned(planned, "plan", 2), "stop", 2), "plan", 3)
    for terms in ((3, 3), (3, 2), (3, 2, 3), (2,), (2, 3)):
        world = planned
        for term in terms:
            world = owned(world, "stop", term)
            assert running(world) == []
            settled = world.settle()
            assert (state_of(settled), running(settled)) == ("stop DONE", [])
        assert world.unit.group.term == 3
