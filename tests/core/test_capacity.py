"""How much of a node is taken: weights of groups against the capacity of their node."""

from __future__ import annotations

import math

import pytest

from mosha.core.cluster import capacity
from mosha.core.cluster.candidacy import joint_plan
from mosha.core.cluster.eligibility import eligible
from mosha.core.explain.verdicts import judge
from mosha.core.explain.why_not import why_not
from mosha.core.status import GroupLine, GroupState
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import Wish
from tests.core.story import TIMING, G, Story, hactl, report, says
from tests.core.test_candidacy import due, state

BIG = Wish("big", "start", weight=3)
RUNS = GroupLine("start", GroupState.DONE)


def crowd(*wishes: Wish, **capacities: int) -> Story:
    """Nodes 1 to 3 in which these wishes are in force; `n1=4` is the capacity of node 1."""
    story = Story(wishes=hactl(*wishes))
    for name, most in capacities.items():
        story.nodes[int(name[1:])].state.capacity = most
    return story


def told(story: Story, *wishes: Wish) -> None:
    """Put other wishes in force on all nodes."""
    story.wishes = hactl(*wishes)
    for node in story.nodes:
        story.adopt_tables(node)


def homes(story: Story) -> dict[str, list[int]]:
    return {group: story.at_home(group) for group in story.wishes.wishes}


def test_a_node_takes_what_its_capacity_allows_and_no_more() -> None:
    story = crowd(*(Wish(name, "start", only=(1,)) for name in "abc"), n1=2)
    story.live(2.0)
    assert homes(story) == {"a": [1], "b": [1], "c": []}


def test_weights_count_in_any_unit() -> None:
    heavy = Wish("a", "start", only=(1,), weight=2048)
    story = crowd(heavy, Wish("b", "start", only=(1,), weight=1), n1=2048)
    story.live(2.0)
    assert homes(story) == {"a": [1], "b": []}
    told(story, Wish("a", "stop"), Wish("b", "start", only=(1,), weight=1))
    story.live(2.0)
    assert homes(story) == {"a": [], "b": [1]}


def test_groups_that_are_free_together_are_counted_where_they_go() -> None:
    wishes = [Wish(f"g{n}", "start", weight=2) for n in range(6)]
    story = crowd(*wishes, n1=4, n2=4, n3=4)
    story.live(3.0)
    carried = {node: capacity.load(story.nodes[node].state, node) for node in story.ids}
    assert carried == {1: 4, 2: 4, 3: 4}


def test_an_edit_stops_nothing_that_runs() -> None:
    story = crowd(Wish("a", "start", only=(1,)), Wish("b", "start", only=(1,)), n1=2)
    story.live(2.0)
    told(story, *(Wish(name, "start", only=(1,), weight=2) for name in "abc"))
    story.live(2.0)
    assert homes(story) == {"a": [1], "b": [1], "c": []}


def test_what_is_being_stopped_counts_until_it_is_gone() -> None:
    story = crowd(Wish("a", "start", only=(1,)), n1=1)
    story.live(2.0)
    story.slow.add(1)
    told(story, Wish("a", "stop"), Wish("b", "start", only=(1,)))
    story.live(2.0)
    assert story.owners("b") == []
    story.stopped(1, "a")
    story.live(2.0)
    assert story.at_home("b") == [1]


def test_a_failback_waits_for_room() -> None:
    back = Wish(G, "start", prefer=(2,), failback=True)
    story = crowd(back, Wish("a", "start", only=(2,), weight=2), n2=2)
    story.live(3 * TIMING.timeout_s)
    assert story.at_home() != [2]
    told(story, back, Wish("a", "stop"))
    story.live(3.0)
    assert story.at_home() == [2]


def test_the_least_weight_attracts_not_the_fewest_groups() -> None:
    story = crowd(Wish("big", "start", only=(1,), weight=5), n1=9)
    story.live(2.0)
    few = [Wish(f"s{n}", "start", only=(1, 2)) for n in range(4)]
    told(story, Wish("big", "start", only=(1,), weight=5), *few)
    story.live(2.0)
    assert homes(story) == {"big": [1], **{wish.group: [2] for wish in few}}


@pytest.fixture
def full() -> Story:
    """Told from node 1: nodes 2 and 3 take 3 each, and hold 1; group `big` takes 3."""
    story = crowd(BIG, Wish("a", "start"), Wish("b", "start"), n1=2)
    story.write(1)
    story.hear(1, says(2, capacity=3, claims={"a": 1}, groups={"a": RUNS}))
    story.hear(1, says(3, capacity=3, groups={"b": RUNS}))
    return story


