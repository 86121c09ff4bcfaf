"""What the brain orders to be shot, and what it believes of a death (H3.6)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.node import Node
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.status import (
    OPERATOR,
    Grade,
    NodeState,
    Receipt,
    Vote,
)
from mosha.core.tables import Wish
from tests.core.owner import brain, events
from tests.core.story import INC, TIMING, G, Story, hactl, one_of_three, says, status

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
GRACE_S = TIMING.start_grace_s
CONFIRMED = Receipt(INC, OPERATOR, Grade.OPERATOR_SAID_SO)


# --- fencing ------------------------------------------------------------------------------


def with_a_stale_node(*, rules: FencingRules | None = None, grace: bool = True) -> Story:
    """Nodes 1 and 2 are well; node 3 was, and has not been heard from for T."""
    story = one_of_three(rules=rules)
    story.hear(1, says(3, 2))
    story.now += (GRACE_S if grace else 0.0) + T + 1
    story.hear(1, says(2, 2))
    story.miss(1, 3)
    return story


def ordered(story: Story) -> list[FenceOrder]:
    return story.shots(1)


def test_a_shot_that_ends_after_a_later_one_was_forgotten_ends_nothing_else() -> None:
    """Seed 91000042: the first shot hung; the receipt of the second was refuted by news (R1)."""
    story = with_a_stale_node()
    (hanging,) = ordered(story)
    story.hear(1, says(3, 1, inc=INC + 1), says(2, 3))
    story.now += T + 1
    story.hear(1, says(2, 4))
    story.miss(1, 3)
    story.now += L
    story.hear(1, says(2, 5))
    (later,) = ordered(story)
    brain(story).shot(ShotEnded(later, "receipt", "ipmi", "", Grade.COMMAND_SAID_SO), story.now)
    story.hear(1, says(3, 2, inc=INC + 1))
    assert later.node not in brain(story).state.shots
    brain(story).shot(ShotEnded(hanging, "failed", "ipmi", ""), story.now)
    assert "fence_ended" in events(story)


def test_a_stale_node_is_shot_once() -> None:
    story = with_a_stale_node()
    assert ordered(story) == [FenceOrder(3, INC)]
    assert events(story)[-1] == "fence_ordered"
    assert brain(story).fence_orders(story.now) == ([], math.inf)


def test_h3_6_the_start_grace_is_waited_for() -> None:
    story = with_a_stale_node(grace=False)
    orders, again = brain(story).fence_orders(story.now)
    assert (orders, again) == ([], 1000.0 + GRACE_S)


HARMLESS: dict[str, Callable[[Story], object]] = {
    "O4 no quorum": lambda s: s.miss(1, 2),
    "it left": lambda s: s.hear(1, says(3, 3, state=NodeState.LEFT)),
    "it is back": lambda s: s.hear(1, says(3, 3)),
    "it is fenced already": lambda s: s.hear(1, says(2, 3, fenced={3: Receipt(INC, "x")})),
    "this node leaves": lambda s: brain(s).leave(),
    "this node is displaced": lambda s: brain(s).displaced(),
    "an operator vouched for it": lambda s: brain(s).confirmed(3, s.now),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_nobody_is_shot_when(change: Callable[[Story], object]) -> None:
    story = with_a_stale_node()
    story.now += T + 1
    change(story)
    assert ordered(story) == []


def test_o4_nobody_is_shot_in_the_name_of_a_majority_not_heard_since_a_pause() -> None:
    story = with_a_stale_node()
    story.now += T + 1  # stopped; node 2 counts as fresh until it is looked at again
    assert brain(story).state.view.quorum_state is QuorumState.YES
    assert brain(story).fence_orders(story.now) == ([], story.now + TIMING.heartbeat_s / 4)
    story.hear(1, says(2, 3))
    assert ordered(story) == [FenceOrder(3, INC)]


def test_o4_nobody_is_shot_by_who_may_be_cut_off_from_all_others_too() -> None:
    story = with_a_stale_node()
    story.now += GRACE_S
    story.hear(1, says(3, 3))
    story.now += 1.0
    story.hear(1, says(2, 3))
    story.now += T
    story.miss(1, 3)  # a second later node 2 will be missed just so
    assert brain(story).state.view.quorum_state is QuorumState.YES
    assert ordered(story) == []
    story.hear(1, says(2, 4))  # it was not the same cut, or that is over now
    assert ordered(story) == []
    story.now += L
    story.hear(1, says(2, 5))
    assert ordered(story) == [FenceOrder(3, INC)]


def test_o4_nobody_is_shot_before_a_lease_has_passed_since_a_majority_was_heard_again() -> None:
    """Node 1 was cut off: node 3 is as well as node 2, which was only heard first."""
    story = one_of_three()
    story.hear(1, says(2, 2), says(3, 2))
    story.now += GRACE_S + T + 1
    story.miss(1, 2, 3)
    assert ordered(story) == []
    story.hear(1, says(2, 3))
    assert ordered(story) == []
    story.now += L - 0.1
    story.hear(1, says(2, 4))
    assert ordered(story) == []
    story.now += 0.2
    story.hear(1, says(2, 5))
    assert ordered(story) == [FenceOrder(3, INC)]


def test_a_node_that_was_not_seen_since_the_own_start_is_not_shot() -> None:
    story = one_of_three()  # node 3: one status, read once, perhaps of last year
    story.now += GRACE_S + T + 1
    story.hear(1, says(2, 2))
    story.miss(1, 3)
    assert brain(story).state.view.standing(3) is Standing.STALE
    assert ordered(story) == []


def test_a_receipt_is_published_and_frees_the_groups() -> None:
    story = with_a_stale_node(rules=FencingRules(required=True))
    (order,) = ordered(story)
    brain(story).take_to_step()
    brain(story).shot(ShotEnded(order, "receipt", "ipmi", "off", Grade.COMMAND_SAID_SO), story.now)
    assert brain(story).state.view.standing(3) is Standing.FENCED
    assert G in brain(story).take_to_step()
    assert brain(story).next_status(story.now).fenced == {3: Receipt(INC, "ipmi")}


@pytest.mark.parametrize("outcome", ["no receipt", "failed"])
def test_any_other_outcome_proves_nothing(outcome: str) -> None:
    story = with_a_stale_node()
    (order,) = ordered(story)
    brain(story).shot(ShotEnded(order, outcome, "m", "d"), story.now)
    assert brain(story).state.view.standing(3) is Standing.STALE
    shot = brain(story).state.shots[3]
    assert (shot.outcome, shot.method, shot.detail) == (outcome, "m", "d")


def shot_and(story: Story, asked: Grade, *receipts: Receipt) -> Node:
    """Hactl asks for this grade, and node 2 tells node 1 of these receipts for node 3."""
    node = brain(story)
    node.state.hactl = hactl(Wish(G, "start", fence=asked))
    node.state.record(G)
    for seq, receipt in enumerate(receipts, 10):
        story.hear(1, says(2, seq, fenced={3: receipt}))
    return node


def owner_is_stale() -> Story:
    """Node 3 ran the group and is stale."""
    story = one_of_three(rules=FencingRules(required=True, retry_s=30.0))
    story.hear(1, says(3, 2, claims={G: 4}))
    story.now += GRACE_S + T + 1
    story.hear(1, says(2, 2))
    story.miss(1, 3)
    return story


WEAK, SURE = Receipt(INC, "cmd", Grade.COMMAND_SAID_SO), Receipt(INC, "ipmi", Grade.OFF_CONFIRMED)


@pytest.mark.parametrize(
    ("asked", "receipts", "holders"),
    [
        (Grade.OFF_CONFIRMED, [], [3]),
        (Grade.OFF_CONFIRMED, [WEAK], [3]),
        (Grade.OFF_CONFIRMED, [WEAK, SURE], []),
        (Grade.OFF_CONFIRMED, [SURE, WEAK], []),
        (Grade.COMMAND_SAID_SO, [WEAK], []),
        (Grade.LEASE_ELAPSED, [], []),
    ],
)
def test_a_node_is_dead_for_a_group_on_the_evidence_that_the_group_asks_for(
    asked: Grade, receipts: list[Receipt], holders: list[int]
) -> None:
    node = shot_and(owner_is_stale(), asked, *receipts)
    assert node.state.view.holders(G, node.state.required_grade(G)) == holders


def test_what_a_group_does_not_say_fencing_required_says() -> None:
    state = brain(owner_is_stale()).state
    assert state.required_grade("not in hactl") is Grade.OPERATOR_SAID_SO
    state.fencing = FencingRules(required=False)
    assert state.required_grade("not in hactl") is Grade.LEASE_ELAPSED


def test_a_receipt_of_a_later_life_counts_though_it_is_worth_less() -> None:
    story = one_of_three()
    later = Receipt(INC + 1, "cmd", Grade.OPERATOR_SAID_SO)
    for seq, receipt in enumerate((SURE, later, SURE), 2):
        story.hear(1, says(2, seq, fenced={7: receipt}))
    assert brain(story).state.view.receipts[7] == later


def test_a_shot_is_for_what_the_groups_of_the_victim_ask_for() -> None:
    story = owner_is_stale()
    shot_and(story, Grade.OFF_CONFIRMED)
    assert ordered(story) == [FenceOrder(3, INC, Grade.OFF_CONFIRMED)]


def test_a_shot_is_for_what_a_group_asks_for_that_has_this_nodes_vote_for_the_victim() -> None:
    story = with_a_stale_node(rules=FencingRules(required=True))
    node = shot_and(story, Grade.OFF_CONFIRMED)
    node.state.record(G).ballot = Ballot(Vote(4, 3, INC, 1))
    assert ordered(story) == [FenceOrder(3, INC, Grade.OFF_CONFIRMED)]


def test_a_node_whose_receipt_does_not_do_is_shot_again_if_there_may_be_a_better_one() -> None:
    story = owner_is_stale()
    node = shot_and(story, Grade.OFF_CONFIRMED)
    (order,) = ordered(story)
    node.shot(ShotEnded(order, "failed", "cmd", "", Grade.COMMAND_SAID_SO), story.now)
    assert node.state.view.standing(3) is Standing.FENCED
    assert node.fence_orders(story.now) == ([], story.now + 30.0)
    story.now += 30.0
    story.hear(1, says(2, 3))
    assert ordered(story) == [order]
    node.shot(ShotEnded(order, "receipt", "ipmi", "", Grade.OFF_CONFIRMED), story.now)
    assert node.fence_orders(story.now) == ([], math.inf)
    assert node.state.view.holders(G, Grade.OFF_CONFIRMED) == []


def test_a_node_whose_receipt_does_not_do_is_not_shot_again_for_nothing() -> None:
    story = owner_is_stale()
    node = shot_and(story, Grade.OFF_CONFIRMED)
    (order,) = ordered(story)
    node.shot(ShotEnded(order, "receipt", "cmd", "", Grade.COMMAND_SAID_SO), story.now)
    assert node.fence_orders(story.now) == ([], math.inf)


def test_a_failed_shot_is_tried_again_after_a_while() -> None:
    rules = FencingRules(required=True, retry_s=30.0)
    story = with_a_stale_node(rules=rules)
    (order,) = ordered(story)
    brain(story).shot(ShotEnded(order, "failed", "m", ""), story.now)
    assert brain(story).fence_orders(story.now) == ([], story.now + 30.0)
    story.now += 30.0
    story.hear(1, says(2, 3))
    assert ordered(story) == [order]


def test_a_node_that_lives_again_needs_another_receipt() -> None:
    story = with_a_stale_node()
    (order,) = ordered(story)
    brain(story).shot(ShotEnded(order, "receipt", "ipmi", "", Grade.COMMAND_SAID_SO), story.now)
    story.hear(1, says(3, 1, inc=INC + 1))
    assert brain(story).state.view.standing(3) is Standing.FRESH
    story.hear(1, says(2, 3, fenced={3: Receipt(INC, "ipmi")}))  # old news
    assert brain(story).state.view.standing(3) is Standing.FRESH
    assert brain(story).next_status(story.now).fenced == {}


def test_an_older_receipt_does_not_replace_a_newer_one() -> None:
    story = one_of_three()
    for number, inc in ((2, INC + 5), (3, INC + 2)):
        brain(story).peer_read(
            number,
            says(number, 2, fenced={7: Receipt(inc, "ipmi")}),
            began=story.now,
            now=story.now,
        )
    assert brain(story).next_status(story.now).fenced == {7: Receipt(INC + 5, "ipmi")}


def test_the_end_of_a_shot_at_a_former_life_says_nothing_of_the_present_one() -> None:
    story = with_a_stale_node()
    (first,) = ordered(story)
    story.hear(1, says(3, 1, inc=INC + 1))
    story.now += T + 1
    story.hear(1, says(2, 3))
    story.miss(1, 3)
    (second,) = ordered(story)
    assert second == FenceOrder(3, INC + 1)
    brain(story).shot(ShotEnded(first, "failed", "m", ""), story.now)
    assert brain(story).state.shots[3].outcome == "running"
    brain(story).shot(ShotEnded(first, "receipt", "m", "", Grade.COMMAND_SAID_SO), story.now)
    assert brain(story).state.view.standing(3) is Standing.STALE


# --- an operator vouches for a death ------------------------------------------------------


def test_confirm_counts_a_stale_node_as_dead() -> None:
    story = with_a_stale_node(rules=FencingRules(required=True))
    assert brain(story).confirmed(3, story.now) == ""
    assert brain(story).next_status(story.now).fenced == {3: CONFIRMED}


def test_confirm_is_refused_where_there_is_no_quorum() -> None:
    """A node that is cut off finds all others silent: they may be well, and have the groups."""
    story = with_a_stale_node(rules=FencingRules(required=True))
    story.now += T + 1
    story.miss(1, 2, 3)
    assert "this node sees no quorum" in brain(story).confirmed(3, story.now)
    assert brain(story).next_status(story.now).fenced == {}


@pytest.mark.parametrize(("node", "word"), [(1, "alive"), (2, "alive"), (9, "never seen")])
def test_confirm_is_refused_for_who_lives_or_was_never_seen(node: int, word: str) -> None:
    story = with_a_stale_node()
    assert word in brain(story).confirmed(node, story.now)
    assert brain(story).next_status(story.now).fenced == {}


def test_confirm_covers_a_node_that_is_known_by_a_former_vote_only() -> None:
    story = Story(rules=FencingRules(required=True))
    story.files[1] = status(1, 9, votes={G: Vote(5, 3, INC + 7, 1)})
    story.start(1)
    story.hear(1, status(2, 1))
    assert brain(story).confirmed(3, story.now) == ""
    story.step(1)
    assert brain(story).state.record(G).ballot.vote is None


def test_confirm_of_one_node_is_no_receipt_for_what_is_known_of_another() -> None:
    story = with_a_stale_node()
    brain(story).state.record("h").ballot = Ballot(Vote(1, 2, INC + 50, 1))
    assert brain(story).confirmed(3, story.now) == ""
    assert brain(story).next_status(story.now).fenced == {3: CONFIRMED}
