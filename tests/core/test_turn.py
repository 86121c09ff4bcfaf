"""The turn of a group: votes (V1 to V3), claims (C1 to C8), and the life that follows (H5)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.ballot import Ballot
from mosha.core.fencing import FencingRules
from mosha.core.life import Do
from mosha.core.node import Node
from mosha.core.seat import TOLD_LIMIT_S, Seat
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    NodeState,
    Receipt,
    Stamp,
    Status,
    Term,
    Vote,
)
from mosha.core.tables import Hactl, Wish
from mosha.core.turn import BACKOFF_DOUBLINGS_MAX, BACKOFF_STEP_S
from tests.core.story import INC, TIMING, G, Story, hactl, local, one_of_three, status

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
HEARTBEAT_S, PLAN_LIMIT_S = TIMING.heartbeat_s, TIMING.plan_limit_s


def brain(story: Story) -> Node:
    return story.nodes[1]


def seat(story: Story, node: int = 1) -> Seat:
    return story.nodes[node].mind.seat(G)


def causes(story: Story, event: str, node: int = 1) -> list[object]:
    """The causes of all notes of an event since they were taken last."""
    return [n.fields.get("cause") for n in story.nodes[node].take_notes() if n.event == event]


def says(node: int, seq: int, **more: Any) -> Status:
    """A made-up status of a peer that has a quorum and echoes node 1."""
    return status(node, seq, **({"seen": {1: Stamp(INC, 1)}} | more))


def at(level: str, state: GroupState = GroupState.DONE) -> dict[str, GroupLine]:
    return {G: GroupLine(level, state)}


ELSEWHERE = Wish(G, "start", only=(2, 3))
"""A group that node 1 never claims itself: it only votes."""


# --- V1, V2: giving a vote ---------------------------------------------------------------


def test_v2_a_vote_notes_the_status_that_showed_the_claim_and_is_published_at_once() -> None:
    story = one_of_three(ELSEWHERE)
    story.write(1)
    assert not brain(story).dirty
    story.hear(1, says(2, 7, claims={G: 5}, groups=at("plan")))
    story.turn(1)
    assert brain(story).dirty  # O5
    made = brain(story).next_status(story.now)
    assert made.votes == {G: Vote(term=5, node=2, inc=INC, seq=7)}
    assert made.terms == {G: Term(known=5, voted=5)}


def test_v1_a_second_claim_gets_no_vote_while_one_is_held() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}))
    story.turn(1)
    story.hear(1, says(3, 7, claims={G: 6}))
    story.turn(1)
    assert seat(story).ballot.vote == Vote(5, 2, INC, 7)


def test_v2_among_several_claims_the_best_rank_gets_the_vote() -> None:
    for first, second in ((2, 3), (3, 2)):
        story = one_of_three(Wish(G, "start", prefer=(3,), only=(2, 3)))
        story.hear(1, says(first, 7, claims={G: 5}), says(second, 7, claims={G: 5}))
        story.turn(1)
        vote = seat(story).ballot.vote
        assert vote is not None
        assert vote.node == 3


REFUSALS = [
    ("a term voted for before", says(2, 7, claims={G: 4})),
    ("a claimant that has left", says(2, 7, claims={G: 9}, state=NodeState.LEFT)),
]


@pytest.mark.parametrize("claim", [row[1] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_v2_a_claim_gets_no_vote(claim: Status) -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(3, 7, claims={G: 4}))
    story.turn(1)
    story.hear(1, says(3, 8))
    story.turn(1)
    assert seat(story).ballot.voted == 4
    story.hear(1, claim)
    story.turn(1)
    assert seat(story).ballot.vote is None


def test_v2_a_stale_claimant_gets_no_vote() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}))
    story.now += T + 1
    story.hear(1, says(3, 7))
    story.miss(1, 2)
    story.turn(1)
    assert seat(story).ballot.vote is None


def test_v2_no_vote_while_another_fresh_node_runs_the_group() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}), says(3, 7, groups=at("start")))
    story.turn(1)
    assert seat(story).ballot.vote is None
    story.hear(1, says(3, 8, groups=at("stop")))
    story.turn(1)
    assert seat(story).ballot.vote is not None


def test_v2_no_vote_while_the_own_clinit_runs_the_group_without_a_claim() -> None:
    story = one_of_three(ELSEWHERE)
    story.show(1, local("start"))  # by hand: `clinit g start`
    story.hear(1, says(2, 7, claims={G: 5}))
    assert story.turn(1).row is not None
    assert seat(story).ballot.vote is None
    story.turn(1)  # it was told to stop, and has
    assert seat(story).ballot.vote is not None


def test_v2_no_vote_before_it_is_known_what_runs_here() -> None:
    story = one_of_three(ELSEWHERE)
    brain(story).clinit_lost()
    story.hear(1, says(2, 7, claims={G: 5}))
    assert story.turn(1).row is None
    assert seat(story).ballot.vote is None


def test_v2_a_claim_that_runs_is_supported_late_in_the_same_term() -> None:
    # The vote went to the loser of a collision; else the winner had a bare quorum for ever.
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}))
    story.turn(1)
    story.hear(1, says(2, 8), says(3, 7, claims={G: 5}, groups=at("plan")))
    story.turn(1)
    assert seat(story).ballot.vote is None
    story.hear(1, says(3, 8, claims={G: 5}, groups=at("test")))
    story.turn(1)
    assert seat(story).ballot.vote == Vote(5, 3, INC, 8)


# --- V3: releasing it --------------------------------------------------------------------


def voted_for_2(*, required: bool = False) -> Story:
    """Node 1 has voted for the claim of node 2 in its status 7."""
    story = one_of_three(ELSEWHERE, rules=FencingRules(required=required))
    story.hear(1, says(2, 7, claims={G: 5}, groups=at("start")))
    story.turn(1)
    assert seat(story).ballot.vote == Vote(5, 2, INC, 7)
    brain(story).take_notes()
    return story


def test_v3a_a_newer_status_without_the_claim_releases_the_vote() -> None:
    story = voted_for_2()
    story.hear(1, says(2, 8))
    story.turn(1)
    assert causes(story, "vote_released") == ["claim withdrawn"]
    assert seat(story).ballot.voted == 5  # the term is not voted for again


def test_v3a_a_status_that_still_shows_the_claim_releases_nothing() -> None:
    story = voted_for_2()
    story.hear(1, says(2, 8, claims={G: 5}, groups=at("stop", GroupState.STOPPING)))
    story.turn(1)
    assert causes(story, "vote_released") == []


@pytest.mark.parametrize("required", [False, True])
def test_v3b_a_receipt_releases_the_vote(*, required: bool) -> None:
    story = voted_for_2(required=required)
    story.hear(1, says(3, 7, fenced={2: Receipt(INC, "ipmi")}))
    story.turn(1)
    assert causes(story, "vote_released") == ["claimant fenced"]


def test_v3b_a_receipt_of_an_earlier_life_releases_nothing() -> None:
    story = voted_for_2()
    story.hear(1, says(3, 7, fenced={2: Receipt(INC - 1, "ipmi")}))
    story.turn(1)
    assert causes(story, "vote_released") == []


def test_v3c_the_vote_is_released_no_earlier_than_t_after_the_claimant_was_heard() -> None:
    story = voted_for_2()
    story.now += T
    story.miss(1, 2)
    story.turn(1)
    assert causes(story, "vote_released") == []
    story.now += 0.01
    story.miss(1, 2)
    story.turn(1)
    assert causes(story, "vote_released") == ["claimant not heard from"]


def test_v3c_time_alone_releases_nothing() -> None:  # O3
    story = voted_for_2()
    story.now += 100 * T  # stopped for a quarter of an hour
    story.turn(1)
    assert causes(story, "vote_released") == []


def test_v3c_with_fencing_required_silence_releases_nothing() -> None:
    story = voted_for_2(required=True)
    story.now += 100 * T
    story.miss(1, 2)
    story.turn(1)
    assert causes(story, "vote_released") == []


# --- C1: when a node claims --------------------------------------------------------------


def claims(story: Story) -> bool:
    turn = story.turn(1)
    return turn.row is not None and turn.row.do is Do.PLAN


def test_c1_a_free_group_is_claimed_by_the_node_whose_turn_it_is() -> None:
    story = one_of_three()
    turn = story.turn(1)
    assert turn.tell is not None
    assert (turn.tell.level, turn.tell.term) == ("plan", 1)
    assert brain(story).dirty
    assert brain(story).next_status(story.now).claims == {G: 1}


def not_seeing_a_quorum(story: Story) -> None:
    story.now += T + 1
    story.miss(1, 2, 3)


def still_silent(story: Story) -> None:
    brain(story).mind.silent_until = story.now + 1


def own_vote_not_free(story: Story) -> None:
    # As after a restart, when the first status read of node 2 is older than the vote.
    seat(story).ballot = Ballot(Vote(5, 2, INC, 7), 5)


def new_incarnation_not_published(story: Story) -> None:
    story.hear(1, says(2, 2, seen={1: Stamp(INC + 3, 1)}))


OBSTACLES = {
    "no quorum": not_seeing_a_quorum,
    "V5 silent": still_silent,
    "its own vote is not free": own_vote_not_free,
    "its new incarnation is not published": new_incarnation_not_published,
    "not wanted": lambda s: s.adopt_tables(1, hactl(Wish(G, "stop"))),
    "not in hactl": lambda s: s.adopt_tables(1, hactl(Wish("h", "start"))),
    "not eligible": lambda s: s.adopt_tables(1, hactl(Wish(G, "start", only=(2, 3)))),
    "not in cltab": lambda s: brain(s).tables_adopted(hactl(), frozenset(), {}, {}),
    "no hactl": lambda s: brain(s).tables_adopted(None, frozenset({G}), {}, {}),
    "no tables": lambda s: brain(s).tables_adopted(None, None, {}, {}),
    "a claim elsewhere": lambda s: s.hear(1, says(3, 2, claims={G: 1})),
    "active elsewhere": lambda s: s.hear(1, says(3, 2, groups=at("start"))),
    "planned elsewhere": lambda s: s.hear(1, says(3, 2, groups=at("plan"))),
    "stopping elsewhere": lambda s: s.hear(1, says(3, 2, groups=at("stop", GroupState.STOPPING))),
    "stop failed elsewhere": lambda s: s.hear(1, says(3, 2, groups=at("stop", GroupState.FAILED))),
    "here already": lambda s: s.show(1, local("stop", GroupState.STOPPING)),
    "banned here": lambda s: brain(s).tell_refused(G, "plan", "no such group", s.now),
    "leaving": lambda s: brain(s).leave(),
    "a namesake": lambda s: brain(s).displaced(),
    "clinit unknown": lambda s: brain(s).clinit_lost(),
    "not its turn": lambda s: s.adopt_tables(1, hactl(Wish(G, "start", prefer=(2,)))),
}


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES.keys())
def test_c1_no_claim_while(obstacle: Any) -> None:
    story = one_of_three()
    obstacle(story)
    assert not claims(story)


def test_c1_no_claim_before_the_own_first_status_is_published() -> None:
    # Peers have to be able to echo it, and a namesake is found by it.
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    brain(story).mind.silent_until = None
    story.hear(1, status(2), status(3))
    assert not claims(story)
    story.write(1)
    assert claims(story)


def test_c1_what_a_stale_node_had_holds_nobody_up() -> None:  # H3.7, H3.8
    story = one_of_three()
    story.hear(1, says(3, 2, claims={G: 1}, groups=at("start")))
    story.now += T + 1
    story.hear(1, says(2, 2))
    assert not claims(story)  # looked at node 3 last when it was fresh
    story.miss(1, 3)
    assert claims(story)


def test_c1_with_fencing_required_a_stale_nodes_groups_wait_for_a_receipt() -> None:
    story = one_of_three(rules=FencingRules(required=True))
    story.hear(1, says(3, 2, claims={G: 1}, groups=at("start")))
    story.now += T + 1
    story.hear(1, says(2, 2))
    story.miss(1, 3)
    assert not claims(story)
    assert brain(story).confirmed(3) == ""
    assert claims(story)


# --- C2: the term --------------------------------------------------------------------------


KNOWN = {
    "a claim": {"claims": {G: 8}},
    "a vote": {"votes": {G: Vote(8, 3, INC, 1)}},
    "hearsay": {"terms": {G: Term(8)}},
}


@pytest.mark.parametrize("told", KNOWN.values(), ids=KNOWN.keys())
def test_c2_the_term_is_one_more_than_the_highest_that_anybody_told_of(told: Any) -> None:
    story = one_of_three()
    story.hear(1, says(2, 2, **told))
    story.hear(1, says(2, 3))
    turn = story.turn(1)
    assert turn.tell is not None
    assert turn.tell.term == 9


def test_c2_every_status_repeats_the_highest_term_seen_anywhere() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 2, terms={G: Term(4), "other": Term(7)}))
    made = brain(story).next_status(story.now)
    assert made.terms == {G: Term(4, voted=0), "other": Term(7, voted=0)}


def test_c2_the_claimant_votes_for_itself() -> None:
    story = one_of_three()
    story.turn(1)
    made = brain(story).next_status(story.now)
    assert made.votes == {G: Vote(term=1, node=1, inc=INC, seq=0)}


# --- C3, C4: the grant and the lease -------------------------------------------------------


def planned() -> Story:
    """Node 1 has claimed at 1000.0 and published that in its status 2, begun then."""
    story = one_of_three()
    story.turn(1)
    story.write(1)
    assert story.files[1].claims == {G: 1}
    return story


def backs(node: int, seq: int, *, echo: int = 2, term: int = 1, **more: Any) -> Status:
    """A status of a peer that votes for node 1's claim and echoes one of its statuses."""
    vote = Vote(term, 1, INC, 2)
    return status(node, seq, votes={G: vote}, seen={1: Stamp(INC, echo)}, **more)


