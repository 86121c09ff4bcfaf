"""Groups that give way to one of a higher priority, which no node has room for (P1)."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster.candidacy import joint_plan
from mosha.core.cluster.eligibility import NodeRules
from mosha.core.cluster.preemption import find
from mosha.core.cluster.preemption import preempted as gives_way_to
from mosha.core.cluster.state import LogRecord
from mosha.core.explain.verdicts import judge
from mosha.core.status import GroupLine, GroupState, Status, Vote
from mosha.core.tables import Wish
from tests.core.story import INC, TIMING, Story, hactl, says
from tests.core.test_candidacy import state
from tests.core.test_capacity import RUNS, crowd, homes, told

T = TIMING.timeout_s
HIGH = Wish("high", "start", weight=3, priority=10)


def low(name: str, **more: object) -> Wish:
    return Wish(name, "start", **more)  # type: ignore[arg-type]


def notes(story: Story, event: str) -> list[LogRecord]:
    found = (note for node in story.nodes.values() for note in node.take_notes())
    return [note for note in found if note.event == event]


def preempted(story: Story) -> dict[str, tuple[str, int]]:
    joint_plan(state(story), story.now)
    return state(story).preempted


def seen(*wishes: Wish, mine: int | None = 0, **nodes: dict[str, int] | None) -> Story:
    """Told from node 1, which takes `mine`: nodes 2 and 3 take 4 each, and run these groups."""
    story = crowd(*wishes)
    state(story).capacity = mine
    story.write(1)
    for node in (2, 3):
        groups = nodes.get(f"n{node}") or {}
        lines = dict.fromkeys(groups, RUNS)
        story.hear(1, says(node, capacity=4, claims=groups, groups=lines))
    return story


# --- what happens --------------------------------------------------------------------------------


def test_a_lower_group_gives_way_on_one_node_and_goes_where_there_is_room() -> None:
    lows = [low(name, weight=2) for name in "abc"]
    story = crowd(*lows, n1=3, n2=3, n3=3)
    story.live(3.0)
    before = homes(story)
    assert sorted(itertools.chain(*before.values())) == [1, 2, 3]
    told(story, *lows, HIGH)
    story.live(3.0)
    (node,) = story.at_home("high")
    assert homes(story) == {
        **{group: home for group, home in before.items() if home != [node]},
        **{group: [] for group, home in before.items() if home == [node]},
        "high": [node],
    }
    (victim,) = (group for group, home in before.items() if home == [node])
    found = notes(story, "group_preempted")
    assert [note.fields for note in found] == [{"group": victim, "by": "high"}]
    story.live(3 * T)
    assert story.at_home("high") == [node]
    assert notes(story, "group_preempted") == []


def test_what_gave_way_goes_to_another_node_with_room() -> None:
    story = crowd(low("a", prefer=(1,)), n1=3, n2=1, n3=0)
    story.live(3.0)
    told(story, low("a", prefer=(1,)), HIGH)
    story.live(4.0)
    assert homes(story) == {"a": [2], "high": [1]}


def test_the_groups_of_a_dead_node_push_lower_ones_out() -> None:
    wishes = [HIGH, *(low(name, weight=3) for name in "ab")]
    story = crowd(*wishes, n1=3, n2=3, n3=3)
    story.live(3.0)
    (node,) = story.at_home("high")
    story.die(node)
    story.live(3 * T)
    assert len(story.at_home("high")) == 1
    assert sum(len(story.at_home(name)) for name in "ab") == 1


def test_groups_that_are_apart_give_way_too() -> None:
    story = crowd(*(low(name) for name in "abc"))
    story.live(3.0)
    high = Wish("high", "start", apart=("a", "b", "c"), priority=1)
    told(story, *(low(name) for name in "abc"), high)
    story.live(4.0)
    (node,) = story.at_home("high")
    assert sum(home == [node] for home in homes(story).values()) == 1
    assert sorted(itertools.chain(*homes(story).values())).count(node) == 1


def test_one_that_no_room_can_be_made_for_stops_nobody() -> None:
    lows = [low(name, weight=2) for name in "abc"]
    story = crowd(*lows, n1=3, n2=3, n3=3)
    story.live(3.0)
    before = homes(story)
    told(story, *lows, Wish("huge", "start", weight=4, priority=9))
    story.live(2 * T)
    assert homes(story) == {**before, "huge": []}


def test_room_is_made_only_once_while_a_slow_stop_takes_its_time() -> None:
    lows = [low(name, weight=3) for name in "abc"]
    story = crowd(*lows, n1=3, n2=3, n3=3)
    story.live(3.0)
    story.slow |= {1, 2, 3}
    told(story, *lows, HIGH)
    story.live(1.0)
    ending = [g for g in "abc" for c in story.clinits.values() if g in c and c[g].wanted == "stop"]
    assert len(ending) == 1
    story.live(TIMING.lease_s)
    assert len(notes(story, "group_preempted")) == 1


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_weights_nothing_oscillates_and_the_highest_get_room(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a scene, not a secret
    wishes = [
        Wish(f"g{n}", "start", priority=chance.randint(0, 4), weight=chance.randint(1, 4))
        for n in range(7)
    ]
    story = crowd(*wishes, **{f"n{node}": chance.randint(3, 6) for node in (1, 2, 3)})
    for _ in range(4):
        chance.shuffle(wishes)
        told(story, *wishes[: chance.randint(3, 7)])
        story.live(6.0)
        notes(story, "group_preempted")
        before = homes(story)
        story.live(6.0)
        assert homes(story) == before
        assert notes(story, "group_preempted") == []
        for node, monitor in story.nodes.items():
            held = [story.wishes.wishes[group] for group, at in before.items() if at == [node]]
            assert sum(wish.weight for wish in held) <= (monitor.state.capacity or 0)
            for wish in story.wishes.wishes.values():
                lower = sum(it.weight for it in held if it.priority < wish.priority)
                rest = sum(it.weight for it in held) - lower
                if not before[wish.group]:
                    assert rest + wish.weight > (monitor.state.capacity or 0), wish


# --- what is chosen ------------------------------------------------------------------------------


def test_the_node_with_the_lowest_victims_is_chosen_then_the_fewest_then_by_placement() -> None:
    wishes = (HIGH, low("a", priority=2, weight=2), low("b", priority=1, weight=2), low("c"))
    assert preempted(seen(*wishes, n2={"a": 1}, n3={"b": 1})) == {"b": ("high", 3)}
    many = (HIGH, low("a", weight=3), low("b", weight=2), low("c", weight=2))
    assert preempted(seen(*many, n2={"a": 1}, n3={"b": 1, "c": 1})) == {"a": ("high", 2)}
    for first, other in ((2, 3), (3, 2)):
        liked = Wish("high", "start", weight=3, priority=10, prefer=(first,))
        story = seen(liked, low("a", weight=2), low("b", weight=2), n2={"a": 1}, n3={"b": 1})
        assert [node for _, node in preempted(story).values()] == [first], other


def test_no_more_groups_give_way_than_needed_and_those_of_the_lowest_priority() -> None:
    wishes = (HIGH, low("a"), low("b", priority=1, weight=2), low("c", priority=2))
    assert preempted(seen(*wishes, n2={"a": 1, "b": 1, "c": 1}, n3={})) == {}
    busy = {"a": 1, "b": 1, "c": 1}
    only = Wish("high", "start", weight=2, priority=10, only=(2,))
    assert preempted(seen(only, *wishes[1:], n2=busy)) == {"b": ("high", 2)}
    small = Wish("high", "start", weight=1, priority=10, only=(2,))
    assert preempted(seen(small, *wishes[1:], n2=busy)) == {"a": ("high", 2)}


@pytest.mark.parametrize(
    ("wish", "victim"),
    [
        (Wish("high", "start", weight=3), low("a", weight=2)),
        (HIGH, low("a", weight=2, priority=10)),
        (HIGH, low("a", weight=2, priority=11)),
    ],
    ids=["no priority", "the same", "a lower one"],
)
def test_only_a_higher_priority_pushes_out(wish: Wish, victim: Wish) -> None:
    assert preempted(seen(wish, victim, low("z"), n2={"a": 1}, n3={"a": 1})) == {}


@pytest.mark.parametrize(
    "line",
    [
        GroupLine("start", GroupState.STOPPING),
        GroupLine("stop", GroupState.STARTING),
    ],
    ids=str,
)
def test_where_something_is_being_stopped_nothing_else_has_to_give_way(line: GroupLine) -> None:
    wishes = (HIGH, low("a", weight=2, priority=9), low("b", weight=2))
    story = seen(*wishes, n3={"b": 1})
    story.hear(1, says(2, 9, capacity=4, claims={"a": 1}, groups={"a": line}))
    assert preempted(story) == {}
    assert state(story).promised == {"high": 2}
    assert judge(state(story), "high", story.now).why == (
        "waits for room on node 2: others stop there"
    )


def failed_to_stop(group: str) -> Status:
    line = GroupLine("stop", GroupState.FAILED)
    return says(2, 9, capacity=4, claims={group: 1}, groups={group: line})


def test_what_cannot_be_stopped_neither_gives_way_nor_makes_room() -> None:
    story = seen(HIGH, low("a", weight=2), n3={})
    story.hear(1, failed_to_stop("a"), says(3, 9, capacity=0))
    assert preempted(story) == {}
    assert state(story).promised == {}


def test_what_a_group_needs_does_not_give_way_to_it() -> None:
    needs = Wish("high", "start", weight=3, priority=10, with_=("a",))
    story = seen(needs, low("a", weight=2, after=("b",)), low("b"), n2={"a": 1, "b": 1})
    assert preempted(story) == {}


def test_without_a_quorum_or_in_doubt_where_it_runs_nothing_gives_way() -> None:
    story = seen(HIGH, low("a", weight=2), low("b", weight=2), n2={"a": 1}, n3={"b": 1})
    assert len(preempted(story)) == 1
    state(story).silent_until = story.now + 1.0
    state(story).changed()
    assert preempted(story) == {}


def test_for_a_group_that_is_being_claimed_or_may_run_already_nothing_gives_way() -> None:
    def victims() -> set[str]:
        plan, rules = {"high": ()}, NodeRules(frozenset({2}), {}, {})
        return set(find(state(story), plan, rules, story.now).victims)

    story = seen(HIGH, low("a", weight=2), n2={"a": 1})
    assert victims() == {"a"}
    record = state(story).record("high")
    free = record.ballot
    record.ballot = replace(free, vote=Vote(1, 2, INC, 1))
    assert victims() == set()
    record.ballot = free
    assert victims() == {"a"}
    story = crowd(HIGH, low("a", weight=2))
    state(story).capacity = 0
    state(story).silent_until = story.now
    story.write(1)
    shown: dict[str, Any] = {"capacity": 4, "claims": {"a": 1}, "groups": {"a": RUNS}}
    story.hear(1, says(2, **shown))
    assert victims() == {"a"}
    story.hear(1, says(2, 3, **shown, votes={"high": Vote(1, 3, INC, 1)}))
    assert victims() == set()


def test_a_group_gives_way_only_on_the_chosen_node() -> None:
    story = seen(HIGH, low("a", weight=2), low("z"), n2={"a": 1}, n3={"a": 1})
    state(story).preempted = {"a": ("high", 2)}
    assert gives_way_to(state(story), "a") == ""
    assert gives_way_to(story.nodes[2].state, "a") == ""
    state(story).preempted = {"a": ("high", 1)}
    assert gives_way_to(state(story), "a") == "high"


def test_two_that_wait_do_not_count_the_same_room() -> None:
    liked = replace(HIGH, prefer=(2, 3))
    wishes = (liked, replace(liked, group="second", priority=9), low("a", weight=2))
    story = seen(*wishes, low("b", weight=2), n2={"a": 1}, n3={"b": 1})
    assert preempted(story) == {"a": ("high", 2), "b": ("second", 3)}


def test_nothing_gives_way_where_one_of_the_same_priority_keeps_the_group_away() -> None:
    apart = Wish("high", "start", weight=3, priority=10, only=(2,), apart=("c",))
    wishes = (apart, low("a", weight=2), low("c", priority=10))
    assert preempted(seen(*wishes, n2={"a": 1, "c": 1})) == {}


def test_nothing_gives_way_where_one_that_is_placed_before_keeps_the_group_away() -> None:
    first = low("first", priority=20, prefer=(3,))
    apart = replace(HIGH, prefer=(3, 2), apart=("first",))
    wishes = (first, apart, low("a", weight=2), low("b", weight=2))
    assert preempted(seen(*wishes, n2={"a": 1}, n3={"b": 1})) == {"a": ("high", 2)}
    free = (first, replace(apart, apart=()), *wishes[2:])
    assert preempted(seen(*free, n2={"a": 1}, n3={"b": 1})) == {"b": ("high", 3)}


def test_room_that_is_made_is_not_given_to_what_is_placed_later() -> None:
    wishes = (HIGH, low("a", weight=2), low("b"))
    story = seen(*wishes, n2={"a": 1}, n3={})
    story.hear(1, says(3, 9, capacity=0))
    assert joint_plan(state(story), story.now) == {"high": (), "b": ()}
    assert state(story).preempted == {"a": ("high", 2)}
    assert judge(state(story), "high", story.now).why == (
        "waits for room on node 2: a gives way there (priority=)"
    )


def test_the_owner_is_told_to_take_a_step_of_what_gives_way() -> None:
    story = crowd(low("a", only=(1,)), n1=1, n2=0, n3=0)
    story.live(2.0)
    story.nodes[1].take_to_step()
    told(story, low("a", only=(1,)), Wish("high", "start", priority=1, only=(1,)))
    story.nodes[1].take_to_step()
    story.nodes[1].step("high", story.now, 0.0)
    assert "a" in story.nodes[1].take_to_step()
    step = story.step(1, "a")
    assert step.row is not None
    assert step.row.name == "gives way to a higher priority"
    assert step.tell is not None


def test_tables_without_priorities_give_way_to_nobody() -> None:
    story = Story(wishes=hactl(low("a", apart=("b",)), low("b")))
    story.live(2.0)
    assert notes(story, "group_preempted") == []
