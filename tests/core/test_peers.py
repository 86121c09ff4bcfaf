"""What one node knows of another: O1 (newer only), O2 (own clock), O3 (look, then accuse)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mosha.core.cluster.peers import (
    Peer,
    Standing,
    heard,
    judge_at,
    recovered,
    speaks,
    standing,
    tried,
)
from mosha.core.status import NodeState, Receipt
from tests.core.story import INC, status

T = 60.0


def read(peer: Peer, seq: int, now: float, *, inc: int = INC) -> Peer:
    """The peer after a look that took no time and showed this stamp."""
    return tried(heard(peer, status(2, seq, inc=inc), now), began=now, now=now, timeout_s=T)


def looked(peer: Peer, began: float, now: float | None = None) -> Peer:
    """The peer after a look that brought nothing new."""
    return tried(peer, began=began, now=began if now is None else now, timeout_s=T)


# --- O1 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "taken"),
    [
        ((INC, 6), True),
        ((INC + 1, 1), True),
        ((INC, 5), False),
        ((INC, 4), False),
        ((INC - 1, 9), False),
    ],
)
def test_o1_only_a_status_with_a_greater_stamp_replaces_an_earlier_one(
    *, stamp: tuple[int, int], taken: bool
) -> None:
    peer = read(Peer(2), 5, 0.0)
    inc, seq = stamp
    after = heard(peer, status(2, seq, inc=inc), 7.0)
    assert (after is not peer) == taken
    assert after.heard_at == (7.0 if taken else 0.0)


STAMPS = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(st.lists(STAMPS, min_size=1))
def test_o1_whatever_the_order_of_reads_the_greatest_stamp_stays(
    stamps: list[tuple[int, int]],
) -> None:
    peer = Peer(2)
    for now, (inc, seq) in enumerate(stamps):
        peer = heard(peer, status(2, seq, inc=inc), float(now))
    assert peer.status is not None
    assert peer.status.stamp == max(stamps)
    assert peer.heard_at == stamps.index(max(stamps))


def test_a_new_incarnation_is_first_heard_at_its_own_first_status() -> None:
    peer = read(read(Peer(2), 1, 10.0), 2, 11.0)
    assert peer.first_heard_at == 10.0
    assert read(peer, 1, 12.0, inc=INC + 1).first_heard_at == 12.0


# --- O2 ------------------------------------------------------------------------------


def test_o2_the_age_counts_from_the_first_read_that_showed_the_newest_stamp() -> None:
    peer = read(Peer(2), 1, 100.0)
    for now in (110.0, 130.0, 159.0):
        peer = read(peer, 1, now)  # the same status again: nothing is heard
    assert peer.heard_at == 100.0
    assert looked(peer, 160.5).stale_since == 160.5


# --- O3 ------------------------------------------------------------------------------


# HT-01 to HT-12: the age of the clstat and whether its node is stale, at 60 s.
AGES = [(0.0, False), (30.0, False), (59.0, False), (60.0, False)]
AGES += [(61.0, True), (100.0, True), (3600.0, True)]


@pytest.mark.parametrize(("age_s", "stale"), AGES)
def test_h3_5_a_peer_is_stale_when_it_was_not_heard_from_for_longer_than_timeout(
    *, age_s: float, stale: bool
) -> None:
    peer = looked(read(Peer(2), 1, 1000.0), 1000.0 + age_s)
    assert (standing(peer, None) is Standing.STALE) == stale
    assert speaks(peer, None) != stale


def test_h3_5_a_node_without_clstat_is_never_stale() -> None:  # HT-13
    peer = looked(looked(Peer(2), 0.0), 1e6)
    assert standing(peer, None) is Standing.NEVER
    assert not speaks(peer, None)
    assert peer.looked_at


def test_o3_time_alone_makes_nobody_stale() -> None:
    peer = read(Peer(2), 1, 0.0)
    assert standing(peer, None) is Standing.FRESH  # whatever the clock says by now
    assert judge_at(peer, T) == T


def test_o3_a_look_that_began_in_time_proves_nothing_however_late_it_ends() -> None:
    # The node was paused, or the mount hung, in the middle of a read.
    assert looked(read(Peer(2), 1, 0.0), began=59.0, now=500.0).stale_since is None


def test_o3_a_paused_node_looks_again_and_finds_everybody_well() -> None:
    peer = read(Peer(2), 1, 0.0)
    # Stopped for ten minutes; the first look after it brings a newer status.
    peer = read(peer, 600, 600.0)
    assert standing(peer, None) is Standing.FRESH
    assert peer.stale_since is None


def test_o3_a_peer_stays_stale_since_the_first_look_that_found_it_so() -> None:
    peer = looked(looked(read(Peer(2), 1, 0.0), 61.0), 90.0)
    assert peer.stale_since == 61.0


def test_o3_a_look_that_began_earlier_and_ends_late_does_not_make_a_stale_peer_fresh() -> None:
    peer = looked(read(Peer(2), 1, 0.0), 61.0)
    assert looked(peer, began=50.0, now=70.0).stale_since == 61.0


def test_a_stale_peer_is_fresh_again_as_soon_as_it_says_something_new() -> None:
    peer = looked(read(Peer(2), 1, 0.0), 61.0)
    assert standing(read(peer, 2, 62.0), None) is Standing.FRESH


def test_the_next_look_is_due_when_the_peer_could_be_stale_and_never_again_after_that() -> None:
    peer = read(Peer(2), 1, 5.0)
    assert judge_at(peer, T) == 65.0
    assert judge_at(looked(peer, 66.0), T) is None
    assert judge_at(Peer(2), T) is None


def test_a_failed_look_counts_as_an_attempt_and_says_what_failed() -> None:
    peer = tried(Peer(2), began=0.0, now=3.0, timeout_s=T, error="no answer for 3 s")
    assert (peer.looked_at, peer.error) == (True, "no answer for 3 s")
    assert looked(peer, 4.0).error == ""


# --- V4: a former vote names it ----------------------------------------------------------


def test_v4_a_candidate_of_a_recovered_vote_counts_as_heard_at_the_start() -> None:
    peer = recovered(Peer(2), 100.0)
    assert looked(peer, 160.0).stale_since is None
    assert looked(peer, 160.5).stale_since == 160.5
    assert standing(looked(peer, 160.5), None) is Standing.NEVER  # never shot: never seen


def test_v4_who_was_heard_already_is_not_heard_again_by_a_recovered_vote() -> None:
    peer = read(Peer(2), 1, 50.0)
    assert recovered(peer, 100.0) == peer


# --- standing --------------------------------------------------------------------------


LATE = 100.0
STANDINGS = [
    # state, quiet for longer than T, receipt up to this incarnation, standing, its word counts
    (NodeState.UP, False, None, Standing.FRESH, True),
    (NodeState.UP, True, None, Standing.STALE, False),
    (NodeState.UP, False, INC, Standing.FENCED, False),
    (NodeState.UP, True, INC, Standing.FENCED, False),
    (NodeState.UP, True, INC + 5, Standing.FENCED, False),
    (NodeState.UP, True, INC - 1, Standing.STALE, False),
    (NodeState.UP, False, INC - 1, Standing.FRESH, True),
    (NodeState.LEAVING, False, None, Standing.LEAVING, True),
    (NodeState.LEAVING, True, None, Standing.STALE, False),
    (NodeState.LEFT, False, None, Standing.LEFT, False),
    (NodeState.LEFT, True, None, Standing.LEFT, False),
    (NodeState.LEFT, True, INC, Standing.FENCED, False),
]


@pytest.mark.parametrize(("state", "quiet", "receipt", "expected", "counts"), STANDINGS)
def test_what_a_peer_is_follows_from_its_state_its_age_and_receipts(
    *, state: NodeState, quiet: bool, receipt: int | None, expected: Standing, counts: bool
) -> None:
    peer = looked(heard(Peer(2), status(2, state=state), 0.0), LATE if quiet else 1.0)
    proof = None if receipt is None else Receipt(receipt, "ipmi")
    assert standing(peer, proof) is expected
    assert speaks(peer, proof) == counts


def test_a_file_left_behind_by_a_dead_node_never_advances() -> None:
    peer = read(read(Peer(2), 7, 0.0), 7, 1.0)
    assert not peer.advanced
    assert read(peer, 8, 2.0).advanced


def test_a_peer_that_says_a_longer_timeout_is_given_it() -> None:
    """Its leases are made to fit its own T: with a shorter one here two owners were possible."""
    slow = heard(Peer(2), replace(status(2, 1), timeout_ms=2000 * int(T)), 0.0)
    assert judge_at(slow, T) == 2 * T
    assert tried(slow, began=2 * T, now=2 * T, timeout_s=T).stale_since is None
    assert tried(slow, began=2 * T + 1, now=2 * T + 1, timeout_s=T).stale_since == 2 * T + 1
    quick = heard(Peer(2), replace(status(2, 1), timeout_ms=500 * int(T)), 0.0)
    assert judge_at(quick, T) == T