def test_c3_c5_a_claim_is_granted_by_q_votes_and_test_is_told_with_its_deadlines() -> None:
    story = planned()
    story.now += 0.5
    assert story.turn(1).tell is None  # its own vote is one of two
    story.hear(1, backs(2, 2))
    turn = story.turn(1)
    assert turn.tell is not None
    assert (turn.tell.level, turn.tell.term) == ("test", 1)
    # C4: from the write that is echoed, not from the read
    assert (turn.tell.stop_at, turn.tell.kill_at) == (1000.0 + L, 1000.0 + L + D)


def test_c3_a_grant_is_noted_once_and_wakes_the_group_once() -> None:
    story = planned()
    brain(story).take_notes()
    brain(story).take_woken()
    story.hear(1, backs(2, 2))
    brain(story).take_woken()
    brain(story).renewals(story.now)
    assert brain(story).take_woken() == {G}
    for _ in range(3):
        brain(story).renewals(story.now)
    assert [note.event for note in brain(story).take_notes()] == ["claim_granted"]
    assert brain(story).take_woken() == frozenset()


def test_c5_plan_and_stop_carry_no_deadlines() -> None:
    story = one_of_three()
    plan = story.turn(1).tell
    assert plan is not None
    assert (plan.stop_at, plan.kill_at) == (None, None)
    brain(story).leave()
    stop = story.turn(1).tell
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
    assert story.turn(1).tell is None
    assert not seat(story).granted


