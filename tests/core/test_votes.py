"""The turn of a group: how a vote is given (V1, V2) and released (V3)."""

from __future__ import annotations

import pytest

from mosha.core.cluster.fencing import FencingRules
from mosha.core.status import (
    GroupState,
    NodeState,
    Receipt,
    Status,
    Term,
    Vote,
)
from mosha.core.tables import Wish
from tests.core.owner import T, at, brain, causes, record
from tests.core.story import INC, G, Story, one_of_three, report, says

ELSEWHERE = Wish(G, "start", only=(2, 3))
"""A group that node 1 never claims itself: it only votes."""


# --- V1, V2: giving a vote ---------------------------------------------------------------


def test_v2_a_vote_notes_the_status_that_showed_the_claim_and_is_published_at_once() -> None:
    story = one_of_three(ELSEWHERE)
    story.write(1)
    assert not brain(story).dirty
    story.hear(1, says(2, 7, claims={G: 5}, groups=at("plan")))
    story.step(1)
    assert brain(story).dirty  # O5
    made = brain(story).next_status(story.now)
    assert made.votes == {G: Vote(term=5, node=2, inc=INC, seq=7)}
    assert made.terms == {G: Term(known=5, voted=5)}


def test_v1_a_second_claim_gets_no_vote_while_one_is_held() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}))
    story.step(1)
    story.hear(1, says(3, 7, claims={G: 6}))
    story.step(1)
    assert record(story).ballot.vote == Vote(5, 2, INC, 7)


def test_v2_among_several_claims_the_best_rank_gets_the_vote() -> None:
    for first, second in ((2, 3), (3, 2)):
        story = one_of_three(Wish(G, "start", prefer=(3,), only=(2, 3)))
        story.hear(1, says(first, 7, claims={G: 5}), says(second, 7, claims={G: 5}))
        story.step(1)
        vote = record(story).ballot.vote
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
    story.step(1)
    story.hear(1, says(3, 8))
    story.step(1)
    assert record(story).ballot.voted == 4
    story.hear(1, claim)
    story.step(1)
    assert record(story).ballot.vote is None


def test_v2_a_stale_claimant_gets_no_vote() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}))
    story.now += T + 1
    story.hear(1, says(3, 7))
    story.miss(1, 2)
    story.step(1)
    assert record(story).ballot.vote is None


def test_v2_no_vote_while_another_fresh_node_runs_the_group() -> None:
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}), says(3, 7, groups=at("start")))
    story.step(1)
    assert record(story).ballot.vote is None
    story.hear(1, says(3, 8, groups=at("stop")))
    story.step(1)
    assert record(story).ballot.vote is not None


def test_v2_no_vote_while_the_own_clinit_runs_the_group_without_a_claim() -> None:
    story = one_of_three(ELSEWHERE)
    story.show(1, report("start"))  # by hand: `clinit g start`
    story.hear(1, says(2, 7, claims={G: 5}))
    assert story.step(1).row is not None
    assert record(story).ballot.vote is None
    story.step(1)  # it was told to stop, and has
    assert record(story).ballot.vote is not None


def test_v2_no_vote_before_it_is_known_what_runs_here() -> None:
    story = one_of_three(ELSEWHERE)
    brain(story).clinit_lost()
    story.hear(1, says(2, 7, claims={G: 5}))
    assert story.step(1).row is None
    assert record(story).ballot.vote is None


def test_v2_a_claim_that_runs_is_supported_late_in_the_same_term() -> None:
    # The vote went to the loser of a collision; else the winner had a bare quorum for ever.
    story = one_of_three(ELSEWHERE)
    story.hear(1, says(2, 7, claims={G: 5}))
    story.step(1)
    story.hear(1, says(2, 8), says(3, 7, claims={G: 5}, groups=at("plan")))
    story.step(1)
    assert record(story).ballot.vote is None
    story.hear(1, says(3, 8, claims={G: 5}, groups=at("test")))
    story.step(1)
    assert record(story).ballot.vote == Vote(5, 3, INC, 8)


# --- V3: releasing it --------------------------------------------------------------------


def voted_for_2(*, required: bool = False) -> Story:
    """Node 1 has voted for the claim of node 2 in its status 7."""
    story = one_of_three(ELSEWHERE, rules=FencingRules(required=required))
    story.hear(1, says(2, 7, claims={G: 5}, groups=at("start")))
    story.step(1)
    assert record(story).ballot.vote == Vote(5, 2, INC, 7)
    brain(story).take_notes()
    return story


def test_v3a_a_newer_status_without_the_claim_releases_the_vote() -> None:
    story = voted_for_2()
    story.hear(1, says(2, 8))
    story.step(1)
    assert causes(story, "vote_released") == ["claim withdrawn"]
    assert record(story).ballot.voted == 5  # the term is not voted for again


def test_v3a_a_status_that_still_shows_the_claim_releases_nothing() -> None:
    story = voted_for_2()
    story.hear(1, says(2, 8, claims={G: 5}, groups=at("stop", GroupState.STOPPING)))
    story.step(1)
    assert causes(story, "vote_released") == []


@pytest.mark.parametrize("required", [False, True])
def test_v3b_a_receipt_releases_the_vote(*, required: bool) -> None:
    story = voted_for_2(required=required)
    story.now += T + 0.01
    story.miss(1, 2)
    story.hear(1, says(3, 7, fenced={2: Receipt(INC, "ipmi")}))
    story.step(1)
    assert causes(story, "vote_released") == ["claimant fenced"]


def test_v3b_a_receipt_of_an_earlier_life_releases_nothing() -> None:
    story = voted_for_2(required=True)
    story.now += T + 0.01
    story.miss(1, 2)
    story.hear(1, says(3, 7, fenced={2: Receipt(INC - 1, "ipmi")}))
    story.step(1)
    assert causes(story, "vote_released") == []


def test_v3c_the_vote_is_released_no_earlier_than_t_after_the_claimant_was_heard() -> None:
    story = voted_for_2()
    story.now += T
    story.miss(1, 2)
    story.step(1)
    assert causes(story, "vote_released") == []
    story.now += 0.01
    story.miss(1, 2)
    story.step(1)
    assert causes(story, "vote_released") == ["claimant not heard from"]


def test_v3c_time_alone_releases_nothing() -> None:  # O3
    story = voted_for_2()
    story.now += 100 * T  # stopped for a quarter of an hour
    story.step(1)
    assert causes(story, "vote_released") == []


def test_v3c_with_fencing_required_silence_releases_nothing() -> None:
    story = voted_for_2(required=True)
    story.now += 100 * T
    story.miss(1, 2)
    story.step(1)
    assert causes(story, "vote_released") == []
