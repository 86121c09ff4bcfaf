"""The way into the brain: incarnations, members, quorum, fencing, leases, leaving."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from mosha.core.ballot import Ballot
from mosha.core.fencing import FencingRules
from mosha.core.node import RENEWAL_STEP, FenceOrder, Node
from mosha.core.peers import Standing
from mosha.core.quorum import Policy, Sight
from mosha.core.status import (
    GroupLine,
    GroupState,
    NodeState,
    Receipt,
    Stamp,
    Status,
    TableVersion,
    Vote,
)
from mosha.core.tables import Wish
from tests.core.story import INC, TIMING, G, Story, hactl, local, one_of_three, status

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
GRACE_S = TIMING.start_grace_s


def brain(story: Story) -> Node:
    return story.nodes[1]


def says(node: int, seq: int, **more: Any) -> Status:
    return status(node, seq, **({"seen": {1: Stamp(INC, 1)}} | more))


def events(story: Story) -> list[str]:
    return [note.event for note in brain(story).take_notes()]


# --- incarnations -------------------------------------------------------------------------


ECHOES = [
    # what others say they have seen of node 1, which is at (INC, 1); its incarnation after
    ("what it wrote", [Stamp(INC, 1), Stamp(INC, 1)], INC),
    ("an earlier life with a greater number", [Stamp(INC, 1), Stamp(INC - 5, 884)], INC),
    ("a later life", [Stamp(INC + 3, 1)], INC + 4),
    ("more than it wrote", [Stamp(INC, 2)], INC + 1),
    ("a later life, and then an even later one", [Stamp(INC + 3, 1), Stamp(INC + 9, 1)], INC + 10),
]


@pytest.mark.parametrize(
    ("echoes", "inc"), [row[1:] for row in ECHOES], ids=[row[0] for row in ECHOES]
)
def test_a_node_is_newer_than_everything_that_others_have_seen_of_it(
    echoes: list[Stamp], inc: int
) -> None:
    story = Story()
    story.write(1)
    for node, echo in enumerate(echoes, 2):
        story.hear(1, status(node, seen={1: echo}))
    assert brain(story).mind.inc == inc
    assert brain(story).dirty


@pytest.mark.parametrize(("fenced", "inc"), [(INC - 1, INC), (INC, INC + 1), (INC + 4, INC + 5)])
def test_a_node_that_others_believe_dead_begins_a_new_incarnation(fenced: int, inc: int) -> None:
    story = Story()
    story.write(1)
    story.hear(1, status(2, fenced={1: Receipt(fenced, "ipmi")}))
    assert brain(story).mind.inc == inc


def test_a_new_incarnation_is_published_at_once() -> None:
    story = one_of_three()
    story.write(1)
    story.hear(1, says(2, 2, seen={1: Stamp(INC + 3, 1)}))
    assert brain(story).dirty
    assert "incarnation_raised" in events(story)
    assert brain(story).next_status(story.now).inc == INC + 4


def test_a_new_incarnation_counts_no_echo_of_the_former_one() -> None:
    story = one_of_three()
    story.turn(1)
    story.write(1)
    story.hear(1, says(3, 2, seen={1: Stamp(INC + 1, 1)}))
    vote = Vote(1, 1, INC, 2)
    story.hear(1, says(2, 2, votes={G: vote}, seen={1: Stamp(INC, 2)}))
    story.turn(1)
    assert not brain(story).mind.seat(G).granted
    story.write(1)
    story.hear(1, says(2, 3, votes={G: vote}, seen={1: Stamp(INC + 2, 3)}))
    story.turn(1)
    assert brain(story).mind.seat(G).granted


def test_two_nodes_do_not_chase_each_other_with_incarnations() -> None:
    story = Story((1, 2))
    story.live(3.0)
    assert [story.nodes[node].mind.inc for node in (1, 2)] == [INC, INC]
    story.start(1, inc=INC - 50)  # the clock was set back, and the disk was lost
    story.live(3.0)
    assert [story.nodes[node].mind.inc for node in (1, 2)] == [INC + 1, INC]


# --- members and quorum -------------------------------------------------------------------


def test_a_lack_of_nodes_proves_nothing_before_everybody_was_looked_at() -> None:
    story = Story()
    story.now += T
    story.miss(1, 2)
    assert brain(story).mind.view.sight is Sight.UNKNOWN
    brain(story).take_woken()
    story.miss(1, 3)
    assert brain(story).mind.view.sight is Sight.NO
    assert "quorum_changed" in events(story)
    assert brain(story).take_woken() == {G}


def test_a_cluster_that_starts_as_a_whole_has_not_lost_its_quorum() -> None:
    story = Story()
    story.miss(1, 2, 3)
    assert brain(story).mind.view.sight is Sight.UNKNOWN
    story.now += T
    story.miss(1, 2)
    assert brain(story).mind.view.sight is Sight.NO


def test_a_lost_quorum_is_published_and_wakes_every_group() -> None:
    story = one_of_three()
    story.write(1)
    brain(story).take_woken()
    story.now += T + 1
    story.miss(1, 2, 3)
    assert brain(story).dirty
    assert brain(story).take_woken() == {G}
    assert not brain(story).next_status(story.now).quorum


def test_the_electorate_of_a_majority_only_grows_by_what_is_found() -> None:
    story = one_of_three()
    brain(story).members_found(frozenset({1, 2, 3, 4}))
    assert brain(story).mind.view.electorate.nodes == {1, 2, 3, 4}
    brain(story).members_found(frozenset({1, 2}))
    assert brain(story).mind.view.electorate.nodes == {1, 2, 3, 4}
    assert brain(story).mind.view.members == {2}


def test_the_quorum_is_judged_anew_when_members_are_found() -> None:
    story = one_of_three()
    story.now += T
    story.hear(1, says(2, 2), says(3, 2))
    for node in (4, 5, 6, 7):
        story.miss(1, node)
    brain(story).members_found(frozenset(range(1, 8)))
    assert brain(story).mind.view.sight is Sight.NO
    assert brain(story).take_woken() == {G}


def test_finding_what_is_known_already_changes_nothing() -> None:
    story = one_of_three()
    story.write(1)
    brain(story).take_woken()
    brain(story).members_found(frozenset({1, 2, 3}))
    assert (brain(story).dirty, brain(story).take_woken()) == (False, frozenset())


def test_h6_9_the_groups_of_a_node_that_is_no_member_any_more_move_when_it_is_stale() -> None:
    # hpcbase calls node 2 down; whether its processes are gone, only T of silence tells.
    story = Story(wishes=hactl(Wish(G, "start", prefer=(2, 1))), policy=Policy.ADAPTIVE)
    story.live(3.0)
    assert story.at_home() == [2]
    story.die(2)
    for node in (1, 3):
        story.nodes[node].members_found(frozenset({1, 3}))
        assert 2 in story.nodes[node].mind.view.watched()
        assert 2 not in story.nodes[node].mind.view.members
    story.live(T + 2.0)
    assert story.at_home() == [1]


def test_a_node_that_is_no_member_any_more_counts_for_no_quorum() -> None:
    story = one_of_three()
    brain(story).members_found(frozenset({1, 2}))
    story.now += T + 1
    story.miss(1, 2)
    story.hear(1, says(3, 9))
    assert brain(story).mind.view.sight is Sight.NO


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
    return brain(story).fence_orders(story.now)[0]


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
    "an operator vouched for it": lambda s: brain(s).confirmed(3),
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
    assert brain(story).mind.view.sight is Sight.YES
    assert brain(story).fence_orders(story.now) == ([], story.now + TIMING.heartbeat_s)
    story.hear(1, says(2, 3))
    assert ordered(story) == [FenceOrder(3, INC)]


def test_a_node_that_was_not_seen_since_the_own_start_is_not_shot() -> None:
    story = one_of_three()  # node 3: one status, read once, perhaps of last year
    story.now += GRACE_S + T + 1
    story.hear(1, says(2, 2))
    story.miss(1, 3)
    assert brain(story).mind.view.standing(3) is Standing.STALE
    assert ordered(story) == []


def test_a_receipt_is_published_and_frees_the_groups() -> None:
    story = with_a_stale_node(rules=FencingRules(required=True))
    (order,) = ordered(story)
    brain(story).take_woken()
    brain(story).shot(order, outcome="receipt", method="ipmi", detail="off", now=story.now)
    assert brain(story).mind.view.standing(3) is Standing.FENCED
    assert G in brain(story).take_woken()
    assert brain(story).next_status(story.now).fenced == {3: Receipt(INC, "ipmi")}


@pytest.mark.parametrize("outcome", ["no receipt", "failed"])
def test_any_other_outcome_proves_nothing(outcome: str) -> None:
    story = with_a_stale_node()
    (order,) = ordered(story)
    brain(story).shot(order, outcome=outcome, method="m", detail="d", now=story.now)
    assert brain(story).mind.view.standing(3) is Standing.STALE
    shot = brain(story).mind.shots[3]
    assert (shot.outcome, shot.method, shot.detail) == (outcome, "m", "d")


def test_a_failed_shot_is_tried_again_after_a_while() -> None:
    rules = FencingRules(required=True, retry_s=30.0)
    story = with_a_stale_node(rules=rules)
    (order,) = ordered(story)
    brain(story).shot(order, outcome="failed", method="m", detail="", now=story.now)
    assert brain(story).fence_orders(story.now) == ([], story.now + 30.0)
    story.now += 30.0
    story.hear(1, says(2, 3))
    assert ordered(story) == [order]


def test_a_node_that_lives_again_needs_another_receipt() -> None:
    story = with_a_stale_node()
    (order,) = ordered(story)
    brain(story).shot(order, outcome="receipt", method="ipmi", detail="", now=story.now)
    story.hear(1, says(3, 1, inc=INC + 1))
    assert brain(story).mind.view.standing(3) is Standing.FRESH
    story.hear(1, says(2, 3, fenced={3: Receipt(INC, "ipmi")}))  # old news
    assert brain(story).mind.view.standing(3) is Standing.FRESH
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
    brain(story).shot(first, outcome="failed", method="m", detail="", now=story.now)
    assert brain(story).mind.shots[3].outcome == "running"
    brain(story).shot(first, outcome="receipt", method="m", detail="", now=story.now)
    assert brain(story).mind.view.standing(3) is Standing.STALE


# --- an operator vouches for a death ------------------------------------------------------


def test_confirm_counts_a_stale_node_as_dead() -> None:
    story = with_a_stale_node(rules=FencingRules(required=True))
    assert brain(story).confirmed(3) == ""
    assert brain(story).next_status(story.now).fenced == {3: Receipt(INC, "operator")}


@pytest.mark.parametrize(("node", "word"), [(1, "alive"), (2, "alive"), (9, "never seen")])
def test_confirm_is_refused_for_who_lives_or_was_never_seen(node: int, word: str) -> None:
    story = with_a_stale_node()
    assert word in brain(story).confirmed(node)
    assert brain(story).next_status(story.now).fenced == {}


def test_confirm_covers_a_node_that_is_known_by_a_former_vote_only() -> None:
    story = Story(rules=FencingRules(required=True))
    story.files[1] = status(1, 9, votes={G: Vote(5, 3, INC + 7, 1)})
    story.start(1)
    assert brain(story).confirmed(3) == ""
    story.turn(1)
    assert brain(story).mind.seat(G).ballot.vote is None


def test_confirm_of_one_node_is_no_receipt_for_what_is_known_of_another() -> None:
    story = with_a_stale_node()
    brain(story).mind.seat("h").ballot = Ballot(Vote(1, 2, INC + 50, 1))
    assert brain(story).confirmed(3) == ""
    assert brain(story).next_status(story.now).fenced == {3: Receipt(INC, "operator")}


# --- leases -------------------------------------------------------------------------------


def owner() -> Story:
    story = one_of_three()
    story.turn(1)
    story.write(1)
    story.hear(1, says(2, 2, votes={G: Vote(1, 1, INC, 2)}, seen={1: Stamp(INC, 2)}))
    story.turn(1)
    story.turn(1)
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
    story.turn(1)
    assert brain(story).renewals(story.now) == []


def test_a_lost_lease_is_noted_and_wakes_the_group() -> None:
    story = owner()
    brain(story).take_notes()
    brain(story).take_woken()
    brain(story).renewals(1000.0 + L)
    assert events(story) == ["lease_lost"]
    assert brain(story).take_woken() == {G}


# --- looks --------------------------------------------------------------------------------


def test_o3_a_look_is_due_when_a_peer_could_be_stale() -> None:
    story = one_of_three()
    assert brain(story).look_at(2) == 1000.0 + T
    assert brain(story).look_at(9) == math.inf


def test_h3_5_the_own_node_is_never_stale() -> None:
    story = one_of_three()
    story.now += 100 * T
    story.miss(1, 2, 3)
    assert [peer.node for peer in brain(story).mind.view.stale()] == [2, 3]


def test_a_change_of_a_peer_is_noted_and_wakes_every_group() -> None:
    story = one_of_three()
    events(story)
    brain(story).take_woken()
    story.hear(1, says(2, 2, state=NodeState.LEFT))
    assert "peer_changed" in events(story)
    assert brain(story).take_woken() == {G}


def test_a_torn_read_leaves_the_earlier_reading() -> None:  # O1
    story = one_of_three()
    story.hear(1, says(2, 2, claims={"h": 3}))
    brain(story).peer_read(2, None, began=story.now, now=story.now, error="torn")
    assert brain(story).mind.view.holders("h", stale_too=False) == [2]
    assert brain(story).mind.view.peer(2).error == "torn"


def test_the_round_trip_of_a_write_and_its_echo_is_measured() -> None:
    story = one_of_three()
    story.now += 1.0
    story.write(1)
    story.now += 0.5
    story.hear(1, says(2, 2, seen={1: Stamp(INC, 2)}))
    assert brain(story).mind.view.roundtrips[2] == 0.5
    story.now += 0.5
    story.hear(1, says(2, 3, seen={1: Stamp(INC, 2)}))  # the same echo again
    assert brain(story).mind.view.roundtrips[2] == 0.5
    for seq in range(3, 10):
        story.write(1)
        story.hear(1, says(2, seq + 1, seen={1: Stamp(INC, seq)}))
        assert brain(story).mind.view.roundtrips[2] == 0.5, "one good echo ends no bad hour"
    story.write(1)
    story.hear(1, says(2, 11, seen={1: Stamp(INC, 10)}))
    assert brain(story).mind.view.roundtrips[2] == 0.0, "what was long ago is forgotten"


# --- clinit -------------------------------------------------------------------------------


def test_a_level_that_clinit_refuses_bans_the_group_here_with_its_words() -> None:
    story = one_of_three()
    tell = brain(story).turn(G, story.now, 0.0).tell
    assert tell is not None
    story.write(1)
    brain(story).tell_refused(G, tell.level, "no such group", story.now)
    assert brain(story).dirty
    assert events(story)[-1] == "tell_refused"
    story.turn(1)
    made = brain(story).next_status(story.now)
    assert made.claims == {}
    assert made.bans[G].reason == "clinit: no such group"


def test_a_group_that_clinit_dropped_is_not_shown_any_more() -> None:
    story = one_of_three()
    story.show(1, local("stop"))
    story.write(1)
    brain(story).clinit_dropped(G)
    assert brain(story).dirty
    assert brain(story).next_status(story.now).groups == {}
    story.write(1)
    brain(story).clinit_dropped(G)
    assert not brain(story).dirty


def test_a_group_that_only_others_know_gets_its_turn_too() -> None:
    story = one_of_three()
    brain(story).take_woken()
    story.hear(1, says(2, 2, groups={"far": GroupLine("start", GroupState.DONE)}))
    assert "far" in brain(story).take_woken()


# --- who is woken by what -----------------------------------------------------------------


WAKES: dict[str, Callable[[Story], object]] = {
    "tables": lambda s: s.adopt_tables(1),
    "what clinit has": lambda s: brain(s).clinit_answered([], s.now),
    "a change of clinit": lambda s: s.show(1, local("stop")),
    "a group that is gone": lambda s: brain(s).clinit_dropped(G),
    "a namesake": lambda s: brain(s).displaced(),
    "leaving": lambda s: brain(s).leave(),
    "a death that was confirmed": lambda s: brain(s)._believe_dead(3, Receipt(INC, "x")),
    "members": lambda s: brain(s).members_found(frozenset({1, 2})),
    "a claim": lambda s: s.hear(1, says(2, 2, claims={G: 1})),
}


@pytest.mark.parametrize("event", WAKES.values(), ids=WAKES.keys())
def test_a_group_takes_a_turn_after(event: Callable[[Story], object]) -> None:
    story = one_of_three()
    brain(story).take_woken()
    event(story)
    assert G in brain(story).take_woken()


def test_a_group_takes_a_turn_when_its_claim_is_published() -> None:
    # The own vote counts then; where it is the only one it grants the claim.
    story = Story((1,))
    brain(story).take_woken()
    story.write(1)
    assert brain(story).take_woken() == {G}
    story.turn(1)
    brain(story).take_woken()
    story.write(1)
    assert brain(story).take_woken() == {G}
    story.turn(1)
    assert brain(story).mind.seat(G).granted
    brain(story).take_woken()
    story.write(1)
    assert brain(story).take_woken() == frozenset()  # nothing waits for it any more


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
    tell = story.turn(1).tell
    assert tell is not None
    assert tell.level == "stop"
    assert not brain(story).halted()  # the claim is still there
    story.turn(1)
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
    turn = story.turn(1)
    assert turn.tell is not None
    assert turn.tell.level == "stop"


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
    assert story.nodes[1].mind.view.sight is Sight.NO
