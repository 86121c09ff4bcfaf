"""The turn of a group: grant, lease and its end (C3 to C5), and what a claim outlives (C7)."""

from __future__ import annotations

import pytest

from mosha.core.status import (
    GroupState,
    Stamp,
    Status,
    Vote,
)
from mosha.core.tables import Wish
from tests.core.owner import D, L, T, backs, brain, planned, record, running
from tests.core.story import INC, G, Story, hactl, one_of_three, report, says, status

# --- C3, C4: the grant and the lease -------------------------------------------------------


def test_c3_c5_a_claim_is_granted_by_q_votes_and_test_is_told_with_its_deadlines() -> None:
    story = planned()
    story.now += 0.5
    assert story.step(1).tell is None  # its own vote is one of two
    story.hear(1, backs(2, 2))
    step = story.step(1)
    assert step.tell is not None
    assert (step.tell.level, step.tell.term) == ("test", 1)
    # C4: from the write that is echoed, not from the read
    assert (step.tell.stop_at, step.tell.kill_at) == (1000.0 + L, 1000.0 + L + D)


def test_c3_a_grant_is_noted_once_and_wakes_the_group_once() -> None:
    story = planned()
    brain(story).take_notes()
    brain(story).take_to_step()
    story.hear(1, backs(2, 2))
    brain(story).take_to_step()
    brain(story).renewals(story.now)
    assert brain(story).take_to_step() == {G}
    for _ in range(3):
        brain(story).renewals(story.now)
    assert [note.event for note in brain(story).take_notes()] == ["claim_granted"]
    assert brain(story).take_to_step() == frozenset()


def test_c5_plan_and_stop_carry_no_deadlines() -> None:
    story = one_of_three()
    plan = story.step(1).tell
    assert plan is not None
    assert (plan.stop_at, plan.kill_at) == (None, None)
    brain(story).leave()
    stop = story.step(1).tell
    assert stop is not None
    assert (stop.level, stop.stop_at, stop.kill_at) == ("stop", None, None)


NO_SUPPORT = {
    "a vote for another term": backs(2, 2, term=2),
    "a vote for another node": says(2, 2, votes={G: Vote(1, 3, INC, 1)}),
    "no echo": status(2, 2, votes={G: Vote(1, 1, INC, 2)}),
    "an echo of another life": status(
        2, 2, votes={G: Vote(1, 1, INC, 2)}, seen={1: Stamp(INC - 1, 2)}
    ),
    "an echo from before the claim": backs(2, 2, echo=1),
    "somebody who does not vote": backs(9, 2),
}


@pytest.mark.parametrize("support", NO_SUPPORT.values(), ids=NO_SUPPORT.keys())
def test_c3_what_does_not_support_this_very_claim_grants_nothing(support: Status) -> None:
    story = planned()
    brain(story).members_found(frozenset({1, 2, 3}))
    story.hear(1, support)
    assert story.step(1).tell is None
    assert not record(story).granted


def test_c3_the_own_vote_counts_only_when_it_is_published() -> None:  # V4
    story = one_of_three()
    story.step(1)
    story.hear(1, backs(2, 2, echo=1))
    story.hear(1, backs(3, 2, echo=1))
    story.step(1)
    assert not record(story).granted


def test_c4_every_observation_may_move_the_lease_on_and_none_moves_it_back() -> None:
    story = planned()
    story.hear(1, backs(2, 2))
    story.step(1)
    assert record(story).lease_until == 1000.0 + L
    story.now = 1001.0
    story.write(1)  # status 3
    story.step(1)
    assert record(story).lease_until == 1000.0 + L  # the own write alone moves nothing
    story.now = 1002.0
    story.hear(1, backs(3, 2, echo=3))
    story.step(1)
    assert record(story).lease_until == 1001.0 + L
    story.hear(1, backs(2, 3, echo=2))  # an old echo
    story.step(1)
    assert record(story).lease_until == 1001.0 + L


def test_c4_a_vote_that_was_taken_back_moves_nothing() -> None:
    story = planned()
    story.hear(1, backs(2, 2))
    story.step(1)
    story.now = 1001.0
    story.write(1)
    story.hear(1, says(2, 3, seen={1: Stamp(INC, 3)}))
    story.step(1)
    assert record(story).granted  # until the lease runs out
    assert record(story).lease_until == 1000.0 + L


def test_c5_the_group_stops_when_the_lease_has_run_out() -> None:
    story = running()
    story.now = 1000.0 + L - 0.01
    assert story.step(1).tell is None
    story.now = 1000.0 + L
    step = story.step(1)
    assert step.row is not None
    assert step.row.name == "lost its lease"
    assert step.tell is not None
    assert step.tell.level == "stop"


def test_c5_a_turn_is_due_when_the_lease_runs_out() -> None:
    story = running()
    assert story.step(1).wake_at == 1000.0 + L