def test_c3_the_own_vote_counts_only_when_it_is_published() -> None:  # V4
    story = one_of_three()
    story.turn(1)
    story.hear(1, backs(2, 2, echo=1))
    story.hear(1, backs(3, 2, echo=1))
    story.turn(1)
    assert not seat(story).granted


def test_c4_every_observation_may_move_the_lease_on_and_none_moves_it_back() -> None:
    story = planned()
    story.hear(1, backs(2, 2))
    story.turn(1)
    assert seat(story).lease_until == 1000.0 + L
    story.now = 1001.0
    story.write(1)  # status 3
    story.turn(1)
    assert seat(story).lease_until == 1000.0 + L  # the own write alone moves nothing
    story.now = 1002.0
    story.hear(1, backs(3, 2, echo=3))
    story.turn(1)
    assert seat(story).lease_until == 1001.0 + L
    story.hear(1, backs(2, 3, echo=2))  # an old echo
    story.turn(1)
    assert seat(story).lease_until == 1001.0 + L


def test_c4_a_vote_that_was_taken_back_moves_nothing() -> None:
    story = planned()
    story.hear(1, backs(2, 2))
    story.turn(1)
    story.now = 1001.0
    story.write(1)
    story.hear(1, says(2, 3, seen={1: Stamp(INC, 3)}))
    story.turn(1)
    assert seat(story).granted  # until the lease runs out
    assert seat(story).lease_until == 1000.0 + L


