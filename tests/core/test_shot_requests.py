"""A node that cannot end a group says so, and asks to be shot if it is set so (F1)."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from mosha.core.cluster import arming, shot_requests, shots
from mosha.core.cluster.deaths import KEPT_S
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.node import Node
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.state import Hold
from mosha.core.self_fencing import fence_after_s
from mosha.core.status import Grade, GroupState, ShotLine, Stamp, Unended
from mosha.core.tables import STOP_LEVEL
from tests.core.story import INC, TIMING, G, Story, one_of_three, report, says

T, GRACE_S = TIMING.timeout_s, TIMING.start_grace_s
RULES = FencingRules(required=True, ask_for_shots=True)
FIVE = (1, 2, 3, 4, 5)
STUCK = {G: Unended(shot_requests.FAILED, asks=True)}
HELD = {G: Unended(shot_requests.FAILED)}
PROOF = Grade.OFF_CONFIRMED


def asked_by(*asking: int, of: tuple[int, ...] = FIVE, after_s: float = GRACE_S + T) -> Story:
    """Told from node 1, some time after its start: all others are well, and these ask."""
    story = Story(of, rules=RULES)
    story.write(1)
    others = [node for node in of if node != 1]
    story.hear(1, *(says(node, 1) for node in others))
    story.now += after_s
    story.hear(1, *(says(n, 2, unended=STUCK if n in asking else {}) for n in others))
    return story


def one(story: Story) -> Node:
    return story.nodes[1]


def victims(story: Story) -> list[int]:
    return [order.node for order in story.shots(1)]


def events(story: Story) -> list[str]:
    return [note.event for note in one(story).take_notes()]


# --- who asks ------------------------------------------------------------------------------


def owner(*, ask: bool = True) -> Story:
    """Node 1 owns `g`."""
    story = one_of_three(rules=replace(RULES, ask_for_shots=ask))
    one(story).state.record(G).claim = 1
    return story


def published(story: Story) -> dict[str, Unended]:
    return dict(one(story).next_status(story.now).unended)


@pytest.mark.parametrize("ask", [True, False])
def test_a_node_whose_stop_has_failed_says_so_and_asks_if_it_is_set_so(*, ask: bool) -> None:
    story = owner(ask=ask)
    assert published(story) == {}
    story.show(1, report(STOP_LEVEL, GroupState.FAILED, since=story.now, alive=0))
    assert published(story) == {G: Unended(shot_requests.FAILED, asks=ask)}
    assert one(story).next_status(story.now).claims == {G: 1}, "the claim stays"
    assert events(story).count("group_unended") == 1


def test_processes_have_some_time_after_kill_at_before_the_node_asks() -> None:
    story = owner()
    kill_at = story.now + 1
    stuck = report("start", GroupState.STOPPING, wanted=STOP_LEVEL, kill_at=kill_at)
    story.show(1, stuck)
    story.now = kill_at + 1000
    assert published(story) == {}, "its lease may have been renewed since: it was not killed"
    story.show(1, replace(stuck, kill_at=story.now, killed=True))
    story.now += fence_after_s(TIMING) - 0.01
    assert published(story) == {}
    story.now += 0.02
    assert published(story) == {G: Unended(shot_requests.OUTLIVED, asks=True)}


def test_a_request_ends_when_the_group_has_ended_after_all() -> None:
    story = owner()
    killed = {"wanted": STOP_LEVEL, "kill_at": story.now, "killed": True}
    story.show(1, report("start", GroupState.STOPPING, **killed))
    story.now += T
    assert published(story)
    story.show(1, report(STOP_LEVEL))
    assert published(story) == {}
    assert events(story)[-1] == "group_ended_after_all"


def test_a_request_ends_with_a_cleanup_until_it_fails_again() -> None:
    story = owner()
    story.show(1, report(STOP_LEVEL, GroupState.FAILED, since=story.now, alive=0))
    assert published(story)
    story.now += 1
    one(story).state.record(G).cleaned_at = story.now
    assert published(story) == {}
    story.now += 1
    story.show(1, report(STOP_LEVEL, GroupState.FAILED, since=story.now, alive=0))
    assert published(story)


# --- who shoots ----------------------------------------------------------------------------


def test_a_node_that_asks_is_shot_by_the_lowest_and_shown_before() -> None:
    story = asked_by(5)
    assert one(story).fence_orders(story.now)[0] == []
    story.write(1)
    assert story.files[1].shots[5].outcome == "aiming"
    (order,) = one(story).fence_orders(story.now)[0]
    assert order == FenceOrder(5, INC, requested=True)
    notes = [note for note in one(story).take_notes() if note.event == "fence_ordered"]
    assert notes[0].fields["reason"] == "it asks to be shot"


def test_a_node_that_only_says_so_is_not_shot() -> None:
    story = asked_by()
    story.hear(1, says(5, 3, unended=HELD))
    assert victims(story) == []


def test_the_next_node_takes_over_and_the_victim_does_not_count() -> None:
    story = asked_by(1, of=(1, 2, 3))
    for node in (2, 3):
        story.write(node)
        story.hear(node, says(5 - node, 1))
        story.now += GRACE_S + T
        story.hear(node, says(1, 1), says(5 - node, 2))
        story.hear(node, says(1, 2, unended=STUCK))
        later = one_after(story, node) - story.now
        assert later == (0 if node == 2 else RULES.takeover_s)


def one_after(story: Story, node: int) -> float:
    """Return when a node is to shoot node 1."""
    state = story.nodes[node].state
    return shots._due(state, state.view.peer(1), 0.0, story.now)


def test_that_others_hear_a_node_does_not_protect_one_that_asks() -> None:
    story = asked_by(5)
    story.now += 1
    story.hear(1, *(says(n, 3, seen={1: Stamp(INC, 1), 5: Stamp(INC, 9)}) for n in (2, 3, 4)))
    assert victims(story) == [5]


def test_nor_does_it_where_this_node_does_not_hear_it_any_more() -> None:
    story = asked_by(5)
    story.now += T + 1
    story.hear(1, *(says(n, 3, seen={1: Stamp(INC, 1), 5: Stamp(INC, 9)}) for n in (2, 3, 4)))
    story.miss(1, 5)
    assert one(story).state.view.standing(5) is Standing.STALE
    assert victims(story) == [5]


def test_nobody_shoots_right_after_its_start() -> None:
    story = asked_by(5, after_s=1.0)
    assert victims(story) == []


def test_nobody_shoots_who_would_not_have_a_majority_without_the_victim() -> None:
    story = asked_by(5)
    story.now += T + 1
    story.hear(1, says(2, 3), says(5, 3, unended=STUCK))
    story.miss(1, 3, 4)
    assert one(story).state.view.quorum_state.value == "yes"
    one(story).state.braked, one(story).state.brake_until = (), -math.inf
    assert 5 not in victims(story), "of five only nodes 1 and 2 would be left"


def test_of_two_nodes_the_other_one_shoots() -> None:
    assert victims(asked_by(2, of=(1, 2))) == [2]


def test_nodes_that_ask_together_are_not_shot() -> None:
    story = asked_by(4, 5)
    assert victims(story) == []
    assert one(story).state.holds[5] == Hold("asking", (4, 5))
    story.hear(1, says(4, 3))
    assert victims(story) == [5]


def test_a_node_that_asks_itself_shoots_no_other_that_asks() -> None:
    story = asked_by(5)
    one(story).state.unended = dict(STUCK)
    assert [peer.node for peer in shot_requests.asking(one(story).state)] == []


def test_disarm_and_the_budget_hold_it() -> None:
    story = asked_by(5)
    arming.order(one(story).state, 60.0, "a switch", story.now)
    assert victims(story) == []
    arming.order(one(story).state, 0.0, "", story.now)
    one(story).state.deaths.of = {3: {INC: story.now}, 4: {INC: story.now}}
    assert victims(story) == []
    assert one(story).state.holds[5].kind == "budget"
    story.now += KEPT_S
    story.hear(1, *(says(n, 9, unended=STUCK if n == 5 else {}) for n in (2, 3, 4, 5)))
    assert victims(story) == [5]


# --- what comes of it ------------------------------------------------------------------------


def test_a_shot_goes_on_while_its_victim_asks_or_is_silent() -> None:
    story = asked_by(5)
    (order,) = story.shots(1)
    state = one(story).state
    assert shots.is_void(state, order, story.now) == ""
    story.hear(1, says(5, 3))
    assert shots.is_void(state, order, story.now) == "node 5 does not ask for it any more"
    story.hear(1, says(5, 1, inc=INC + 1, unended=STUCK))
    assert shots.is_void(state, order, story.now) == "node 5 does not ask for it any more"
    story.now += T + 1
    story.hear(1, *(says(n, 4) for n in (2, 3, 4)))
    story.miss(1, 5)
    assert shots.is_void(state, order, story.now) == ""


def test_who_was_shot_is_not_shot_again_before_it_is_silent() -> None:
    story = asked_by(5)
    (order,) = story.shots(1)
    one(story).shot(ShotEnded(order, "receipt", "ipmi", "", PROOF), story.now)
    story.write(1)
    assert story.files[1].shots == {5: ShotLine(INC, "shot")}
    other = asked_by(5)
    other.hear(1, says(2, 3, shots={5: ShotLine(INC, "shot")}))
    assert victims(other) == []
    other.hear(1, says(2, 4))
    assert victims(other) == [5], "that one was no receipt"
    story.now += 2 * T + 1
    story.hear(1, *(says(n, 4, unended=STUCK if n == 5 else {}) for n in (2, 3, 4, 5)))
    story.write(1)
    assert story.files[1].shots == {}, "it lives, whatever the device says"


def test_a_request_that_has_ended_is_not_shot() -> None:
    story = asked_by(5)
    one(story).fence_orders(story.now)
    story.hear(1, says(5, 3))
    assert victims(story) == []
    assert one(story).state.shots == {}


def test_the_receipt_counts_once_the_victim_is_silent() -> None:
    story = asked_by(5)
    (order,) = story.shots(1)
    one(story).shot(ShotEnded(order, "receipt", "ipmi", "", PROOF), story.now)
    assert one(story).state.view.standing(5) is Standing.FRESH
    assert victims(story) == [], "it was shot already"
    story.now += T + 1
    story.hear(1, *(says(n, 4) for n in (2, 3, 4)))
    story.miss(1, 5)
    assert one(story).state.view.standing(5) is Standing.FENCED
