"""The poison pill: an order to end all groups, obeyed at once and acknowledged at the end (F2)."""

from __future__ import annotations

from typing import Any

import pytest

from mosha.core.cluster import poison, shots
from mosha.core.cluster.eligibility import NODE
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, Shot
from mosha.core.cluster.node import Node
from mosha.core.status import Grade, GroupState, Stamp, Status, Vote
from mosha.core.tables import STOP_LEVEL
from tests.core.story import INC, TIMING, G, Story, one_of_three, report, status

ORDER = FenceOrder(2, INC, asked=True)


def says(node: int, seq: int = 3, **more: Any) -> Status:
    return status(node, seq, **({"seen": {1: Stamp(INC, 1)}} | more))


def one(story: Story) -> Node:
    return story.nodes[1]


def owner() -> Story:
    """Node 1 owns `g` and runs it at `start`."""
    story = one_of_three()
    story.step(1)
    story.write(1)
    shown = {1: Stamp(INC, 2)}
    story.hear(1, says(2, 2, votes={G: Vote(1, 1, INC, 2)}, seen=shown), says(3, 2))
    story.step(1)
    story.step(1)
    assert story.at_home() == [1]
    story.write(1)
    return story


# --- the victim ------------------------------------------------------------------------------


def test_who_obeys_kills_at_once_and_acknowledges_when_nothing_is_left() -> None:
    story = owner()
    story.slow.add(1)
    story.hear(1, says(2, pills={1: INC}))
    tell = story.step(1).tell
    assert tell is not None
    assert (tell.level, tell.stop_at, tell.kill_at) == (STOP_LEVEL, story.now, story.now)
    story.write(1)
    assert (story.files[1].inc, story.files[1].pills_obeyed) == (INC, {}), "a process is left"
    assert story.step(1).tell is None, "it is killed once"
    story.stopped(1)
    story.write(1)
    assert story.files[1].claims == {G: 1}, "the claim is not released yet"
    assert story.files[1].pills_obeyed == {}
    story.step(1)
    story.write(1)
    said = story.files[1]
    assert (said.inc, said.claims, said.pills_obeyed) == (INC + 1, {}, {2: INC})
    events = [note.event for note in one(story).take_notes()]
    for event in ("pill_taken", "pill_killed", "pill_acknowledged"):
        assert events.count(event) == 1


@pytest.mark.parametrize("how", ["its status says so", "it is not heard"])
def test_an_order_that_is_over_before_all_is_ended_is_not_obeyed_any_more(how: str) -> None:
    # A group whose stop has failed keeps its claim: the node would take no other for ever.
    story = owner()
    story.hear(1, says(2, pills={1: INC}))
    fails = report(STOP_LEVEL, GroupState.FAILED, alive=1)
    story.show(1, fails)
    story.write(1)
    case = Case(one(story).state, "h", 1, story.now)
    said = [rule.said(case) for rule in NODE if rule.name == "standby"]
    assert said == ["node 1 ends all its groups, by order of node 2 (poison)"]
    assert story.files[1].standby, "the others take the groups"
    if how == "it is not heard":
        story.now += TIMING.timeout_s + 1
        story.miss(1, 2)
    else:
        story.hear(1, says(2, 4))
    story.write(1)
    assert (story.files[1].inc, story.files[1].standby) == (INC, False)
    assert [note.event for note in one(story).take_notes()].count("pill_withdrawn") == 1


def test_the_first_status_of_a_new_incarnation_wakes_all_groups() -> None:
    # Else one that waited for it would never be claimed.
    story = one_of_three()
    story.step(1, G)
    story.write(1)
    one(story).state.to_step.clear()
    story.hear(1, says(2, pills={1: INC}))
    story.step(1, G)
    made = one(story).next_status(story.now)
    assert made.inc == INC + 1
    one(story).state.to_step.clear()
    one(story).wrote(made, began=story.now)
    assert G in one(story).state.to_step


