"""Half of an even cluster goes on where the other half is gone for certain (E1)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.status import Grade, NodeState
from mosha.core.tables import Wish
from tests.core.story import INC, TIMING, G, Story, hactl

T = TIMING.timeout_s
LONG_S = 3 * T
RULES = FencingRules(required=True, tie_break_s=5.0)
HALF = 2


def two(*wishes: Wish) -> Story:
    """Two nodes, both up for long; node 1 is preferred."""
    story = Story((1, 2), wishes=hactl(*(wishes or (Wish(G, "start", prefer=(1,)),))), rules=RULES)
    story.live(TIMING.start_grace_s + LONG_S)
    return story


def cut(story: Story, one: int, other: int) -> None:
    story.cuts |= {(one, other), (other, one)}


def has_quorum(story: Story, node: int) -> bool:
    return story.nodes[node].state.view.quorum_state is QuorumState.YES


def shoots(story: Story, node: int, within_s: float) -> float | None:
    """Let time pass until a node shoots; return after how many seconds, None if it does not."""
    began = story.now
    while story.now < began + within_s:
        if story.shots(node):
            return story.now - began
        story.live(0.25)
    return None


def shot(story: Story, shooter: int, victim: int) -> None:
    """The victim is off, and the shooter hears of it."""
    inc = story.nodes[shooter].state.view.peer(victim).inc
    order = FenceOrder(victim, inc)
    ended = ShotEnded(order, "receipt", "m", "", Grade.OFF_CONFIRMED)
    story.die(victim)
    story.nodes[shooter].shot(ended, story.now)


def test_of_two_that_lose_each_other_the_one_with_more_to_lose_shoots_first() -> None:
    story = two()
    assert story.at_home() == [1]
    cut(story, 1, 2)
    story.live(T + 2 * TIMING.heartbeat_s)
    assert story.owners() == [], "neither has a majority"
    assert story.shots(1) == [FenceOrder(2, 100, Grade.OPERATOR_SAID_SO)]
    waited = shoots(story, 2, LONG_S)
    assert waited is not None
    assert waited >= RULES.tie_break_s - 3 * TIMING.heartbeat_s


def test_of_two_equals_the_lower_one_shoots_first() -> None:
    story = two(Wish(G, "stop"))
    cut(story, 1, 2)
    story.live(T + 2 * TIMING.heartbeat_s)
    assert story.shots(2) == []
    assert story.shots(1)


def test_of_two_the_one_with_a_delay_wins_whoever_has_more_to_lose() -> None:
    rules = replace(RULES, delays={2: 3.0})
    story = Story((1, 2), wishes=hactl(Wish(G, "start", prefer=(1,))), rules=rules)
    story.live(TIMING.start_grace_s + LONG_S)
    assert story.at_home() == [1]
    cut(story, 1, 2)
    story.live(T + 2 * TIMING.heartbeat_s)
    assert story.shots(2) == [FenceOrder(1, 100, Grade.OPERATOR_SAID_SO)]
    waited = shoots(story, 1, LONG_S)
    assert waited is not None
    assert waited >= rules.tie_break_s + rules.delays[2] - 3 * TIMING.heartbeat_s


def test_a_node_that_is_heard_again_during_its_delay_is_not_shot() -> None:
    story = Story((1, 2, 3), rules=replace(RULES, delays={3: 2 * T}))
    story.live(TIMING.start_grace_s + LONG_S)
    cut(story, 1, 3)
    cut(story, 2, 3)
    story.live(T + 2 * TIMING.heartbeat_s)
    assert story.nodes[1].state.view.standing(3) is Standing.STALE
    story.cuts = set()
    assert shoots(story, 1, 3 * T) is None
    assert not story.nodes[1].state.shots, "it has not even aimed"
    cut(story, 1, 3)
    cut(story, 2, 3)
    waited = shoots(story, 1, 2 * LONG_S)
    assert waited is not None
    assert waited >= 3 * T


def test_the_one_that_shot_the_other_goes_on_alone() -> None:
    story = two(Wish(G, "start", prefer=(2,)))
    cut(story, 1, 2)
    assert shoots(story, 2, LONG_S) is not None
    shot(story, 2, 1)
    story.live(LONG_S)
    assert story.nodes[2].state.view.quorum_state is QuorumState.YES
    assert story.at_home() == [2]


def test_without_a_receipt_neither_goes_on() -> None:
    story = two()
    cut(story, 1, 2)
    story.live(3 * LONG_S)
    assert story.owners() == []


def test_a_node_that_was_shot_and_comes_back_alone_shoots_nobody_and_starts_nothing() -> None:
    story = two()
    cut(story, 1, 2)
    assert shoots(story, 1, LONG_S) is not None
    shot(story, 1, 2)
    story.live(T)
    story.reboot(2)
    story.live(TIMING.start_grace_s + 3 * LONG_S)
    assert story.at_home() == [1]
    assert story.shots(2) == []
    assert story.nodes[2].state.view.quorum_state is not QuorumState.YES


@pytest.mark.parametrize("reboots", [True, False])
def test_a_receipt_that_is_remembered_from_before_its_own_death_does_not_make_a_half_enough(
    *, reboots: bool
) -> None:
    """Each was shot once; what node 1 remembers of node 2 is of before its own death."""
    story = two()
    cut(story, 1, 2)
    shoots(story, 1, LONG_S)
    shot(story, 1, 2)
    story.live(T)
    story.reboot(2)
    story.cuts = {(1, 2)}  # node 2 hears node 1, which does not hear it
    story.live(TIMING.start_grace_s + LONG_S)
    story.cuts = {(1, 2), (2, 1)}
    assert shoots(story, 2, LONG_S) is not None, "it has seen the other since its start"
    shot(story, 2, 1)
    story.live(LONG_S)
    assert story.at_home() == [2]
    if reboots:
        story.reboot(1)
    else:  # what shot it ended all that ran there, and its machine runs on
        story.start(1, inc=300, clinit_lives=False)
    assert story.nodes[1].state.view.receipts, "it remembers that it had node 2 shot"
    story.live(TIMING.start_grace_s + 3 * LONG_S)
    assert story.at_home() == [2]
    assert not has_quorum(story, 1)
    assert story.nodes[1].confirmed(2, story.now) == ""
    assert has_quorum(story, 1), "an operator answers for it"


def test_one_of_two_that_is_started_alone_waits_for_the_other_or_for_an_operator() -> None:
    story = Story((1, 2), rules=RULES)
    del story.nodes[2]
    story.live(3 * LONG_S)
    assert story.owners() == []
    assert story.shots(1) == []
    assert story.nodes[1].confirmed(2, story.now) == ""
    story.live(LONG_S)
    assert story.at_home() == [1]


def test_what_echoes_a_forgotten_life_does_not_make_a_half_enough() -> None:
    """The state of node 1 is lost, and its clock is behind: its incarnation is an old one."""
    story = two()
    gone = story.nodes[2]
    gone.leave()
    story.files[2] = gone.next_status(story.now, left=True)
    del story.nodes[2], story.files[1], story.memories[1]
    story.clinits[1] = {}
    story.start(1, boot="anew", inc=3, knows=False, clinit_lives=False)
    story.live(3 * LONG_S)
    assert story.nodes[1].state.inc > INC
    assert not has_quorum(story, 1)
    assert story.owners() == []


def test_the_monitor_of_the_one_that_goes_on_may_be_started_again() -> None:
    story = two()
    cut(story, 1, 2)
    shoots(story, 1, LONG_S)
    shot(story, 1, 2)
    story.live(T)
    story.start(1, inc=200)
    story.live(TIMING.heartbeat_s * 3)
    assert story.at_home() == [1]
    story.live(LONG_S)
    assert story.at_home() == [1]


def test_a_node_that_leaves_in_an_orderly_way_takes_nothing_from_the_other() -> None:
    story = two()
    gone = story.nodes[2]
    gone.leave()
    made = gone.next_status(story.now, left=True)
    assert made.state is NodeState.LEFT
    story.memories[2] = gone.memory(made)
    story.files[2] = made
    del story.nodes[2]
    story.live(LONG_S)
    assert story.at_home() == [1]
    assert story.nodes[1].state.view.needed == 1
    story.start(2, inc=101)
    story.live(LONG_S)
    assert story.nodes[1].state.view.needed == HALF
    assert story.at_home() == [1]


def test_a_node_that_left_before_this_one_started_does_not_make_a_half_enough() -> None:
    story = two()
    for node in (2, 1):
        gone = story.nodes[node]
        gone.leave()
        made = gone.next_status(story.now, left=True)
        story.memories[node], story.files[node] = gone.memory(made), made
        story.clinits[node] = {}
        del story.nodes[node]
    story.start(1, inc=101)
    story.live(3 * LONG_S)
    assert story.owners() == []


@pytest.mark.parametrize("nodes", [(1, 2, 3), (1, 2, 3, 4, 5)])
def test_an_odd_number_of_voters_has_no_halves(nodes: tuple[int, ...]) -> None:
    story = Story(nodes, rules=RULES)
    story.live(LONG_S)
    view = story.nodes[1].state.view
    assert not view.is_half
    assert view.electorate.half == 0
    assert view.needed == len(nodes) // 2 + 1


def test_of_four_two_go_on_when_both_others_are_gone() -> None:
    story = Story((1, 2, 3, 4), rules=RULES)
    story.live(TIMING.start_grace_s + LONG_S)
    story.die(3, 4)
    story.live(T + 2 * TIMING.heartbeat_s)
    assert story.owners() == []
    for victim in (3, 4):
        assert story.nodes[1].confirmed(victim, story.now) == ""
    story.live(LONG_S)
    assert len(story.at_home()) == 1
    assert story.nodes[2].state.view.quorum_state is QuorumState.YES
