"""Incarnations, members, electorate and quorum of the brain (H2, H6.9)."""

from __future__ import annotations

import pytest

from mosha.core.cluster.quorum import Policy, QuorumState
from mosha.core.status import (
    Receipt,
    Stamp,
    Vote,
)
from mosha.core.tables import Wish
from tests.core.owner import brain, events
from tests.core.story import INC, TIMING, G, Story, hactl, one_of_three, says, status

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
GRACE_S = TIMING.start_grace_s


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
    assert brain(story).state.inc == inc
    assert brain(story).dirty


@pytest.mark.parametrize(("fenced", "inc"), [(INC - 1, INC), (INC, INC + 1), (INC + 4, INC + 5)])
def test_a_node_that_others_believe_dead_begins_a_new_incarnation(fenced: int, inc: int) -> None:
    story = Story()
    story.write(1)
    story.hear(1, status(2, fenced={1: Receipt(fenced, "ipmi")}))
    assert brain(story).state.inc == inc


def test_a_new_incarnation_is_published_at_once() -> None:
    story = one_of_three()
    story.write(1)
    story.hear(1, says(2, 2, seen={1: Stamp(INC + 3, 1)}))
    assert brain(story).dirty
    assert "incarnation_raised" in events(story)
    assert brain(story).next_status(story.now).inc == INC + 4


def test_a_new_incarnation_counts_no_echo_of_the_former_one() -> None:
    story = one_of_three()
    story.step(1)
    story.write(1)
    story.hear(1, says(3, 2, seen={1: Stamp(INC + 1, 1)}))
    vote = Vote(1, 1, INC, 2)
    story.hear(1, says(2, 2, votes={G: vote}, seen={1: Stamp(INC, 2)}))
    story.step(1)
    assert not brain(story).state.record(G).granted
    story.write(1)
    story.hear(1, says(2, 3, votes={G: vote}, seen={1: Stamp(INC + 2, 3)}))
    story.step(1)
    assert brain(story).state.record(G).granted


def test_two_nodes_do_not_chase_each_other_with_incarnations() -> None:
    story = Story((1, 2))
    story.live(3.0)
    assert [story.nodes[node].state.inc for node in (1, 2)] == [INC, INC]
    story.start(1, inc=INC - 50)  # the clock was set back, and the disk was lost
    story.live(3.0)
    assert [story.nodes[node].state.inc for node in (1, 2)] == [INC + 1, INC]


# --- members and quorum -------------------------------------------------------------------


def test_a_lack_of_nodes_proves_nothing_before_everybody_was_looked_at() -> None:
    story = Story()
    story.now += T
    story.miss(1, 2)
    assert brain(story).state.view.quorum_state is QuorumState.UNKNOWN
    brain(story).take_to_step()
    story.miss(1, 3)
    assert brain(story).state.view.quorum_state is QuorumState.NO
    assert "quorum_changed" in events(story)
    assert brain(story).take_to_step() == {G}


def test_a_cluster_that_starts_as_a_whole_has_not_lost_its_quorum() -> None:
    story = Story()
    story.miss(1, 2, 3)
    assert brain(story).state.view.quorum_state is QuorumState.UNKNOWN
    story.now += T
    story.miss(1, 2)
    assert brain(story).state.view.quorum_state is QuorumState.NO


def test_a_lost_quorum_is_published_and_wakes_every_group() -> None:
    story = one_of_three()
    story.write(1)
    brain(story).take_to_step()
    story.now += T + 1
    story.miss(1, 2, 3)
    assert brain(story).dirty
    assert brain(story).take_to_step() == {G}
    assert not brain(story).next_status(story.now).quorum


def test_the_electorate_of_a_majority_only_grows_by_what_is_found() -> None:
    story = one_of_three()
    brain(story).members_found(frozenset({1, 2, 3, 4}))
    assert brain(story).state.view.electorate.nodes == {1, 2, 3, 4}
    brain(story).members_found(frozenset({1, 2}))
    assert brain(story).state.view.electorate.nodes == {1, 2, 3, 4}
    assert brain(story).state.view.members == {2}


def test_the_quorum_is_judged_anew_when_members_are_found() -> None:
    story = one_of_three()
    story.now += T
    story.hear(1, says(2, 2), says(3, 2))
    for node in (4, 5, 6, 7):
        story.miss(1, node)
    brain(story).members_found(frozenset(range(1, 8)))
    assert brain(story).state.view.quorum_state is QuorumState.NO
    assert brain(story).take_to_step() == {G}


def test_finding_what_is_known_already_changes_nothing() -> None:
    story = one_of_three()
    story.write(1)
    brain(story).take_to_step()
    brain(story).members_found(frozenset({1, 2, 3}))
    assert (brain(story).dirty, brain(story).take_to_step()) == (False, frozenset())


def test_h6_9_the_groups_of_a_node_that_is_no_member_any_more_move_when_it_is_stale() -> None:
    # hpcbase calls node 2 down; whether its processes are gone, only T of silence tells.
    story = Story(wishes=hactl(Wish(G, "start", prefer=(2, 1))), policy=Policy.ADAPTIVE)
    story.live(3.0)
    assert story.at_home() == [2]
    story.die(2)
    for node in (1, 3):
        story.nodes[node].members_found(frozenset({1, 3}))
        assert 2 in story.nodes[node].state.view.watched()
        assert 2 not in story.nodes[node].state.view.members
    story.live(T + 2.0)
    assert story.at_home() == [1]


def test_a_node_that_is_no_member_any_more_counts_for_no_quorum() -> None:
    story = one_of_three()
    brain(story).members_found(frozenset({1, 2}))
    story.now += T + 1
    story.miss(1, 2)
    story.hear(1, says(3, 9))
    assert brain(story).state.view.quorum_state is QuorumState.NO