def test_c4_two_owners_are_not_made_by_a_vote_for_a_forgotten_claim_of_the_same_term() -> None:
    # Node 2 owned g under term 5 by the vote of node 1. Its machine died with its disk, so
    # it claims term 5 again: node 3, which is all it sees, knows of no more than 4.
    story = Story(wishes=hactl(Wish(G, "start", prefer=(2, 1))))
    story.cuts = {(3, 1), (3, 2), (2, 1)}
    for node in story.ids:
        story.nodes[node].state.silent_until = None
        story.nodes[node].state.view.know_term(G, 4)
    story.write(1, 3)
    story.read(2, 1, 3)
    story.write(2)
    story.step(2)
    story.write(2)
    story.read(1, 2, 3)
    story.step(1)
    story.write(1)
    story.read(2, 1)
    assert [story.step(2).tell is not None for _ in range(2)] == [True, True]
    assert (story.owners(), record(story, 2).claim) == ([2], 5)
    story.die(2)
    del story.files[2]
    story.now += 0.1
    story.reboot(2, knows=False)
    story.write(2)  # no claim in it
    story.now += 5.0
    story.write(2)
    # Node 1 reads that and publishes, by its heartbeat, before the turn of the group:
    # a vote for term 5 of node 2 with an echo of node 2's new life. Then it lets go.
    story.read(1, 2, 3)
    story.write(1)
    late = story.files[1]
    assert late.votes[G] == Vote(5, 2, INC, 2)
    assert late.seen[2] == Stamp(INC + 1, 2)
    record(story).backoff_until = story.now + T / 2  # it lost a collision before
    story.step(1)
    assert record(story).ballot.vote is None
    # Its silence is over: node 2 sees node 3 only, and claims the free group again.
    story.now += T - 5.0
    story.write(3)
    story.read(2, 3)
    story.step(2)
    story.write(2)
    assert record(story, 2).claim == 5
    # Node 1 claims as well, and node 3 votes for it. Then the late status reaches node 2.
    story.step(1)
    assert record(story).claim == 6
    story.write(1)
    story.read(3, 1)
    story.step(3)
    story.write(3)
    story.read(1, 3)
    story.step(1)
    assert story.owners() == [1]
    story.hear(2, late)
    story.step(2)
    assert not record(story, 2).granted
    story.assert_at_most_one()


# --- C7: a claim outlives everything of the group --------------------------------------------


def test_c7_the_claim_stays_until_nothing_of_the_group_is_left() -> None:
    story = running()
    brain(story).leave()
    tell = brain(story).step(G, story.now, 0.0).tell
    assert tell is not None
    assert tell.level == "stop"
    for shown in (
        report("start", GroupState.STOPPING, wanted="stop", term=1),
        report("stop", GroupState.STARTING, term=1),
        report("stop", term=1, alive=1),
        report("stop", GroupState.FAILED, term=1),
    ):
        story.show(1, shown)
        assert story.step(1).tell is None
        assert brain(story).next_status(story.now).claims == {G: 1}
    story.show(1, report("stop", term=1))
    story.write(1)
    brain(story).take_to_step()
    assert story.step(1).row is not None
    assert brain(story).dirty
    assert brain(story).take_to_step() == {G}  # it is free, for this node too
    made = brain(story).next_status(story.now)
    assert (made.claims, made.votes) == ({}, {})


def test_c7_a_clinit_that_does_not_answer_changes_no_claim() -> None:
    story = running()
    brain(story).clinit_lost()
    story.now += 10 * T
    assert story.step(1).tell is None
    assert brain(story).next_status(story.now).claims == {G: 1}


def test_c7_what_a_new_clinit_has_not_is_stopped_before_the_claim_ends() -> None:
    story = running()
    until = record(story).lease_until
    brain(story).clinit_lost()
    brain(story).clinit_answered([], story.now)
    step = brain(story).step(G, story.now, 0.5)
    tell = step.tell
    assert tell is not None
    assert (tell.level, tell.stop_at) == ("stop", until)
    assert tell.kill_at == until + D
    assert step.row is not None
    assert step.row.name == "cut short"
    # Not seen yet, and then on its way: the claim stays, and nothing else is told.
    for state in (None, GroupState.STARTING, GroupState.CHECKING):
        if state is not None:
            brain(story).clinit_changed(report("stop", state, term=1))
        assert brain(story).step(G, story.now, 0.5).tell is None
        assert record(story).claim == 1
    brain(story).clinit_changed(report("stop", GroupState.DONE, term=1))
    story.step(1)
    assert record(story).claim is None


def test_c7_without_the_lease_nothing_that_was_cut_short_is_touched() -> None:
    story = running()
    brain(story).clinit_lost()
    story.now = record(story).lease_until
    brain(story).clinit_answered([], story.now)
    assert brain(story).step(G, story.now, 0.5).tell is None
    assert record(story).claim is None


def test_c7_a_group_that_cltab_lacks_by_now_cannot_be_stopped_and_its_claim_ends() -> None:
    story = running()
    brain(story).clinit_lost()
    brain(story).clinit_answered([], story.now)
    assert brain(story).step(G, story.now, 0.5).tell is not None
    brain(story).tell_refused(G, "stop", "no such group: g", story.now)
    assert brain(story).step(G, story.now, 0.5).tell is None
    assert record(story).claim is None