def running() -> Story:
    """Node 1 owns `g` under term 1 and is at `start`; its lease runs to 1000.0 + L."""
    story = planned()
    story.hear(1, backs(2, 2))
    assert [turn.tell.level for _ in range(2) if (turn := story.turn(1)).tell] == ["test", "start"]
    assert story.at_home() == [1]
    brain(story).take_notes()
    return story


def test_c5_the_group_stops_when_the_lease_has_run_out() -> None:
    story = running()
    story.now = 1000.0 + L - 0.01
    assert story.turn(1).tell is None
    story.now = 1000.0 + L
    turn = story.turn(1)
    assert turn.row is not None
    assert turn.row.name == "lost its lease"
    assert turn.tell is not None
    assert turn.tell.level == "stop"


def test_c5_a_turn_is_due_when_the_lease_runs_out() -> None:
    story = running()
    assert story.turn(1).wake_at == 1000.0 + L


def test_c4_two_owners_are_not_made_by_a_vote_for_a_forgotten_claim_of_the_same_term() -> None:
    # Node 2 owned g under term 5 by the vote of node 1. Its machine died with its disk, so
    # it claims term 5 again: node 3, which is all it sees, knows of no more than 4.
    story = Story(wishes=hactl(Wish(G, "start", prefer=(2, 1))))
    story.cuts = {(3, 1), (3, 2), (2, 1)}
    for node in story.ids:
        story.nodes[node].mind.silent_until = None
        story.nodes[node].mind.view.know_term(G, 4)
    story.write(1, 3)
    story.read(2, 1, 3)
    story.write(2)
    story.turn(2)
    story.write(2)
    story.read(1, 2, 3)
    story.turn(1)
    story.write(1)
    story.read(2, 1)
    assert [story.turn(2).tell is not None for _ in range(2)] == [True, True]
    assert (story.owners(), seat(story, 2).claim) == ([2], 5)
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
    seat(story).backoff_until = story.now + T / 2  # it lost a collision before
    story.turn(1)
    assert seat(story).ballot.vote is None
    # Its silence is over: node 2 sees node 3 only, and claims the free group again.
    story.now += T - 5.0
    story.write(3)
    story.read(2, 3)
    story.turn(2)
    story.write(2)
    assert seat(story, 2).claim == 5
    # Node 1 claims as well, and node 3 votes for it. Then the late status reaches node 2.
    story.turn(1)
    assert seat(story).claim == 6
    story.write(1)
    story.read(3, 1)
    story.turn(3)
    story.write(3)
    story.read(1, 3)
    story.turn(1)
    assert story.owners() == [1]
    story.hear(2, late)
    story.turn(2)
    assert not seat(story, 2).granted
    story.assert_at_most_one()


