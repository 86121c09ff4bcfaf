"""What holds shots back: another shooter, the brake, the budget, `mosha disarm`; and probation."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mosha.core.cluster import arming, probation, restraint, shots
from mosha.core.cluster.deaths import KEPT_S
from mosha.core.cluster.eligibility import may_take, obstacles
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.node import Node
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.state import Asked, Hold, PendingReceipt
from mosha.core.explain.why_not import why_not
from mosha.core.status import Disarm, Grade, NodeState, Receipt, ShotLine, Stamp
from tests.core.story import INC, TIMING, G, Story, says

T = TIMING.timeout_s
FIVE = (1, 2, 3, 4, 5)
RULES = FencingRules(required=True)
STEP_S = TIMING.heartbeat_s * shots.WITNESS_STEP


def silent(*nodes: int, of: tuple[int, ...] = FIVE) -> Story:
    """Told from node 1 of five, long after its start: these nodes were well, and are stale now."""
    story = Story(of, rules=RULES)
    story.write(1)
    others = [node for node in of if node != 1]
    story.hear(1, *(says(node, 1) for node in others))
    story.now += TIMING.start_grace_s + T
    story.hear(1, *(says(node, 2) for node in others))
    return missed(story, nodes, [node for node in others if node not in nodes], 3)


def missed(story: Story, nodes: tuple[int, ...], well: list[int], seq: int) -> Story:
    story.now += T + 1
    for node in well:
        inc = max(INC, one(story).state.view.peer(node).inc)
        story.hear(1, says(node, seq, inc=inc))
    story.miss(1, *nodes)
    return story


def one(story: Story) -> Node:
    return story.nodes[1]


def victims(story: Story) -> list[int]:
    return [order.node for order in story.shots(1)]


def held(story: Story) -> list[tuple[object, object]]:
    notes = one(story).take_notes()
    return [(n.fields["peer"], n.fields["reason"]) for n in notes if n.event == "fencing_held"]


# --- one shooter at a time -----------------------------------------------------------------


def test_a_shot_is_shown_before_it_is_fired() -> None:
    story = silent(5)
    assert one(story).fence_orders(story.now)[0] == []
    made = one(story).next_status(story.now)
    assert made.shots == {5: ShotLine(INC, "aiming")}
    assert one(story).fence_orders(story.now)[0] == [], "it was made, and not written yet"
    one(story).wrote(made, began=story.now)
    assert one(story).fence_orders(story.now)[0] == [FenceOrder(5, INC)]
    assert one(story).next_status(story.now).shots == {5: ShotLine(INC, "running")}


@pytest.mark.parametrize(
    ("line", "waits"),
    [
        (ShotLine(INC, "running"), True),
        (ShotLine(INC, "aiming"), False),  # node 1 is the lower one
        (ShotLine(INC - 1, "running"), False),
    ],
)
def test_a_node_that_another_one_shoots_is_not_shot_too(line: ShotLine, *, waits: bool) -> None:
    story = silent(5)
    story.hear(1, says(4, 4, shots={5: line}))
    assert victims(story) == ([] if waits else [5])
    if waits:
        assert one(story).fence_orders(story.now)[1] == pytest.approx(story.now + STEP_S)
        story.hear(1, says(4, 5))
        assert victims(story) == [5], "that shot is over, and gave no receipt"


def test_of_two_that_aim_the_lower_one_shoots() -> None:
    story = Story((1, 2, 3), rules=RULES)
    for node in (1, 2):
        state = story.nodes[node].state
        other = 3 - node
        said = says(other, 5, shots={3: ShotLine(INC, "aiming")})
        story.hear(node, said)
        peer = state.view.peer(3)
        state.view._peers[3] = type(peer)(3, says(3, 1), heard_at=0.0)
        assert shots._other_shooter(state, state.view.peer(3)) == (None if node == 1 else 1)


def test_an_aim_is_lowered_when_the_node_is_heard_again() -> None:
    story = silent(5)
    one(story).fence_orders(story.now)
    story.hear(1, says(5, 3))
    story.write(1)
    assert one(story).fence_orders(story.now)[0] == []
    assert one(story).state.shots == {}
    assert one(story).next_status(story.now).shots == {}


def all_have_read(story: Story, *others: int) -> list[FenceOrder]:
    """Let node 1 aim and publish it, the others read that, and return whom it shoots then."""
    found = story.shots(1)
    seen = {1: story.files[1].stamp}
    story.hear(1, *(says(node, 50, seen=seen) for node in others))
    return [*found, *story.shots(1)]


# --- the brake -------------------------------------------------------------------------------


def test_nodes_that_went_silent_together_are_not_shot_until_some_are_heard_again() -> None:
    story = silent(4, 5)
    assert victims(story) == []
    assert one(story).state.holds[5] == Hold("brake", (4, 5))
    assert held(story) == [(4, "brake"), (5, "brake")]
    assert victims(story) == []
    assert held(story) == [], "it was told"
    story.hear(1, says(4, 3))
    assert victims(story) == [], "a switch is back: node 5 will be heard in a moment"
    story.now += TIMING.lease_s
    story.hear(1, says(2, 9), says(3, 9), says(4, 9))
    assert victims(story) == [5]
    assert one(story).state.holds == {}


def test_one_that_is_late_and_not_stale_yet_counts_for_the_brake() -> None:
    story = silent()
    story.hear(1, says(5, 8))
    story.now += T * (1 - restraint.SILENT_SHARE) - 0.1
    story.hear(1, says(4, 8))
    missed(story, (5,), [2, 3], 9)
    view = one(story).state.view
    assert view.standing(4) is Standing.FRESH
    assert restraint.crowd(one(story).state, view.peer(5), story.now) == (4, 5)


@pytest.mark.parametrize("how", ["left", "dead", "long ago", "once"])
def test_who_is_silent_for_another_reason_does_not_count_for_the_brake(how: str) -> None:
    story = silent(4)
    state = one(story).state
    if how == "left":
        story.hear(1, says(4, 9, state=NodeState.LEFT))
    elif how == "dead":
        state.view.receipt(4, Receipt(INC, "m"), own=True)
    elif how == "once":
        state.view._peers[4] = type(state.view.peer(4))(4, says(4, 1), heard_at=story.now - T)
    else:
        story.now += T
        story.hear(1, says(2, 8), says(3, 8), says(5, 8))
    missed(story, (4, 5), [2, 3], 10)
    assert restraint.crowd(state, state.view.peer(5), story.now) == ()


def test_of_three_one_is_no_crowd() -> None:
    assert victims(silent(3, of=(1, 2, 3))) == [3]


# --- others hear it --------------------------------------------------------------------------


def test_a_node_that_a_majority_hears_is_not_shot_by_one_that_does_not() -> None:
    story = silent(3, of=(1, 2, 3))
    for seq in range(10, 16):
        story.hear(1, says(2, seq, seen={1: Stamp(INC, 1), 3: Stamp(INC, seq)}))
        story.miss(1, 3)
        assert victims(story) == []
        assert one(story).state.holds == {3: Hold("heard", (2,))}
        story.now += T / 2
    story.now += T  # the echo goes on no more
    story.hear(1, says(2, 16, seen={1: Stamp(INC, 1), 3: Stamp(INC, 15)}))
    assert victims(story) == [3]


def test_a_node_that_less_than_a_majority_hears_has_no_lease_and_is_shot() -> None:
    story = silent(5)
    story.hear(1, says(4, 9, seen={1: Stamp(INC, 1), 5: Stamp(INC, 7)}))
    assert victims(story) == [5]


# --- the budget ------------------------------------------------------------------------------


def shoot(story: Story, victim: int) -> None:
    assert victims(story) == [victim]
    order = FenceOrder(victim, INC)
    one(story).shot(ShotEnded(order, "receipt", "m", "", Grade.OFF_CONFIRMED), story.now)


def test_at_most_a_minority_is_shot_within_a_while() -> None:
    story = silent(5)
    shoot(story, 5)
    story.hear(1, says(5, 1, inc=INC + 1), says(5, 2, inc=INC + 1))  # it is back
    missed(story, (4,), [2, 3, 5], 20)
    shoot(story, 4)
    story.hear(1, says(4, 1, inc=INC + 1), says(4, 2, inc=INC + 1))
    missed(story, (3,), [2, 4, 5], 40)
    assert victims(story) == []
    assert one(story).state.holds == {3: Hold("budget", (4, 5))}
    found, again = one(story).fence_orders(story.now)
    assert (found, again <= story.now + restraint.WINDOW_S) == ([], True)
    story.now += restraint.WINDOW_S
    story.hear(1, says(2, 60), says(4, 60, inc=INC + 1), says(5, 60, inc=INC + 1))
    assert victims(story) == [3]


@pytest.mark.parametrize(
    ("outcome", "more", "counts"),
    [
        ("failed", {}, False),
        ("failed", {"may_be_off": True}, True),
        ("failed", {"grade": Grade.COMMAND_SAID_SO}, True),
        ("no receipt", {}, True),
        ("receipt", {"grade": Grade.OFF_CONFIRMED}, True),
    ],
)
def test_a_shot_counts_for_the_budget_if_something_may_have_been_switched_off(
    outcome: str, more: dict[str, Any], *, counts: bool
) -> None:
    story = silent(3, of=(1, 2, 3))
    assert victims(story) == [3]
    state = one(story).state
    assert restraint.spent(state, 2, story.now) == (3,), "it is running"
    one(story).shot(ShotEnded(FenceOrder(3, INC), outcome, "m", "", **more), story.now)
    story.hear(1, says(3, 9), says(3, 10))
    story.now += T
    assert restraint.spent(state, 2, story.now) == ((3,) if counts else ())
    assert one(story).next_status(story.now).deaths == ({3: T} if counts else {})


def test_a_shot_counts_for_the_budget_also_if_its_victim_lives_on() -> None:
    story = silent(of=(1, 2, 3))
    assert one(story).fence_asked(3, story.now) == ""
    (order,) = all_have_read(story, 2, 3)
    one(story).shot(ShotEnded(order, "receipt", "m", "", Grade.OFF_CONFIRMED), story.now)
    state = one(story).state
    for seq in range(60, 66):
        story.now += T / 2
        story.hear(1, says(2, seq), says(3, seq))
    assert (state.pending, state.shots) == ({}, {}), "that receipt is void"
    assert restraint.spent(state, 2, story.now) == (3,)


def test_receipts_of_others_count_for_the_budget_and_those_of_an_earlier_run_do_not() -> None:
    story = silent(5)
    state = one(story).state
    state.deaths.note({3: Receipt(INC, "m")}, -math.inf)
    assert restraint.spent(state, 5, story.now) == ()
    state.deaths.note({2: Receipt(INC, "m"), 4: Receipt(INC, "m")}, story.now)
    assert restraint.spent(state, 5, story.now) == (2, 4)
    assert restraint.spent(state, 4, story.now) == (), "it is one of them"


def test_who_was_shot_itself_hears_from_others_that_the_budget_is_spent() -> None:
    story = silent(5)
    story.hear(1, says(2, 4, deaths={1: 30, 3: int(restraint.WINDOW_S) - 10}), says(3, 4))
    state = one(story).state
    assert restraint.spent(state, 5, story.now) == (1, 3)
    assert restraint.ease_at(state, story.now) == story.now + 10
    assert victims(story) == []
    assert one(story).next_status(story.now).deaths == {}, "it does not pass on what it was told"
    story.now += 11
    story.hear(1, says(2, 5, deaths={1: 41, 3: int(restraint.WINDOW_S) + 1}))
    assert restraint.spent(state, 5, story.now) == ()


def test_deaths_are_published_with_their_age_until_the_budget_has_room_again() -> None:
    story = silent(5)
    shoot(story, 5)
    story.now += 7.5
    assert one(story).next_status(story.now).deaths == {5: 7}
    story.now += restraint.WINDOW_S
    assert one(story).next_status(story.now).deaths == {}


@pytest.mark.parametrize("boot", ["boot", "another boot"])
def test_a_monitor_that_is_started_again_goes_on_with_the_budget_and_with_probation(
    boot: str,
) -> None:
    story = silent()
    for count in range(RULES.probation):
        one(story).state.deaths.note({5: Receipt(INC - 9 + count, "m")}, story.now)
    story.now += 5.0
    story.write(1)
    again = story.start(1, inc=INC + 1, boot=boot)
    told = again.next_status(story.now)
    if boot == "boot":
        assert (told.deaths, told.probations) == ({5: 5}, story.files[1].probations)
        assert told.probations != {}
        assert probation.on_probation(again.state, 5, story.now) == told.probations[5]
    else:  # who knows how long ago that was: the others tell
        assert (told.deaths, told.probations) == ({}, {})


# --- disarmed --------------------------------------------------------------------------------


def test_while_disarmed_nobody_is_shot_and_it_ends_by_itself() -> None:
    story = silent(5)
    arming.order(one(story).state, 60.0, "switch 3 is replaced", story.now)
    assert victims(story) == []
    assert one(story).fence_orders(story.now) == ([], story.now + 60.0)
    assert one(story).next_status(story.now).disarms == {1: Disarm(1, 60, "switch 3 is replaced")}
    story.now += 60.0
    story.hear(1, says(2, 9), says(3, 9), says(4, 9))
    assert victims(story) == [5]
    events = [note.event for note in one(story).take_notes()]
    assert events.count("fencing_disarmed") == events.count("fencing_armed") == 1


def test_who_hears_of_it_is_disarmed_too_and_armed_by_a_later_order() -> None:
    story = silent(5)
    state = one(story).state
    story.hear(1, says(2, 9, disarms={7: Disarm(2, 60, "why")}))
    assert victims(story) == []
    story.hear(1, says(3, 9, disarms={6: Disarm(3, 600, "older")}))
    assert state.disarmed is not None
    assert (state.disarmed.number, state.disarmed.until) == (7, story.now + 60)
    assert one(story).next_status(story.now).disarms == {7: Disarm(2, 60, "why")}
    arming.order(state, 0.0, "", story.now)
    assert victims(story) == [5]
    assert list(one(story).next_status(story.now).disarms) == [8]
    story.hear(1, says(2, 10, disarms={7: Disarm(2, 50, "why")}))
    assert not arming.is_disarmed(state, story.now), "node 2 has not heard of it yet"


def test_a_monitor_that_is_started_again_while_it_hears_nobody_is_disarmed_still() -> None:
    story = silent(5)
    arming.order(one(story).state, 60.0, "switch 3 is replaced", story.now)
    story.write(1)
    again = story.start(1, inc=INC + 1)
    assert arming.is_disarmed(again.state, story.now + 59.0)
    assert again.next_status(story.now).disarms == {1: Disarm(1, 60, "switch 3 is replaced")}
    assert not arming.is_disarmed(again.state, story.now + 60.0)


# --- an operator has a node shot -------------------------------------------------------------


def test_an_operator_may_have_a_node_shot_that_nothing_else_would_shoot() -> None:
    story = silent(4, 5)
    arming.order(one(story).state, 60.0, "", story.now)
    assert one(story).fence_asked(5, story.now) == ""
    assert all_have_read(story, 2, 3) == [FenceOrder(5, INC, asked=True)]
    assert victims(story) == []


def test_a_node_that_lives_is_shot_by_order_and_dead_when_it_is_silent_for_t() -> None:
    story = silent(of=(1, 2, 3))
    assert one(story).fence_asked(3, story.now) == ""
    (order,) = all_have_read(story, 2)
    assert not shots.is_void(one(story).state, order, story.now), "it is meant although it is heard"
    one(story).shot(ShotEnded(order, "receipt", "m", "", Grade.OFF_CONFIRMED), story.now)
    view = one(story).state.view
    assert view.standing(3) is Standing.FRESH
    missed(story, (3,), [2], 9)
    assert view.standing(3) is Standing.FENCED
    assert victims(story) == []


def test_an_order_to_shoot_waits_until_all_others_have_read_of_it() -> None:
    # Two operators may give it at one moment, on two nodes.
    story = silent(of=(1, 2, 3))
    assert one(story).fence_asked(3, story.now) == ""
    assert story.shots(1) == []
    found, again = one(story).fence_orders(story.now)
    assert (found, again) == ([], story.now + STEP_S)
    shown = story.files[1].stamp
    story.hear(1, says(3, 9, seen={1: shown}))
    assert story.shots(1) == [], "the victim is not asked"
    aims = {3: ShotLine(INC, "aiming")}
    story.hear(1, says(2, 9, seen={1: Stamp(INC, shown.seq - 1)}, shots=aims))
    assert story.shots(1) == []
    story.hear(1, says(2, 10, seen={1: shown}, shots=aims))
    assert story.shots(1) == [FenceOrder(3, INC, asked=True)], "node 1 is the lower one"


def test_of_two_orders_to_shoot_one_node_the_higher_shooter_gives_way() -> None:
    story = Story((1, 2, 3), rules=RULES)
    story.write(1, 2, 3)
    for _ in range(2):
        for reader in (1, 2):
            story.read(reader, *({1, 2, 3} - {reader}))
        story.now += 1.0
        story.write(1, 2, 3)
    fired: list[int] = []
    for node in (1, 2):
        assert story.nodes[node].fence_asked(3, story.now) == ""
    for _ in range(4):
        fired += [node for node in (1, 2) if story.shots(node)]
        story.now += 0.1
        story.write(1, 2)
        story.read(1, 2)
        story.read(2, 1)
    assert fired == [1]


@pytest.mark.parametrize("how", ["time", "another life", "dead", "pending", "another shooter"])
def test_an_order_to_shoot_that_could_not_begin_is_void(how: str) -> None:
    story = silent(of=(1, 2, 3))
    assert one(story).fence_asked(3, story.now) == ""
    if how == "another life":
        story.hear(1, says(3, 1, inc=INC + 1))
    elif how == "dead":
        story.now += T + 1
        story.miss(1, 3)
        story.hear(1, says(2, 9, fenced={3: Receipt(INC, "m", Grade.OFF_CONFIRMED)}))
        assert (
            shots.fenceable(one(story).state, 3) == "node 3 counts as dead already (off-confirmed)"
        )
        state = one(story).state
        state.asked[3] = Asked(INC, story.now + shots.ASKED_S)
    elif how == "pending":
        receipt = Receipt(INC, "m", Grade.OFF_CONFIRMED)
        one(story).state.pending[3] = PendingReceipt(receipt, story.now, math.inf)
    elif how == "time":
        story.now += shots.ASKED_S
    else:
        story.hear(1, says(2, 9, shots={3: ShotLine(INC, "running")}))
        assert victims(story) == []
        story.now += shots.ASKED_S
        story.hear(1, says(2, 10))
    assert all_have_read(story, 2) == []
    assert one(story).state.asked == {}


def test_a_shot_under_way_goes_on_until_its_victim_is_heard_or_fencing_is_disarmed() -> None:
    story = silent(5)
    (order,) = story.shots(1)
    state = one(story).state
    assert shots.is_void(state, order, story.now) == ""
    arming.order(state, 60.0, "", story.now)
    assert shots.is_void(state, order, story.now) == "fencing is disarmed"
    arming.order(state, 0.0, "", story.now)
    newer = {1: Stamp(INC, 1), 5: Stamp(INC, 9)}
    story.hear(1, says(2, 9, seen=newer))
    assert shots.is_void(state, order, story.now) == "", "with that one it has no majority"
    story.hear(1, says(3, 9, seen=newer))
    told = "node 5 is heard by a majority again (nodes 2, 3)"
    assert shots.is_void(state, order, story.now) == told
    story.hear(1, says(5, 9))
    assert shots.is_void(state, order, story.now) == "node 5 is heard again"


def test_a_node_that_was_confirmed_in_haste_may_still_be_shot_by_order() -> None:
    story = silent(3, of=(1, 2, 3))
    assert one(story).confirmed(3, story.now) == ""
    assert one(story).fence_asked(3, story.now) == ""
    assert all_have_read(story, 2) == [FenceOrder(3, INC, asked=True)]
    assert one(story).fence_asked(3, story.now) == ""
    story.hear(1, says(2, 60, fenced={3: Receipt(INC, "m", Grade.COMMAND_SAID_SO)}))
    assert one(story).fence_orders(story.now)[0] == []
    assert one(story).state.asked == {}, "another has shot it meanwhile"


@pytest.mark.parametrize(
    ("node", "why"),
    [(1, "does not shoot itself"), (9, "was never seen"), (2, "")],
)
def test_an_order_to_shoot_is_refused_where_it_makes_no_sense(node: int, why: str) -> None:
    refusal = shots.fenceable(one(silent()).state, node)
    assert why in refusal
    assert bool(why) == bool(refusal)


def test_without_a_quorum_no_order_to_shoot_is_taken() -> None:
    assert "sees no quorum" in shots.fenceable(one(silent(2, 3, 4, 5)).state, 5)


def test_a_node_that_a_majority_hears_is_not_confirmed_dead_by_one_that_does_not() -> None:
    story = silent(5)
    state = one(story).state
    assert shots.confirmable(state, 5, story.now) == (INC, "")
    newer = {1: Stamp(INC, 1), 5: Stamp(INC, 9)}
    story.hear(1, says(2, 9, seen=newer), says(3, 9, seen=newer))
    told = "node 5 is alive: nodes 2, 3 hear it; stop it before you confirm"
    assert shots.confirmable(state, 5, story.now) == (0, told)


# --- probation -------------------------------------------------------------------------------


def test_a_node_that_was_found_dead_too_often_owns_nothing_for_a_while() -> None:
    story = silent()
    state = one(story).state
    for count in range(RULES.probation):
        assert may_take(state, G, 3, story.now)
        state.deaths.note({3: Receipt(INC - 9 + count, "m")}, story.now)
        state.deaths.note({3: Receipt(INC - 9 + count, "m")}, story.now + 1)  # told once more
        story.now += 1
    assert not may_take(state, G, 3, story.now)
    left_s = one(story).next_status(story.now).probations[3]
    assert 0 < left_s <= KEPT_S
    story.now += KEPT_S
    assert probation.on_probation(state, 3, story.now) == 0
    state.fencing = FencingRules(probation=0)
    assert probation.own(state, story.now - KEPT_S) == {}


def test_what_others_say_of_probation_counts_also_for_this_node() -> None:
    story = silent()
    state = one(story).state
    assert may_take(state, G, 1, story.now)
    story.hear(1, says(2, 9, probations={1: 100}))
    assert not may_take(state, G, 1, story.now)
    story.hear(1, says(2, 10))
    assert may_take(state, G, 1, story.now)


def test_a_witness_owns_nothing_and_is_not_told_to_end_its_standby() -> None:
    story = silent()
    state = one(story).state
    story.hear(1, says(2, 9, standby=True, witness=True))
    assert not may_take(state, G, 2, story.now)
    (told,) = [r for r in why_not(state, G, 2, story.now, 0.0).reasons if r.rule == "standby"]
    assert told.said == "node 2 is a witness: it only votes"
    assert why_not(state, G, 2, story.now, 0.0).next == "let another node take it"
    assert obstacles(state, G, story.now)[2][1].why(Case(state, G, 2, story.now)) == (
        "a witness: it only votes"
    )
