"""A node whose storage does not let it in claims nothing, and keeps what it has (`unfence`)."""

from __future__ import annotations

import pytest

from mosha.core.cluster import access
from mosha.core.cluster.eligibility import broken
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.events import StorageAnswered
from mosha.core.cluster.fencing import FencingRules
from mosha.core.status import Grade, Receipt, ShotLine
from mosha.core.tables import Wish
from tests.core.story import INC, TIMING, G, Story, hactl, status

T = TIMING.timeout_s
RULES = FencingRules(unfences=True)


def let_in(story: Story, *nodes: int, refusal: str = "") -> None:
    for node in nodes:
        state = story.nodes[node].state
        access.answered(state, StorageAnswered(state.storage_doubts, refusal))


def three() -> Story:
    """Three nodes that have just started; node 1 is preferred."""
    return Story(wishes=hactl(Wish(G, "start", prefer=(1,))), rules=RULES)


def test_nothing_is_claimed_before_the_storage_has_answered() -> None:
    story = three()
    story.live(3 * T)
    assert story.owners() == []
    let_in(story, 1, 2, 3)
    story.live(T)
    assert story.at_home() == [1]


def test_where_nothing_cuts_nodes_off_nobody_waits() -> None:
    story = Story()
    assert [node.state.cut_off for node in story.nodes.values()] == ["", "", ""]


def test_a_group_goes_to_a_node_that_is_let_in() -> None:
    story = three()
    let_in(story, 1, refusal="fence_x: on: exit 1")
    let_in(story, 2, 3)
    story.live(2 * T)
    (owner,) = story.at_home()
    assert owner in (2, 3)
    state = story.nodes[1].state
    rule = broken(Case(state, G, 1, story.now))
    assert rule is not None
    assert rule.name == "storage"
    said = rule.said(Case(state, G, 1, story.now))
    assert said == "node 1 is cut off from its storage: fence_x: on: exit 1"
    seen = Case(story.nodes[2].state, G, 1, story.now)
    assert broken(seen) is rule, "the others know"
    assert rule.said(seen) == "node 1 is cut off from its storage"


def test_what_a_node_owns_already_stays_although_its_storage_is_not_known() -> None:
    story = three()
    let_in(story, 1, 2, 3)
    story.live(T)
    let_in(story, 1, refusal="fence_x: status: no answer in 5 s")
    story.live(3 * T)
    assert story.at_home() == [1]
    let_in(story, 1)
    story.live(T)
    assert story.at_home() == [1]


def test_a_node_that_was_declared_dead_asks_again_before_it_claims() -> None:
    story = three()
    let_in(story, 1, 2, 3)
    node = story.nodes[1]
    receipt = Receipt(node.state.inc, "fence_x", Grade.COMMAND_SAID_SO)
    before = node.state.inc
    story.hear(1, status(2, seq=9999, fenced={1: receipt}))
    assert node.state.inc == before + 1
    assert node.state.cut_off == access.NOT_ASKED


@pytest.mark.parametrize("outcome", ["running", "shot", "aiming"])
def test_a_node_that_outlives_a_shot_asks_again_when_that_is_over(outcome: str) -> None:
    story = three()
    let_in(story, 1, 2, 3)
    state = story.nodes[1].state
    story.hear(1, status(2, seq=9998, shots={1: ShotLine(state.inc, outcome)}))
    assert state.cut_off == "", "to ask now would work against the shot"
    story.hear(1, status(2, seq=9999))
    assert state.cut_off == access.NOT_ASKED


def test_shots_at_others_and_shots_where_nothing_cuts_off_are_no_doubt() -> None:
    story = three()
    let_in(story, 1, 2, 3)
    state = story.nodes[1].state
    story.hear(1, status(2, seq=9990, shots={3: ShotLine(INC, "running")}))
    story.hear(1, status(2, seq=9991))
    assert state.cut_off == ""
    state.fencing = FencingRules()
    story.hear(1, status(2, seq=9992, shots={1: ShotLine(INC, "running")}))
    story.hear(1, status(2, seq=9993))
    assert state.cut_off == ""


def test_an_answer_from_before_the_latest_doubt_counts_for_nothing() -> None:
    story = three()
    state = story.nodes[1].state
    asked = state.storage_doubts
    access.doubt(state)
    access.answered(state, StorageAnswered(asked))
    assert state.cut_off == access.NOT_ASKED
    access.answered(state, StorageAnswered(state.storage_doubts))
    assert state.cut_off == ""