# --- C6: collisions --------------------------------------------------------------------------


def test_c6_h5_15_the_worse_of_two_planners_withdraws_and_the_better_one_stays() -> None:
    for other, row in ((2, "in transition"), (3, "collision")):
        story = one_of_three(Wish(G, "start", prefer=(3, 1, 2)))
        story.now += HEARTBEAT_S
        story.turn(1)
        story.now += HEARTBEAT_S
        assert claims(story)
        story.hear(1, says(other, 2, claims={G: 1}, groups=at("plan")))
        turn = story.turn(1, chance=0.9)
        assert turn.row is not None
        assert turn.row.name == row


def test_c6_a_claim_that_has_its_votes_already_is_better_whatever_its_rank() -> None:
    story = planned()
    vote = Vote(1, 2, INC, 2)
    story.hear(
        1,
        says(2, 2, claims={G: 1}, groups=at("plan"), votes={G: vote}),
        says(3, 2, votes={G: vote}),
    )
    turn = story.turn(1)
    assert turn.row is not None
    assert turn.row.name == "collision"


def test_h5_14_a_running_instance_wins_over_a_planner() -> None:
    story = planned()
    story.hear(1, says(3, 2, groups=at("start")))
    turn = story.turn(1)
    assert turn.row is not None
    assert turn.row.name == "runs elsewhere"
    assert turn.tell is not None
    assert turn.tell.level == "stop"


def test_h5_14_a_mere_planner_or_a_stale_file_does_not_stop_a_healthy_group() -> None:
    story = running()
    story.hear(1, backs(2, 3), says(3, 2, claims={G: 2}, groups=at("plan")))
    assert story.turn(1).tell is None
    story.hear(1, says(3, 3, groups=at("start")))  # H3.8: left over from before
    assert story.turn(1).tell is None
    assert story.at_home() == [1]


def test_c6_a_claim_not_granted_within_the_plan_limit_withdraws() -> None:
    story = planned()
    assert story.turn(1).wake_at == 1000.0 + PLAN_LIMIT_S
    story.now = 1000.0 + PLAN_LIMIT_S
    turn = story.turn(1, chance=0.5)
    assert turn.row is not None
    assert turn.row.name == "not granted in time"
    story.turn(1)
    made = brain(story).next_status(story.now)
    assert (made.claims, made.votes) == ({}, {})


def test_c6_h5_13_the_back_off_is_random_and_grows_with_each_failure() -> None:
    story = one_of_three()
    step = BACKOFF_STEP_S * 1.3  # three nodes
    for failure in range(BACKOFF_DOUBLINGS_MAX + 3):
        assert claims(story)
        story.now += PLAN_LIMIT_S
        story.hear(1, says(2, failure + 2), says(3, failure + 2))
        story.turn(1, chance=0.5)
        wait_s = 0.5 * step * 2 ** min(failure, BACKOFF_DOUBLINGS_MAX)
        assert seat(story).backoff_until == pytest.approx(story.now + wait_s)
        story.turn(1)  # the plan is stopped
        assert not claims(story)
        assert story.turn(1).wake_at <= story.now + wait_s
        story.now += wait_s
    assert 0.5 * step * 2**BACKOFF_DOUBLINGS_MAX < 15.0  # the original: up to 10 s


