"""R1: a receipt counts only while the node is not fresh here; evidence beats it."""

from __future__ import annotations

import pytest

from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.peers import Standing
from mosha.core.status import Grade, GroupState, Receipt, Vote
from tests.core.owner import T, at, brain, causes, record
from tests.core.story import INC, G, Story, one_of_three, says, status

CLAIM = {"claims": {G: 5}, "groups": at("start")}
DEAD = {3: Receipt(INC, "operator")}


def hears_the_owner() -> Story:
    """Node 1 votes for node 3, which runs the group and is heard all the time."""
    story = one_of_three(rules=FencingRules(required=True))
    story.hear(1, says(3, 2, **CLAIM))
    story.step(1)
    assert record(story).ballot.vote == Vote(5, 3, INC, 2)
    brain(story).take_notes()
    return story


def standing(story: Story) -> Standing:
    return brain(story).state.view.standing(3)


def test_r1_what_another_vouches_for_does_not_count_while_the_node_is_heard() -> None:
    story = hears_the_owner()
    story.hear(1, says(2, 2, fenced=DEAD))
    story.step(1)
    assert standing(story) is Standing.FRESH
    assert causes(story, "vote_released") == []
    assert brain(story).next_status(story.now).fenced == {}  # nor is it passed on


def test_r1_each_status_of_the_issuer_repeats_it_until_it_counts() -> None:
    story = hears_the_owner()
    story.hear(1, says(2, 2, fenced=DEAD))
    story.now += T + 0.01
    story.miss(1, 3)
    assert standing(story) is Standing.FENCED  # at the look that finds it stale, not a status later
    story.step(1)
    assert causes(story, "vote_released") == ["claimant fenced"]


def test_r1_a_receipt_that_comes_when_the_node_is_stale_counts_at_once() -> None:
    story = hears_the_owner()
    story.now += T + 0.01
    story.miss(1, 3)
    assert standing(story) is Standing.STALE
    story.hear(1, says(2, 2, fenced=DEAD))
    assert standing(story) is Standing.FENCED
    assert G in brain(story).take_to_step()
    assert brain(story).dirty


def test_r1_news_of_the_node_refute_its_receipt() -> None:
    story = hears_the_owner()
    story.now += T + 0.01
    story.miss(1, 3)
    story.hear(1, says(2, 2, fenced=DEAD))
    story.hear(1, says(3, 3, **CLAIM))
    assert standing(story) is Standing.FRESH
    assert "receipt_refuted" in [note.event for note in brain(story).take_notes()]
    assert brain(story).next_status(story.now).fenced == {}


def test_r1_a_node_that_was_shot_and_lives_is_shot_again_when_it_is_missed_again() -> None:
    story = hears_the_owner()
    story.now += 100.0
    story.miss(1, 3)
    story.hear(1, says(2, 2))
    order = FenceOrder(3, INC)
    story.now += 10.0  # a lease after the quorum was seen again
    story.hear(1, says(2, 3))
    assert story.shots(1) == [order]
    brain(story).shot(ShotEnded(order, "receipt", "m", "", Grade.COMMAND_SAID_SO), story.now)
    story.hear(1, says(3, 3))
    assert standing(story) is Standing.FRESH
    story.now += T + 0.01
    story.miss(1, 3)
    story.hear(1, says(2, 4))
    assert story.shots(1) == [order]


@pytest.mark.parametrize("news", [True, False])
def test_r1_a_shot_at_a_node_that_was_heard_meanwhile_counts_if_it_is_silent_soon(
    *, news: bool
) -> None:
    story = hears_the_owner()
    story.now += 100.0
    story.miss(1, 3)
    story.hear(1, says(2, 2))
    story.now += 10.0
    story.hear(1, says(2, 3))
    (order,) = story.shots(1)
    story.hear(1, says(3, 3))  # and dies now, or not
    brain(story).shot(ShotEnded(order, "receipt", "m", "", Grade.COMMAND_SAID_SO), story.now)
    assert standing(story) is Standing.FRESH
    story.hear(1, says(3, 4))  # what it wrote before it died, read late
    if news:
        for seq in range(5, 9):
            story.now += T / 2 + 0.01
            story.hear(1, says(3, seq), says(2, seq))
    story.now += T + 0.01
    story.miss(1, 3)
    story.hear(1, says(2, 40))
    assert standing(story) is (Standing.STALE if news else Standing.FENCED)
    assert story.shots(1) == [order] * news


def born_with_a_receipt() -> Story:
    """Node 1 has started again and remembers that node 3 is dead."""
    story = Story()
    story.files[1] = status(1, 9, fenced=DEAD)
    story.start(1, inc=INC + 1)
    return story


def test_r1_what_a_dead_node_left_behind_does_not_refute_a_receipt_that_is_remembered() -> None:
    story = born_with_a_receipt()
    story.hear(1, says(3, 7, **CLAIM))
    assert standing(story) is Standing.FENCED


def test_r1_a_newer_status_than_the_one_left_behind_does() -> None:
    story = born_with_a_receipt()
    story.hear(1, says(3, 7, **CLAIM), says(3, 8, **CLAIM))
    assert standing(story) is Standing.FRESH


def test_r1_the_first_status_refutes_what_another_vouches_for() -> None:
    story = Story()
    story.start(1)
    story.hear(1, says(2, 2, fenced=DEAD), says(3, 7, **CLAIM))
    assert standing(story) is Standing.FRESH


@pytest.mark.parametrize("waits", [False, True])
def test_r1_a_recovered_vote_is_not_released_by_another_node_before_t(*, waits: bool) -> None:
    story = Story(rules=FencingRules(required=True))
    story.files[1] = status(1, 9, votes={G: Vote(5, 3, INC, 2)})
    story.start(1, inc=INC + 1)
    if waits:
        story.now += T + 0.01
        story.miss(1, 3)
    story.hear(1, says(2, 2, fenced=DEAD))
    story.step(1)
    assert causes(story, "vote_released") == (["claimant fenced"] if waits else [])


def test_r1_two_owners_are_not_made_by_a_receipt_that_is_not_true() -> None:
    story = Story(rules=FencingRules(required=True))
    story.live(20.0)
    (owner,) = story.at_home()
    deaf, third = sorted(story.ids - {owner})
    story.cuts = {(deaf, owner)}
    story.live(T + 2)
    shot = FenceOrder(owner, story.nodes[deaf].state.view.peer(owner).inc)
    lie = ShotEnded(shot, "receipt", "m", "", Grade.OFF_CONFIRMED)
    story.nodes[deaf].shot(lie, story.now)
    story.live(T)  # the third one hears the owner all the time
    assert story.at_home() == [owner]
    assert story.nodes[third].state.record(G).ballot.vote is not None
    assert GroupState.DONE in [held.state for held in story.clinits[owner].values()]
