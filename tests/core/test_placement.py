"""Which node shall take a group: the ranking that all nodes work out alike."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.placement import Free, place, ranking
from mosha.core.tables import Wish

NODES = st.integers(1, 7)
NAMES = st.text("abcdef", min_size=1, max_size=4)
FREES = st.builds(
    lambda group, prefer, eligible: Free(Wish(group, "start", tuple(prefer)), frozenset(eligible)),
    NAMES,
    st.lists(NODES, max_size=3, unique=True),
    st.sets(NODES),
)
LOADS = st.dictionaries(NODES, st.integers(0, 9))


def free(group: str, *eligible: int, prefer: tuple[int, ...] = ()) -> Free:
    return Free(Wish(group, "start", prefer), frozenset(eligible))


def test_the_preferred_nodes_come_first_in_their_order_whatever_they_carry() -> None:
    assert ranking(free("g", 1, 2, 3, prefer=(3, 2)), {3: 9, 2: 9}) == (3, 2, 1)


def test_a_preferred_node_that_cannot_take_the_group_is_passed_over() -> None:
    assert ranking(free("g", 1, 2, prefer=(3, 2)), {}) == (2, 1)


def test_then_the_node_with_the_fewest_groups_comes_first() -> None:
    assert ranking(free("g", 1, 2, 3), {1: 2, 2: 0, 3: 1}) == (2, 3, 1)


def test_groups_count_by_their_weight() -> None:
    wishes = [Wish("a", "start", weight=3), Wish("b", "start"), Wish("c", "start"), Wish("d", "on")]
    plan = place([Free(wish, frozenset({1, 2})) for wish in wishes], {})
    first = plan["a"][0]
    assert [plan[group][0] for group in "bcd"] == [3 - first] * 3


def test_a_node_without_room_is_not_ranked_and_the_highest_priority_gets_what_is_left() -> None:
    wishes = [Wish("a", "start"), Wish("b", "start", priority=1), Wish("c", "start", weight=0)]
    plan = place(
        [Free(wish, frozenset({1, 2})) for wish in wishes], {1: 5, 2: 9}, capacities={1: 6, 2: 9}
    )
    assert plan == {"b": (1,), "a": (), "c": (1, 2)}


def test_a_hash_of_group_and_node_settles_what_is_left() -> None:
    # Known values: nodes of different versions have to agree on them for ever.
    assert ranking(free("g", 1, 2, 3), {}) == (3, 1, 2)
    assert ranking(free("h", 1, 2, 3), {}) == (2, 3, 1)


def test_the_hash_scatters_names_that_are_alike() -> None:
    firsts = Counter(ranking(free(f"web{i}", 1, 2, 3), {})[0] for i in range(300))
    assert min(firsts[node] for node in (1, 2, 3)) > 75


def test_nobody_is_ranked_where_nobody_is_eligible() -> None:
    assert place([free("g")], {}) == {"g": ()}


@given(FREES, LOADS)
def test_exactly_the_eligible_nodes_are_ranked(item: Free, loads: dict[int, int]) -> None:
    order = ranking(item, loads)
    assert len(order) == len(set(order))
    assert set(order) == item.eligible


@given(FREES, LOADS)
def test_prefer_is_respected_before_anything_else(item: Free, loads: dict[int, int]) -> None:
    order = ranking(item, loads)
    preferred = [node for node in item.wish.prefer if node in item.eligible]
    assert list(order[: len(preferred)]) == preferred


UNIQUE = st.lists(FREES, max_size=8, unique_by=lambda item: item.wish.group)


@given(UNIQUE, LOADS, st.randoms(use_true_random=False))
def test_nodes_with_the_same_view_make_the_same_plan(
    frees: list[Free], loads: dict[int, int], rng: random.Random
) -> None:
    shuffled = list(frees)
    rng.shuffle(shuffled)
    backwards = dict(reversed(loads.items()))
    assert place(shuffled, backwards) == place(frees, loads)


@given(UNIQUE, LOADS)
def test_a_plan_changes_nothing_of_what_it_looked_at(
    frees: list[Free], loads: dict[int, int]
) -> None:
    before = dict(loads)
    place(frees, loads)
    assert loads == before


@given(st.sets(NAMES, max_size=20), st.sets(NODES, min_size=1))
def test_groups_that_any_node_may_take_are_spread_evenly(groups: set[str], nodes: set[int]) -> None:
    plan = place([free(group, *nodes) for group in groups], {})
    counts = Counter(order[0] for order in plan.values())
    carried = [counts[node] for node in nodes]
    assert max(carried) - min(carried) <= 1


@given(st.sets(NAMES, min_size=1, max_size=20), LOADS)
def test_a_node_that_carries_more_gets_no_group_before_the_others_have_caught_up(
    groups: set[str], loads: dict[int, int]
) -> None:
    nodes = (1, 2, 3)
    plan = place([free(group, *nodes) for group in groups], loads)
    added = Counter(order[0] for order in plan.values())
    after = {node: loads.get(node, 0) + added[node] for node in nodes}
    for node in nodes:
        assert not added[node] or after[node] <= min(after.values()) + 1