def test_c6_the_back_off_begins_anew_after_a_grant() -> None:
    story = planned()
    seat(story).collisions = 4
    story.hear(1, backs(2, 2))
    story.turn(1)
    assert seat(story).collisions == 0


def test_c6_a_claim_whose_voters_are_spent_is_raised_to_a_higher_term() -> None:
    story = planned()
    spent = {"terms": {G: Term(1, voted=1)}}
    story.hear(1, says(2, 2, **spent), says(3, 2, **spent))
    turn = story.turn(1)
    assert turn.row is not None
    assert turn.row.name == "votes split"
    assert turn.tell is None
    made = brain(story).next_status(story.now)
    assert (made.claims, made.votes[G].term) == ({G: 2}, 2)


SPENT = {"terms": {G: Term(1, voted=1)}}
MAY_STILL = {"votes": {G: Vote(1, 9, INC, 1)}, "terms": {G: Term(1, voted=1)}}
FOR_1 = {"votes": {G: Vote(1, 1, INC, 1)}, "terms": {G: Term(1, voted=1)}}

SPLITS = [
    # what nodes 2 to 5 say of their votes; whether three votes can still come together
    ([FOR_1, SPENT, SPENT, SPENT], True),
    ([FOR_1, SPENT, SPENT, MAY_STILL], False),
    ([FOR_1, SPENT, {}, SPENT], False),
    ([SPENT, SPENT, {}, {}], False),
    ([SPENT, SPENT, SPENT, {}], True),
    ([FOR_1, {}, {}, {}], False),
]


@pytest.mark.parametrize(("votes", "split"), SPLITS)
def test_c6_votes_are_split_when_too_few_are_left_that_can_support_the_claim(
    *, votes: list[dict[str, Any]], split: bool
) -> None:
    story = Story(range(1, 6), wishes=hactl(Wish(G, "start", prefer=(1,))))
    brain(story).mind.silent_until = None
    story.write(1)
    story.hear(1, *(says(node, 1) for node in (2, 3, 4, 5)))
    assert claims(story)
    story.hear(1, *(says(node, 2, **vote) for node, vote in enumerate(votes, 2)))
    story.hear(1, says(9, 2, **SPENT))  # does not vote at all
    turn = story.turn(1)
    assert turn.row is not None
    assert (turn.row.do is Do.RAISE) == split


def test_c6_a_voter_that_holds_another_vote_may_still_come_round() -> None:
    story = planned()
    story.hear(1, says(2, 2, terms={G: Term(1, voted=1)}))
    story.hear(1, says(3, 2, votes={G: Vote(1, 2, INC, 1)}, terms={G: Term(1, voted=1)}))
    turn = story.turn(1)
    assert turn.row is not None
    assert turn.row.do is Do.WAIT


# --- C7: a claim outlives everything of the group --------------------------------------------


def test_c7_the_claim_stays_until_nothing_of_the_group_is_left() -> None:
    story = running()
    brain(story).leave()
    tell = brain(story).turn(G, story.now, 0.0).tell
    assert tell is not None
    assert tell.level == "stop"
    for shown in (
        local("start", GroupState.STOPPING, wanted="stop", term=1),
        local("stop", GroupState.STARTING, term=1),
        local("stop", term=1, alive=1),
        local("stop", GroupState.FAILED, term=1),
    ):
        story.show(1, shown)
        assert story.turn(1).tell is None
        assert brain(story).next_status(story.now).claims == {G: 1}
    story.show(1, local("stop", term=1))
    story.write(1)
    brain(story).take_woken()
    assert story.turn(1).row is not None
    assert brain(story).dirty
    assert brain(story).take_woken() == {G}  # it is free, for this node too
    made = brain(story).next_status(story.now)
    assert (made.claims, made.votes) == ({}, {})


def test_c7_a_clinit_that_does_not_answer_changes_no_claim() -> None:
    story = running()
    brain(story).clinit_lost()
    story.now += 10 * T
    assert story.turn(1).tell is None
    assert brain(story).next_status(story.now).claims == {G: 1}


def test_c7_a_new_clinit_has_nothing_so_the_claim_ends() -> None:
    story = running()
    brain(story).clinit_lost()
    brain(story).clinit_answered([], story.now)
    story.turn(1)
    assert seat(story).claim is None


