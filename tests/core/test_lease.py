"""How long a claim holds: the arithmetic of C3 and C4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.lease import WRITES_MAX, Writes, echo_time, granted_from, supports
from mosha.core.status import Stamp, Vote
from tests.core.story import INC, G, status

VOTE = Vote(term=5, node=1, inc=INC, seq=3)


def writes(**began: float) -> Writes:
    made = Writes()
    for name, when in began.items():
        made.add(int(name.removeprefix("seq")), when)
    return made


# --- C3: which statuses support a claim ------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "term", "supported"), [(1, 5, True), (1, 4, False), (1, 6, False), (2, 5, False)]
)
def test_c3_a_vote_supports_exactly_the_claim_of_its_node_and_term(
    *, node: int, term: int, supported: bool
) -> None:
    assert supports(status(2, votes={G: VOTE}), G, node, term) == supported


def test_c3_a_vote_for_another_group_supports_nothing_here() -> None:
    assert not supports(status(2, votes={"h": VOTE}), G, 1, 5)


# --- C4: r, R and the end of the lease -------------------------------------------------------


def test_c4_r_is_the_time_before_the_echoed_write_began_and_not_when_it_was_read() -> None:
    own = writes(seq7=100.0, seq8=104.0)
    assert echo_time(status(2, seen={1: Stamp(INC, 7)}), 1, INC, own) == 100.0
    assert echo_time(status(2, seen={1: Stamp(INC, 8)}), 1, INC, own) == 104.0


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {2: Stamp(INC, 7)},  # an echo of somebody else
        {1: Stamp(INC - 1, 7)},  # of an earlier life
        {1: Stamp(INC + 1, 7)},
        {1: Stamp(INC, 9)},  # of a write that is not known to have ended
    ],
)
def test_c4_an_echo_of_anything_else_is_no_echo(seen: dict[int, Stamp]) -> None:
    assert echo_time(status(2, seen=seen), 1, INC, writes(seq7=100.0)) is None


R_TABLE = [
    # echoes, q, R
    ([], 1, None),
    ([5.0], 1, 5.0),
    ([5.0], 2, None),
    ([5.0, 9.0], 2, 5.0),
    ([9.0, 5.0, 7.0], 2, 7.0),  # the slowest of three does not hold a quorum up
    ([9.0, 5.0, 7.0], 3, 5.0),
    ([1.0, 9.0, 9.0, 9.0, 2.0], 3, 9.0),
    ([9.0, 1.0, 2.0, 1.5, 0.5], 3, 1.5),
]


@pytest.mark.parametrize(("echoes", "needed", "expected"), R_TABLE)
def test_c4_the_lease_counts_from_the_qth_greatest_echo(
    echoes: list[float], needed: int, expected: float | None
) -> None:
    assert granted_from(echoes, needed) == expected


@given(st.lists(st.floats(0, 1e6), max_size=9), st.integers(1, 9))
def test_c4_at_least_q_supporters_had_heard_from_the_owner_at_r_or_later(
    echoes: list[float], needed: int
) -> None:
    start = granted_from(echoes, needed)
    assert (start is None) == (len(echoes) < needed)
    if start is not None:
        assert sum(echo >= start for echo in echoes) >= needed


# --- the memory of own writes ----------------------------------------------------------------


def test_the_oldest_writes_are_forgotten() -> None:
    made = Writes()
    for seq in range(WRITES_MAX + 1):
        made.add(seq, float(seq))
    assert made.began(0) is None
    assert made.began(1) == 1.0
    assert made.began(WRITES_MAX) == float(WRITES_MAX)


def test_a_new_incarnation_counts_only_what_it_wrote_itself() -> None:
    made = writes(seq7=1.0)
    made.clear()
    assert made.began(7) is None
    made.add(8, 2.0)
    assert made.began(8) == 2.0
