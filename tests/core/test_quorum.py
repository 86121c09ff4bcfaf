"""Who votes, and whether enough are seen: H2 of the catalogue, and the majority."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.quorum import Electorate, Policy, QuorumState, follow, judge
from mosha.core.cluster.view import View
from tests.core.story import status

# HQ-01 to HQ-09: how many nodes are seen, one look after the other; a `-` has no quorum
# and changes nothing (H2.1). HQ-01 is the sequence of the original's own test (H2.2).
SERIES = {
    "HQ-01 (H2.2)": "3 10 7 6 10 6 20 -11 -11 12 11 -3 -3 21",
    "HQ-02": "1 1 -0",
    "HQ-03 (H2.3)": "3 2 -1",
    "HQ-04": "5 3 2",
    "HQ-05 (H2.3)": "5 4 3 2 -1",
    "HQ-06": "2 -1",
    "HQ-07": "3 -1 2 3",
    "HQ-08 (H2.4)": "0",
    "HQ-09": "10 -5 6 10",
}

GONE: frozenset[int] = frozenset()


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES.keys())
def test_h2_1_fewer_than_six_tenths_of_those_seen_last_are_no_quorum(series: str) -> None:
    electorate = Electorate(Policy.ADAPTIVE, frozenset())
    for step in series.split():
        seen, lost = frozenset(range(abs(int(step)))), step.startswith("-")
        quorum_state, after = judge(electorate, seen, GONE, complete=True)
        assert quorum_state is (QuorumState.NO if lost else QuorumState.YES), step
        electorate = after if lost else follow(after, seen)
        assert lost or electorate == Electorate(Policy.ADAPTIVE, seen, len(seen))


def test_h2_3_nodes_that_are_missed_one_after_the_other_are_missed_together() -> None:
    # They were cut off at one moment, and found stale within a heartbeat of each other.
    electorate = Electorate(Policy.ADAPTIVE, frozenset(range(5)), remembered=5)
    sights = []
    for seen in (4, 3, 2):
        quorum_state, electorate = judge(electorate, frozenset(range(seen)), GONE, complete=True)
        sights.append(quorum_state)
    assert sights == [QuorumState.YES, QuorumState.YES, QuorumState.NO]
    assert electorate.nodes == frozenset(range(5))


def test_a_greater_number_counts_at_once_beside_those_that_are_missed() -> None:
    electorate = Electorate(Policy.ADAPTIVE, frozenset({1, 2, 3}), remembered=3)
    quorum_state, after = judge(electorate, frozenset({1, 2, 4, 5}), GONE, complete=True)
    assert quorum_state is QuorumState.YES
    assert after == Electorate(Policy.ADAPTIVE, frozenset({1, 2, 3, 4, 5}), remembered=4)


def test_a_majority_of_configured_nodes_follows_nobody() -> None:
    electorate = Electorate(Policy.MAJORITY, frozenset({1, 2, 3}))
    assert follow(electorate, frozenset({1, 2})) is electorate


def test_h2_3_an_adaptive_electorate_follows_who_has_been_up_for_t() -> None:
    view = View(1, Electorate(Policy.ADAPTIVE, frozenset({1, 2, 3}), 3), frozenset({1, 2, 3}))
    for node in (2, 3):
        view.heard(status(node), 1000.0)
        view.tried(node, began=1000.0, now=1000.0, timeout_s=60.0)
    view.judge_quorum(settled=True)
    view.follow(1000.0, 60.0)
    view.heard(status(2, 2), 1060.0)
    view.tried(3, began=1060.1, now=1060.1, timeout_s=60.0)  # node 3 is stale
    view.judge_quorum(settled=True)
    for now, nodes in ((1061.0, {1, 2, 3}), (1120.9, {1, 2, 3}), (1121.0, {1, 2})):
        view.follow(now, 60.0)
        assert view.electorate.nodes == nodes
    assert view.electorate.remembered == 2


def test_h2_4_the_remembered_number_outlives_a_restart() -> None:
    # The original began at 0 again: a restarted monitor alone had a quorum.
    restarted = Electorate(Policy.ADAPTIVE, frozenset({1, 2, 3}), remembered=3)
    assert judge(restarted, frozenset({1}), GONE, complete=True)[0] is QuorumState.NO


def test_the_adaptive_rule_waits_until_everybody_was_looked_at() -> None:
    electorate = Electorate(Policy.ADAPTIVE, frozenset({1, 2, 3}), remembered=3)
    assert judge(electorate, frozenset({1, 2}), GONE, complete=False) == (
        QuorumState.UNKNOWN,
        electorate,
    )


# --- majority ----------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (10, 6)])
def test_q_is_more_than_half_of_the_electorate(size: int, needed: int) -> None:
    assert Electorate(Policy.MAJORITY, frozenset(range(size))).needed == needed


@given(st.integers(1, 6), st.data())
def test_any_two_sets_of_q_nodes_share_one(size: int, data: st.DataObject) -> None:
    electorate = Electorate(Policy.MAJORITY, frozenset(range(size)))
    quorums = list(combinations(sorted(electorate.nodes), electorate.needed))
    one, other = (set(data.draw(st.sampled_from(quorums))) for _ in range(2))
    assert one & other


MAJORITY = [
    # who is up of 1, 2, 3; was everybody looked at; what is seen
    ({1, 2, 3}, True, QuorumState.YES),
    ({1, 2}, True, QuorumState.YES),
    ({1, 2}, False, QuorumState.YES),  # more looks cannot make them fewer
    ({1}, True, QuorumState.NO),
    ({1}, False, QuorumState.UNKNOWN),
    ({1, 7, 8, 9}, True, QuorumState.NO),  # who is not of the electorate does not count
]


@pytest.mark.parametrize(("up", "complete", "expected"), MAJORITY)
def test_a_majority_of_the_electorate_has_to_be_fresh(
    *, up: set[int], complete: bool, expected: QuorumState
) -> None:
    electorate = Electorate(Policy.MAJORITY, frozenset({1, 2, 3}))
    assert judge(electorate, frozenset(up), GONE, complete=complete) == (
        expected,
        electorate,
    )


@given(st.sets(st.integers(1, 5)), st.sets(st.integers(1, 5)))
def test_two_halves_never_both_have_a_majority(one: set[int], other: set[int]) -> None:
    electorate = Electorate(Policy.MAJORITY, frozenset(range(1, 6)))
    sights = [judge(electorate, frozenset(up), GONE, complete=True)[0] for up in (one, other - one)]
    assert sights.count(QuorumState.YES) <= 1