# --- the life that follows (H5) --------------------------------------------------------------


def test_h5_3_h5_5_plan_test_and_the_level_of_hactl_follow_each_other() -> None:
    story = running()
    assert story.clinits[1][G].level == "start"
    assert story.turn(1).row is not None
    assert brain(story).next_status(story.now).groups == at("start")


def test_h5_16_a_change_of_level_goes_straight_there_on_the_same_node() -> None:
    story = running()
    story.adopt_tables(1, hactl(Wish(G, "2")))
    turn = story.turn(1)
    assert turn.tell is not None
    assert (turn.tell.level, turn.tell.term) == ("2", 1)
    assert turn.tell.stop_at == 1000.0 + L


@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param((Wish(G, "stop"),), id="at stop"),
        pytest.param((Wish("h", "start"),), id="missing"),
        pytest.param((Wish(G, "start", only=(2,)),), id="not allowed here any more"),
    ],
)
def test_h5_1_h5_17_a_group_that_is_not_wanted_is_stopped(wishes: tuple[Wish, ...]) -> None:
    story = running()
    story.adopt_tables(1, hactl(*wishes))
    turn = story.turn(1)
    assert turn.tell is not None
    assert turn.tell.level == "stop"


def test_h2_6_all_groups_are_stopped_when_the_quorum_is_lost() -> None:
    story = running()
    story.now = 1000.0 + L - 0.5  # still under a lease
    story.write(1)
    brain(story).mind.view.tried(2, began=3000.0, now=3000.0, timeout_s=T)
    brain(story).peer_read(3, None, began=3000.0, now=3000.0)
    turn = story.turn(1)
    assert turn.row is not None
    assert turn.row.name == "not wanted"
    assert not claims(story)


@pytest.mark.parametrize("level", ["test", "start"])
def test_h5_4_h5_19_h5_20_what_fails_is_stopped_banned_here_and_tried_elsewhere(
    level: str,
) -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2))))
    story.fails = {(1, level): "entry t1: exit 1"}
    story.live(5.0)
    assert story.at_home() == [2]
    assert seat(story).ban_reason == "entry t1: exit 1"
    ban = story.files[1].bans[G]
    assert ban.reason == "entry t1: exit 1"
    assert 0 < ban.left_s <= TIMING.ban_s


def test_h5_20_a_ban_ends_by_itself_and_the_group_is_tried_again() -> None:
    story = Story(wishes=hactl(Wish(G, "start", only=(1,))))
    story.fails = {(1, "test"): "entry t1: exit 1"}
    story.live(5.0)
    assert story.at_home() == []
    assert seat(story).claim is None
    story.fails = {}
    story.live(TIMING.ban_s)
    assert story.at_home() == [1]
    assert story.files[1].bans == {}


def test_a_ban_is_published_at_once_and_so_is_its_end() -> None:
    story = one_of_three()
    story.fails = {(1, "plan"): "entry p1: exit 1"}
    assert claims(story)
    story.write(1)
    story.turn(1)
    assert brain(story).dirty
    ended_at = story.now + TIMING.ban_s
    assert seat(story).ban_until == ended_at
    story.turn(1)
    story.now = ended_at - 1.0
    story.hear(1, says(2, 9), says(3, 9))
    story.write(1)
    assert story.turn(1).wake_at <= ended_at
    assert not brain(story).dirty
    brain(story).take_notes()
    story.now = ended_at
    story.fails = {}
    assert claims(story)
    assert "ban_ended" in [note.event for note in brain(story).take_notes()]
    assert brain(story).next_status(story.now).bans == {}


def test_a_banned_node_votes_for_others() -> None:
    story = one_of_three()
    brain(story).tell_refused(G, "plan", "no such group", story.now)
    story.hear(1, says(2, 2, claims={G: 1}))
    story.turn(1)
    assert seat(story).ballot.vote is not None


def test_failback_gives_way_to_a_preferred_node_that_has_been_up_for_t() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2), failback=True)))
    story.live(2.0)
    assert story.at_home() == [1]
    story.die(1)
    story.live(T + 2.0)
    assert story.at_home() == [2]
    story.reboot(1)
    story.live(T - 1.0)
    assert story.at_home() == [2]
    story.live(L + 3.0)
    assert story.at_home() == [1]


def test_h3_9_without_failback_a_group_stays_where_it_is() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2))))
    story.live(2.0)
    story.die(1)
    story.live(T + 2.0)
    story.reboot(1)
    story.live(3 * T)
    assert story.at_home() == [2]


# --- tells that are not seen ------------------------------------------------------------------