def test_what_others_hold_is_what_they_show(full: Story) -> None:
    here = state(full)
    assert capacity.loads(here) == {1: 0, 2: 1, 3: 1}
    assert eligible(here, "big", full.now) == frozenset()
    full.hear(1, says(3, 3, capacity=3, groups={"b": GroupLine("stop", GroupState.DONE)}))
    assert eligible(here, "big", full.now) == {3}
    full.hear(1, says(2, 3, claims={"a": 1}))  # no limit any more
    assert eligible(here, "big", full.now) == {2, 3}


def test_a_group_without_room_is_a_problem_with_a_remedy(full: Story) -> None:
    found = judge(state(full), "big", full.now)
    assert not found.ok
    assert found.why == (
        "no node can run it: node 1: no room: weight 3, and 2 of 2 free; node 2: no room: weight 3,"
        " and 2 of 3 free; node 3: no room: weight 3, and 2 of 3 free"
    )
    assert found.next == (
        "move another group away from node 2, lower weight= of big, or raise capacity in mosha.toml"
        " of node 2"
    )
    answer = why_not(state(full), "big", 2, full.now, 0.0)
    assert answer.verdict == "node 2 has no room: weight 3, and 2 of 3 free"
    assert answer.next.startswith("move another group away from node 2, lower weight= of big")
    fine = why_not(state(full), "a", 3, full.now, 0.0).reasons
    assert [r.said for r in fine if r.rule == "capacity"] == [
        "node 3 has room: weight 1, and 2 of 3 free"
    ]


def test_where_a_group_does_not_even_fit_alone_nobody_is_told_to_move_others_away(
    full: Story,
) -> None:
    full.hear(1, says(2, 3, capacity=2, claims={"a": 1}, groups={"a": RUNS}))
    full.hear(1, says(3, 3, capacity=2, groups={"b": RUNS}))
    here = state(full)
    step = "lower weight= of big, or raise capacity in mosha.toml of node"
    assert judge(here, "big", full.now).next == f"{step} 1"
    assert [why_not(here, "big", node, full.now, 0.0).next for node in (1, 2)] == [
        f"{step} 1",
        f"{step} 2",
    ]


def test_of_what_runs_with_a_group_the_step_is_to_make_room_where_that_one_is() -> None:
    with_a = Wish("big", "start", weight=3, with_=("a",))
    story = crowd(with_a, Wish("a", "start"), Wish("b", "start"), n1=3)
    story.write(1)
    story.hear(1, says(2, capacity=3, claims={"a": 1}, groups={"a": RUNS}), says(3, capacity=3))
    found = judge(state(story), "big", story.now)
    assert found.why == (
        "no node can run it: node 1: a (with=) is not here; node 2: no room: weight 3, and 2 of 3"
        " free; node 3: a (with=) is not there"
    )
    assert found.next == why_not(state(story), "big", 2, story.now, 0.0).next
    assert found.next.startswith("move another group away from node 2, lower weight= of big")


def test_a_group_that_waits_for_room_is_looked_at_again_at_every_change(full: Story) -> None:
    here = state(full)
    full.nodes[1].take_to_step()
    full.nodes[1].step("big", full.now, 0.0)
    assert not full.nodes[1].take_to_step()
    full.hear(1, says(3, 3, capacity=3))
    assert "big" in full.nodes[1].take_to_step()
    here.capacity = 3
    full.nodes[1].step("big", full.now, 0.0)  # node 3 comes first, and has room for it
    assert "big" not in full.nodes[1].take_to_step()


def test_of_two_groups_that_find_room_for_one_the_other_waits_and_is_looked_at_again() -> None:
    story = crowd(BIG, Wish(G, "start", weight=3), n1=3)
    here = state(story)
    story.write(1)
    story.hear(1, says(2, capacity=0), says(3, capacity=0))
    assert joint_plan(here, story.now) == {"big": (1,), G: ()}
    assert due(story) == math.inf
    assert here.crowded == {G}
    story.show(1, report("start"))
    assert here.crowded == set()
    assert G in story.nodes[1].take_to_step()


def test_what_runs_here_without_a_claim_takes_room(full: Story) -> None:
    story = full
    assert capacity.load(state(story), 1) == 0
    story.show(1, GroupReport("big", "start", GroupState.DONE, "start", alive=1))
    assert capacity.load(state(story), 1) == BIG.weight
