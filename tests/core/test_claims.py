"""The turn of a group: when it is claimed (C1), with which term (C2), and collisions (C6)."""

from __future__ import annotations

from typing import Any

import pytest

from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.group_rules import Action
from mosha.core.cluster.group_step import BACKOFF_DOUBLINGS_MAX, BACKOFF_STEP_S
from mosha.core.status import (
    GroupState,
    Stamp,
    Term,
    Vote,
)
from mosha.core.tables import Wish
from tests.core.owner import (
    HEARTBEAT_S,
    PLAN_LIMIT_S,
    T,
    at,
    backs,
    brain,
    claims,
    planned,
    record,
    running,
)
from tests.core.story import INC, G, Story, hactl, one_of_three, report, says, status

ELSEWHERE = Wish(G, "start", only=(2, 3))
"""A group that node 1 never claims itself: it only votes."""


# --- C1: when a node claims --------------------------------------------------------------


def test_c1_a_free_group_is_claimed_by_the_node_whose_turn_it_is() -> None:
    story = one_of_three()
    step = story.step(1)
    assert step.tell is not None
    assert (step.tell.level, step.tell.term) == ("plan", 1)
    assert brain(story).dirty
    assert brain(story).next_status(story.now).claims == {G: 1}


def not_seeing_a_quorum(story: Story) -> None:
    story.now += T + 1
    story.miss(1, 2, 3)


def still_silent(story: Story) -> None:
    brain(story).state.silent_until = story.now + 1


def own_vote_not_free(story: Story) -> None:
    # As after a restart, when the first status read of node 2 is older than the vote.
    record(story).ballot = Ballot(Vote(5, 2, INC, 7), 5)


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
    "here already": lambda s: s.show(1, report("stop", GroupState.STOPPING)),
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
    brain(story).state.silent_until = None
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
    assert brain(story).confirmed(3, story.now) == ""
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
    step = story.step(1)
    assert step.tell is not None
    assert step.tell.term == 9


def test_c2_every_status_repeats_the_highest_term_seen_anywhere() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 2, terms={G: Term(4), "other": Term(7)}))
    made = brain(story).next_status(story.now)
    assert made.terms == {G: Term(4, voted=0), "other": Term(7, voted=0)}


def test_c2_the_claimant_votes_for_itself() -> None:
    story = one_of_three()
    story.step(1)
    made = brain(story).next_status(story.now)
    assert made.votes == {G: Vote(term=1, node=1, inc=INC, seq=0)}


# --- C6: collisions --------------------------------------------------------------------------


def test_c6_h5_15_the_worse_of_two_planners_withdraws_and_the_better_one_stays() -> None:
    for other, row in ((2, "in transition"), (3, "collision")):
        story = one_of_three(Wish(G, "start", prefer=(3, 1, 2)))
        story.now += HEARTBEAT_S
        story.step(1)
        story.now += HEARTBEAT_S
        assert claims(story)
        story.hear(1, says(other, 2, claims={G: 1}, groups=at("plan")))
        step = story.step(1, chance=0.9)
        assert step.row is not None
        assert step.row.name == row


def test_c6_a_claim_that_has_its_votes_already_is_better_whatever_its_rank() -> None:
    story = planned()
    vote = Vote(1, 2, INC, 2)
    story.hear(
        1,
        says(2, 2, claims={G: 1}, groups=at("plan"), votes={G: vote}),
        says(3, 2, votes={G: vote}),
    )
    step = story.step(1)
    assert step.row is not None
    assert step.row.name == "collision"


def test_h5_14_a_running_instance_wins_over_a_planner() -> None:
    story = planned()
    story.hear(1, says(3, 2, groups=at("start")))
    step = story.step(1)
    assert step.row is not None
    assert step.row.name == "runs elsewhere"
    assert step.tell is not None
    assert step.tell.level == "stop"


def test_h5_14_a_mere_planner_or_a_stale_file_does_not_stop_a_healthy_group() -> None:
    story = running()
    story.hear(1, backs(2, 3), says(3, 2, claims={G: 2}, groups=at("plan")))
    assert story.step(1).tell is None
    story.hear(1, says(3, 3, groups=at("start")))  # H3.8: left over from before
    assert story.step(1).tell is None
    assert story.at_home() == [1]


def test_c6_a_claim_not_granted_within_the_plan_limit_withdraws() -> None:
    story = planned()
    assert story.step(1).wake_at == 1000.0 + PLAN_LIMIT_S
    story.now = 1000.0 + PLAN_LIMIT_S
    step = story.step(1, chance=0.5)
    assert step.row is not None
    assert step.row.name == "not granted in time"
    story.step(1)
    made = brain(story).next_status(story.now)
    assert (made.claims, made.votes) == ({}, {})


def test_c6_h5_13_the_back_off_is_random_and_grows_with_each_failure() -> None:
    story = one_of_three()
    step = BACKOFF_STEP_S * 1.3  # three nodes
    for failure in range(BACKOFF_DOUBLINGS_MAX + 3):
        assert claims(story)
        story.now += PLAN_LIMIT_S
        story.hear(1, says(2, failure + 2), says(3, failure + 2))
        story.step(1, chance=0.5)
        wait_s = 0.5 * step * 2 ** min(failure, BACKOFF_DOUBLINGS_MAX)
        assert record(story).backoff_until == pytest.approx(story.now + wait_s)
        story.step(1)  # the plan is stopped
        assert not claims(story)
        assert story.step(1).wake_at <= story.now + wait_s
        story.now += wait_s
    assert 0.5 * step * 2**BACKOFF_DOUBLINGS_MAX < 15.0  # the original: up to 10 s


def test_c6_the_back_off_begins_anew_after_a_grant() -> None:
    story = planned()
    record(story).collisions = 4
    story.hear(1, backs(2, 2))
    story.step(1)
    assert record(story).collisions == 0


def test_c6_a_claim_whose_voters_are_spent_is_raised_to_a_higher_term() -> None:
    story = planned()
    spent = {"terms": {G: Term(1, voted=1)}}
    story.hear(1, says(2, 2, **spent), says(3, 2, **spent))
    step = story.step(1)
    assert step.row is not None
    assert step.row.name == "votes split"
    assert step.tell is None
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
    brain(story).state.silent_until = None
    story.write(1)
    story.hear(1, *(says(node, 1) for node in (2, 3, 4, 5)))
    assert claims(story)
    story.hear(1, *(says(node, 2, **vote) for node, vote in enumerate(votes, 2)))
    story.hear(1, says(9, 2, **SPENT))  # does not vote at all
    step = story.step(1)
    assert step.row is not None
    assert (step.row.do is Action.RAISE) == split


def test_c6_a_voter_that_holds_another_vote_may_still_come_round() -> None:
    story = planned()
    story.hear(1, says(2, 2, terms={G: Term(1, voted=1)}))
    story.hear(1, says(3, 2, votes={G: Vote(1, 2, INC, 1)}, terms={G: Term(1, voted=1)}))
    step = story.step(1)
    assert step.row is not None
    assert step.row.do is Action.WAIT
