"""The way into the brain: leases, looks, clinit, tables, leaving, whole clusters."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from mosha.core.cluster.node import RENEWAL_STEP
from mosha.core.cluster.quorum import QuorumState
from mosha.core.status import (
    Grade,
    GroupLine,
    GroupState,
    NodeState,
    Receipt,
    Stamp,
    TableVersion,
    Vote,
)
from mosha.core.tables import Wish
from tests.core.owner import brain, events
from tests.core.story import INC, TIMING, G, Story, hactl, one_of_three, report, says

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
GRACE_S = TIMING.start_grace_s


# --- leases -------------------------------------------------------------------------------


def owner() -> Story:
    story = one_of_three()
    story.step(1)
    story.write(1)
    story.hear(1, says(2, 2, votes={G: Vote(1, 1, INC, 2)}, seen={1: Stamp(INC, 2)}))
    story.step(1)
    story.step(1)
    assert story.at_home() == [1]
    return story


def test_renewals_hand_on_what_has_moved_and_only_that() -> None:
    story = owner()
    assert brain(story).renewals(story.now) == []
    story.now += 1.0
    story.write(1)
    story.hear(1, says(2, 3, votes={G: Vote(1, 1, INC, 2)}, seen={1: Stamp(INC, 3)}))
    (renewal,) = brain(story).renewals(story.now)
    assert (renewal.group, renewal.term) == (G, 1)
    assert (renewal.stop_at, renewal.kill_at) == (1001.0 + L, 1001.0 + L + D)
    assert brain(story).renewals(story.now) == []


def test_a_lease_that_moved_by_less_than_a_step_is_not_handed_on() -> None:
    story = owner()
    step = TIMING.heartbeat_s * RENEWAL_STEP
    for seq, moved, told in ((3, step * 0.9, 0), (4, step, 1)):
        story.now = 1000.0 + moved
        story.write(1)
        story.hear(1, says(2, seq, votes={G: Vote(1, 1, INC, 2)}, seen={1: Stamp(INC, seq)}))
        assert len(brain(story).renewals(story.now)) == told


def test_a_plan_has_no_lease_to_renew() -> None:
    story = one_of_three()
    story.step(1)
    assert brain(story).renewals(story.now) == []


def test_a_lost_lease_is_noted_and_wakes_the_group() -> None:
    story = owner()
    brain(story).take_notes()
    brain(story).take_to_step()
    brain(story).renewals(1000.0 + L)
    assert events(story) == ["lease_lost"]
    assert brain(story).take_to_step() == {G}


# --- looks --------------------------------------------------------------------------------


def test_o3_a_look_is_due_when_a_peer_could_be_stale() -> None:
    story = one_of_three()
    assert brain(story).look_at(2) == 1000.0 + T
    assert brain(story).look_at(9) == math.inf


def test_h3_5_the_own_node_is_never_stale() -> None:
    story = one_of_three()
    story.now += 100 * T
    story.miss(1, 2, 3)
    assert [peer.node for peer in brain(story).state.view.stale()] == [2, 3]


def test_a_change_of_a_peer_is_noted_and_wakes_every_group() -> None:
    story = one_of_three()
    events(story)
    brain(story).take_to_step()
    story.hear(1, says(2, 2, state=NodeState.LEFT))
    assert "peer_changed" in events(story)
    assert brain(story).take_to_step() == {G}


def test_a_torn_read_leaves_the_earlier_reading() -> None:  # O1
    story = one_of_three()
    story.hear(1, says(2, 2, claims={"h": 3}))
    brain(story).peer_read(2, None, began=story.now, now=story.now, error="torn")
    assert brain(story).state.view.holders("h", Grade.LEASE_ELAPSED) == [2]
    assert brain(story).state.view.peer(2).error == "torn"


def test_the_round_trip_of_a_write_and_its_echo_is_measured() -> None:
    story = one_of_three()
    story.now += 1.0
    story.write(1)
    story.now += 0.5
    story.hear(1, says(2, 2, seen={1: Stamp(INC, 2)}))
    assert brain(story).state.view.roundtrips[2] == 0.5
    story.now += 0.5
    story.hear(1, says(2, 3, seen={1: Stamp(INC, 2)}))  # the same echo again
    assert brain(story).state.view.roundtrips[2] == 0.5
    for seq in range(3, 10):
        story.write(1)
        story.hear(1, says(2, seq + 1, seen={1: Stamp(INC, seq)}))
        assert brain(story).state.view.roundtrips[2] == 0.5, "one good echo ends no bad hour"
    story.write(1)
    story.hear(1, says(2, 11, seen={1: Stamp(INC, 10)}))
    assert brain(story).state.view.roundtrips[2] == 0.0, "what was long ago is forgotten"


# --- clinit -------------------------------------------------------------------------------


def test_a_level_that_clinit_refuses_bans_the_group_here_with_its_words() -> None:
    story = one_of_three()
    tell = brain(story).step(G, story.now, 0.0).tell
    assert tell is not None
    story.write(1)
    brain(story).tell_refused(G, tell.level, "no such group", story.now)
    assert brain(story).dirty
    assert events(story)[-1] == "tell_refused"
    story.step(1)
    made = brain(story).next_status(story.now)
    assert made.claims == {}
    assert made.bans[G].reason == "clinit: no such group"


def test_a_group_that_clinit_dropped_is_not_shown_any_more() -> None:
    story = one_of_three()
    story.show(1, report("stop"))
    story.write(1)
    brain(story).clinit_dropped(G)
    assert brain(story).dirty
    assert brain(story).next_status(story.now).groups == {}
    story.write(1)
    brain(story).clinit_dropped(G)
    assert not brain(story).dirty


def test_a_group_that_only_others_know_gets_its_turn_too() -> None:
    story = one_of_three()
    brain(story).take_to_step()
    story.hear(1, says(2, 2, groups={"far": GroupLine("start", GroupState.DONE)}))
    assert "far" in brain(story).take_to_step()


# --- who is woken by what -----------------------------------------------------------------


WAKES: dict[str, Callable[[Story], object]] = {
    "tables": lambda s: s.adopt_tables(1),
    "what clinit has": lambda s: brain(s).clinit_answered([], s.now),
    "a change of clinit": lambda s: s.show(1, report("stop")),
    "a group that is gone": lambda s: brain(s).clinit_dropped(G),
    "a namesake": lambda s: brain(s).displaced(),
    "leaving": lambda s: brain(s).leave(),
    "a death that was confirmed": lambda s: brain(s)._deaths._believe(3, Receipt(INC, "x"), s.now),
    "members": lambda s: brain(s).members_found(frozenset({1, 2})),
    "a claim": lambda s: s.hear(1, says(2, 2, claims={G: 1})),
}


@pytest.mark.parametrize("event", WAKES.values(), ids=WAKES.keys())
def test_a_group_takes_a_turn_after(event: Callable[[Story], object]) -> None:
    story = one_of_three()
    brain(story).take_to_step()
    event(story)
    assert G in brain(story).take_to_step()


def test_a_group_takes_a_turn_when_its_claim_is_published() -> None:
    # The own vote counts then; where it is the only one it grants the claim.
    story = Story((1,))
    brain(story).take_to_step()
    story.write(1)
    assert brain(story).take_to_step() == {G}
    story.step(1)
    brain(story).take_to_step()
    story.write(1)
    assert brain(story).take_to_step() == {G}
    story.step(1)
    assert brain(story).state.record(G).granted
    brain(story).take_to_step()
    story.write(1)
    assert brain(story).take_to_step() == frozenset()  # nothing waits for it any more


def test_one_node_alone_runs_its_groups() -> None:
    story = Story((1,))
    story.live(1.0)
    assert story.at_home() == [1]
    story.live(3 * T)
    assert story.at_home() == [1]


# --- tables, leaving, a namesake ----------------------------------------------------------


def test_tables_are_published_with_what_was_refused() -> None:
    story = one_of_three()
    versions = {"hactl": TableVersion(7, "d")}
    brain(story).tables_adopted(hactl(), frozenset({G}), versions, {"cltab": "line 3"})
    made = brain(story).next_status(story.now)
    assert (made.tables, made.refused) == (versions, {"cltab": "line 3"})


def test_h6_4_a_node_that_leaves_stops_everything_before_it_has_left() -> None:
    story = owner()
    assert not brain(story).halted()
    brain(story).leave()
    assert brain(story).next_status(story.now).state is NodeState.LEAVING
    tell = story.step(1).tell
    assert tell is not None
    assert tell.level == "stop"
    assert not brain(story).halted()  # the claim is still there
    story.step(1)
    assert brain(story).halted()


def test_h6_4_a_node_that_leaves_hands_over_at_once() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2))))
    story.live(3.0)
    assert story.at_home() == [1]
    story.nodes[1].leave()
    story.live(2.0)
    assert story.at_home() == [2]
    assert story.nodes[2].fence_orders(story.now + 1e6)[0] == []


def test_a_displaced_node_stops_everything() -> None:
    story = owner()
    brain(story).displaced()
    step = story.step(1)
    assert step.tell is not None
    assert step.tell.level == "stop"


# --- whole clusters -----------------------------------------------------------------------


def test_a_cluster_starts_loses_a_node_and_goes_on() -> None:
    groups = [f"g{i}" for i in range(6)]
    story = Story(wishes=hactl(*(Wish(group, "start") for group in groups)))
    story.live(3.0)
    assert all(len(story.at_home(group)) == 1 for group in groups)
    story.die(2)
    story.live(T + 2.0)
    assert all(len(story.at_home(group)) == 1 for group in groups)
    assert all(2 not in story.at_home(group) for group in groups)


def test_a_node_that_is_cut_off_stops_its_groups_before_others_start_them() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2))))
    story.live(3.0)
    story.cuts = {(1, 2), (1, 3), (2, 1), (3, 1)}
    story.live(T + 3.0)  # asserts at most one all the time
    assert story.at_home() == [2]
    story.cuts = set()
    story.live(3 * T)
    assert story.at_home() == [2]


def test_two_of_five_nodes_cannot_take_a_group_from_the_others() -> None:
    story = Story(range(1, 6), wishes=hactl(Wish(G, "start", prefer=(5, 1))))
    story.live(3.0)
    assert story.at_home() == [5]
    story.cuts = {(a, b) for a in story.ids for b in story.ids if (a < 3) != (b < 3)}
    story.live(3 * T)
    assert story.at_home() == [5]
    assert story.nodes[1].state.view.quorum_state is QuorumState.NO