def test_a_tell_is_not_repeated_while_it_is_on_its_way() -> None:
    story = one_of_three()
    assert brain(story).turn(G, story.now, 0.0).tell is not None
    turn = brain(story).turn(G, story.now, 0.0)
    assert turn.tell is None
    assert turn.wake_at == story.now + PLAN_LIMIT_S


def test_a_tell_that_was_lost_is_told_again() -> None:
    story = planned()
    story.hear(1, backs(2, 2))
    assert brain(story).turn(G, story.now, 0.0).tell is not None  # test, never seen
    story.now += TOLD_LIMIT_S
    turn = brain(story).turn(G, story.now, 0.0)
    assert turn.tell is not None
    assert turn.tell.level == "test"


def test_a_lost_tell_of_plan_frees_the_group_again() -> None:
    story = one_of_three()
    brain(story).turn(G, story.now, 0.0)
    brain(story).mind.timing = replace(TIMING, plan_limit_s=60.0)
    story.now += TOLD_LIMIT_S
    turn = brain(story).turn(G, story.now, 0.0)
    assert turn.row is not None
    assert turn.row.name == "gone"


# --- without tables ---------------------------------------------------------------------------


def untabled(wishes: Hactl | None = None, groups: frozenset[str] | None = None) -> Story:
    story = running()
    brain(story).tables_adopted(wishes, groups, {}, {})
    return story


@pytest.mark.parametrize(
    ("wishes", "groups"), [(None, None), (hactl(), None), (None, frozenset({G}))]
)
def test_without_tables_what_runs_stays_where_it_is(
    wishes: Hactl | None, groups: frozenset[str] | None
) -> None:
    assert untabled(wishes, groups).turn(1).tell is None


def test_without_tables_a_node_that_leaves_still_stops_its_groups() -> None:
    story = untabled()
    brain(story).leave()
    turn = story.turn(1)
    assert turn.tell is not None
    assert turn.tell.level == "stop"
    story.turn(1)
    assert brain(story).halted()


def test_without_tables_a_lost_lease_still_stops_the_group() -> None:
    story = untabled()
    story.now += L
    turn = story.turn(1)
    assert turn.tell is not None
    assert turn.tell.level == "stop"


# --- laws --------------------------------------------------------------------------------------


PEER_STATUSES = st.builds(
    lambda node, seq, claim, line, vote, ban: says(
        node,
        seq,
        claims={} if claim is None else {G: claim},
        groups={} if line is None else {G: line},
        votes={} if vote is None else {G: vote},
        bans={G: Ban(3, "x")} if ban else {},
    ),
    st.sampled_from((2, 3)),
    st.integers(2, 30),
    st.none() | st.integers(1, 6),
    st.none()
    | st.builds(
        GroupLine, st.sampled_from(("plan", "test", "start", "stop")), st.sampled_from(GroupState)
    ),
    st.none()
    | st.builds(Vote, st.integers(1, 6), st.integers(1, 3), st.just(INC), st.integers(1, 9)),
    st.booleans(),
)
EVENTS = st.lists(PEER_STATUSES | st.sampled_from(("write", "wait", "miss")), max_size=25)


@given(EVENTS, st.floats(0, 0.99))
def test_whatever_is_heard_the_rules_of_votes_and_claims_hold(
    events: list[Status | str], chance: float
) -> None:
    story = one_of_three(Wish(G, "start"))
    voted, claimed = 0, 0
    for event in events:
        before = seat(story).ballot.vote
        match event:
            case "write":
                story.write(1)
            case "wait":
                story.now += 2.0
            case "miss":
                story.miss(1, 2, 3)
            case Status():
                story.hear(1, event)
        turn = story.turn(1, chance=chance)
        kept, now = seat(story), seat(story).ballot.vote
        assert kept.ballot.voted >= voted  # terms voted for never fall
        if kept.claim is not None and kept.claim != claimed:
            assert kept.claim > claimed  # C2
            claimed = kept.claim
        if now is not None and before is not None and now != before:
            assert (before.node == 1) or now.term >= before.term  # V1: released in between
        if turn.tell is not None and turn.tell.level in {"test", "start"}:
            assert kept.granted  # C5
            assert turn.tell.stop_at is not None
            assert turn.tell.stop_at > story.now
        if kept.claim is not None and not kept.proven:
            assert now is not None  # who claims has voted for itself, and for nobody else
            assert (now.node, now.term) == (1, kept.claim)
        assert turn.wake_at > story.now or math.isinf(turn.wake_at)
        voted = kept.ballot.voted