def test_an_order_for_another_incarnation_is_not_obeyed() -> None:
    story = owner()
    story.hear(1, says(2, pills={1: INC - 1, 3: INC}), says(3, pills={1: INC + 1}))
    assert one(story).state.pills_taken == {}
    assert story.step(1).tell is None


def test_an_order_that_was_obeyed_is_not_obeyed_by_the_next_incarnation() -> None:
    story = one_of_three()
    story.hear(1, says(2, pills={1: INC}))
    story.write(1)
    assert story.files[1].inc == INC + 1
    story.hear(1, says(2, 4, pills={1: INC}))
    story.write(1)
    assert story.files[1].inc == INC + 1


def test_who_obeys_claims_nothing() -> None:
    story = one_of_three()
    story.hear(1, says(2, pills={1: INC}))
    assert story.step(1).tell is None
    assert one(story).state.record(G).claim is None
    story.write(1)
    assert story.step(1).tell is not None, "the new incarnation may"


def test_without_clinit_nothing_is_acknowledged() -> None:
    story = one_of_three()
    one(story).clinit_lost()
    story.hear(1, says(2, pills={1: INC}))
    story.write(1)
    assert story.files[1].pills_obeyed == {}


def test_a_failed_stop_stays_and_is_not_acknowledged() -> None:
    story = owner()
    story.show(1, report(STOP_LEVEL, GroupState.FAILED, since=story.now, alive=0))
    story.hear(1, says(2, pills={1: INC}))
    assert story.step(1).tell is None
    story.write(1)
    assert (story.files[1].claims, story.files[1].pills_obeyed) == ({G: 1}, {})


def test_a_monitor_that_is_restarted_is_not_meant_any_more() -> None:
    story = owner()
    story.slow.add(1)
    story.hear(1, says(2, pills={1: INC}))
    story.write(1)
    story.start(1, inc=INC + 1)
    story.hear(1, says(2, 4, pills={1: INC}))
    assert one(story).state.pills_taken == {}
    story.write(1)
    assert story.files[1].pills_obeyed == {}


# --- the shooter -------------------------------------------------------------------------------


def test_the_order_is_shown_until_it_is_withdrawn() -> None:
    story = one_of_three()
    poison.order(one(story).state, 2, INC)
    story.write(1)
    assert story.files[1].pills == {2: INC}
    poison.withdraw(one(story).state, 2)
    story.write(1)
    assert story.files[1].pills == {}


def test_an_acknowledgement_counts_for_the_incarnation_that_it_names() -> None:
    story = one_of_three()
    state = one(story).state
    story.hear(1, says(2, 1, inc=INC + 2, pills_obeyed={1: INC + 1}))
    assert not poison.acknowledged(state, 2, INC)
    assert poison.acknowledged(state, 2, INC + 1)
    assert not poison.acknowledged(state, 3, INC)


def test_the_new_incarnation_is_no_reason_to_give_the_shot_up() -> None:
    story = one_of_three()
    state = one(story).state
    order = FenceOrder(2, INC)
    assert shots.is_void(state, order, story.now)
    story.hear(1, says(2, 1, inc=INC + 1, pills_obeyed={1: INC}))
    assert shots.is_void(state, order, story.now) == ""


def test_a_shot_that_was_acknowledged_is_shown_and_its_receipt_does_not_stand() -> None:
    story = one_of_three()
    state = one(story).state
    state.shots[2] = Shot(2, INC, story.now)
    story.hear(1, says(2, 1, inc=INC + 1, pills_obeyed={1: INC}))
    grade = Grade.COMMAND_SAID_SO
    one(story).shot(ShotEnded(ORDER, "receipt", "poison", "", grade), story.now)
    assert (state.shots[2].outcome, state.shots[2].method) == ("receipt", "poison")
    assert state.view.receipts == {}
    assert state.view.speaks(2)
