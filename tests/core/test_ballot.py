"""How a node votes: V1 to V3 as pure questions. The turn that asks them: test_votes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.ballot import (
    Ballot,
    Claim,
    choose,
    claim_of,
    may_vote,
    release_cause,
    runs_in,
)
from mosha.core.cluster.peers import Peer, heard, tried
from mosha.core.status import Grade, GroupLine, GroupState, NodeState, Receipt, Stamp, Vote
from tests.core.story import INC, G, status

T = 10.0
VOTE = Vote(term=5, node=2, inc=INC, seq=7)
CLAIM = Claim(node=2, inc=INC, seq=7, term=5, running=False)
RUNNING = Claim(node=2, inc=INC, seq=7, term=5, running=True)


def peer(node: int, seq: int = 8, *, quiet: bool = False, inc: int = INC, **said: Any) -> Peer:
    """A peer that has said so; `quiet`: and nothing more for longer than T."""
    found = heard(Peer(node), status(node, seq, inc=inc, **said), 0.0)
    return tried(found, began=100.0, now=100.0, timeout_s=T) if quiet else found


def line(level: str, state: GroupState = GroupState.DONE) -> dict[str, GroupLine]:
    return {G: GroupLine(level, state)}


# --- what a status shows ---------------------------------------------------------------


LEVELS = [
    # level, state, more than plan (needs a lease or needed one), a claim at it runs
    ("plan", GroupState.STARTING, False, False),
    ("plan", GroupState.DONE, False, False),
    ("test", GroupState.STARTING, True, True),
    ("test", GroupState.FAILED, True, True),
    ("start", GroupState.DONE, True, True),
    ("start", GroupState.CONFIGURED, False, False),
    ("stop", GroupState.STOPPING, True, False),
    ("stop", GroupState.FAILED, True, False),
    ("stop", GroupState.DONE, False, False),
]


@pytest.mark.parametrize(("level", "state", "active", "running"), LEVELS)
def test_what_a_status_shows_of_a_group_is_read_off_its_line(
    *, level: str, state: GroupState, active: bool, running: bool
) -> None:
    shown = status(2, 7, claims={G: 5}, groups=line(level, state))
    assert runs_in(shown, G) == active
    assert claim_of(shown, G) == Claim(2, INC, 7, 5, running)


def test_a_status_without_a_claim_has_none() -> None:
    assert claim_of(status(2, groups=line("start")), G) is None


# --- V1, V2 ------------------------------------------------------------------------------


def views(*peers: Peer, receipts: Mapping[int, Receipt] | None = None) -> list[Any]:
    return [(known, (receipts or {}).get(known.node)) for known in peers]


def test_v1_who_holds_a_vote_gives_no_other() -> None:
    assert may_vote(Ballot(None, 4), CLAIM, G, [])
    assert not may_vote(Ballot(VOTE, 4), CLAIM, G, [])


TERMS = [
    # highest term voted for, the claim, may it get the vote
    (0, CLAIM, True),
    (4, CLAIM, True),
    (5, CLAIM, False),
    (6, CLAIM, False),
    # A claim that runs was granted under this term by others: a late vote makes no second
    # owner of it, and without it the winner of a collision would live on a bare quorum.
    (5, RUNNING, True),
    (6, RUNNING, False),
]


@pytest.mark.parametrize(("voted", "claim", "allowed"), TERMS)
def test_v2_the_term_must_be_higher_than_any_voted_for_before(
    *, voted: int, claim: Claim, allowed: bool
) -> None:
    assert may_vote(Ballot(None, voted), claim, G, []) == allowed


OTHERS = [
    (peer(3, groups=line("start")), False),
    (peer(3, groups=line("test", GroupState.STARTING)), False),
    (peer(3, groups=line("stop", GroupState.STOPPING)), False),
    (peer(3, groups=line("plan")), True),  # a planner needs no lease
    (peer(3, groups=line("stop")), True),
    (peer(3, quiet=True, groups=line("start")), True),  # H3.8: a stale file runs nothing
    (peer(3, state=NodeState.LEFT, groups=line("start")), True),
    (peer(3, state=NodeState.LEAVING, groups=line("start")), False),
    (Peer(3), True),
    (peer(2, groups=line("start")), True),  # the claimant itself
]


@pytest.mark.parametrize(("other", "allowed"), OTHERS)
def test_v2_no_vote_while_a_fresh_status_shows_the_group_active_elsewhere(
    *, other: Peer, allowed: bool
) -> None:
    assert may_vote(Ballot(), CLAIM, G, views(other)) == allowed


def test_v2_what_a_fenced_node_had_said_last_counts_for_nothing() -> None:
    dead = peer(3, groups=line("start"))
    receipts = {3: Receipt(INC, "ipmi")}
    assert may_vote(Ballot(), CLAIM, G, views(dead, receipts=receipts))


# --- among several claims ------------------------------------------------------------------


def claim(node: int, *, running: bool = False) -> Claim:
    return Claim(node, INC, 1, 1, running)


CHOICES = [
    ([claim(2), claim(3)], {2: 1, 3: 0}, 3),  # the best placement rank
    ([claim(3), claim(2)], {}, 2),  # the lowest node number
    ([claim(3), claim(2)], {2: 4, 3: 4}, 2),
    ([claim(2), claim(3, running=True)], {2: 0, 3: 1}, 3),  # H5.14: what runs wins
    ([claim(2), claim(9)], {2: 0}, 2),  # not ranked is last
]


@pytest.mark.parametrize(("claims", "ranks", "winner"), CHOICES)
def test_v2_among_several_claims_the_running_then_the_best_ranked_then_the_lowest_wins(
    claims: list[Claim], ranks: dict[int, int], winner: int
) -> None:
    for order in permutations(claims):
        chosen = choose(order, ranks)
        assert chosen is not None
        assert chosen.node == winner


def test_without_claims_nothing_is_chosen() -> None:
    assert choose([], {}) is None


@given(
    st.lists(st.builds(claim, st.integers(1, 5), running=st.booleans()), min_size=1),
    st.dictionaries(st.integers(1, 5), st.integers(0, 4)),
)
def test_all_voters_with_the_same_view_choose_the_same_claim(
    claims: list[Claim], ranks: dict[int, int]
) -> None:
    assert choose(claims, ranks) == choose(reversed(claims), ranks)


# --- V3 ------------------------------------------------------------------------------------


ELAPSED, ANY = Grade.LEASE_ELAPSED, Grade.OPERATOR_SAID_SO
KEPT = ""
WITHDRAWN = "claim withdrawn"
FENCED = "claimant fenced"
SILENT = "claimant not heard from"

RELEASES = [
    # (a) a newer status of the claimant no longer shows that claim
    ("still shown", peer(2, 8, claims={G: 5}), None, ELAPSED, KEPT),
    ("gone from a newer status", peer(2, 8), None, ELAPSED, WITHDRAWN),
    ("another term in a newer status", peer(2, 8, claims={G: 6}), None, ELAPSED, WITHDRAWN),
    ("gone in a new incarnation", peer(2, 1, inc=INC + 1), None, ELAPSED, WITHDRAWN),
    ("shown in a new incarnation", peer(2, 1, inc=INC + 1, claims={G: 5}), None, ELAPSED, KEPT),
    # … and an older one says nothing: after a restart it may be read first
    ("gone from the very status voted on", peer(2, 7), None, ELAPSED, KEPT),
    ("not yet in an older status", peer(2, 6), None, ELAPSED, KEPT),
    ("not yet in an older incarnation", peer(2, 99, inc=INC - 1), None, ELAPSED, KEPT),
    ("gone when the node left", peer(2, 8, state=NodeState.LEFT), None, ELAPSED, WITHDRAWN),
    # (b) a receipt
    ("a receipt", peer(2, 8, claims={G: 5}), Receipt(INC, "x"), ANY, FENCED),
    ("a receipt, never read", Peer(2), Receipt(INC, "x"), ANY, FENCED),
    ("a receipt of an earlier life", peer(2, 8, claims={G: 5}), Receipt(INC - 1, "x"), ANY, KEPT),
    (
        "a receipt of the life before the one that shows the claim",
        peer(2, 1, inc=INC + 1, claims={G: 5}),
        Receipt(INC, "x"),
        ANY,
        KEPT,
    ),
    # … of the grade that the group asks for, or a better one
    *(
        (
            f"{given.text} where {asked.text} is asked for",
            Peer(2),
            Receipt(INC, "x", given),
            asked,
            cause,
        )
        for asked, given, cause in (
            (Grade.OFF_CONFIRMED, Grade.OFF_CONFIRMED, FENCED),
            (Grade.OFF_CONFIRMED, Grade.COMMAND_SAID_SO, KEPT),
            (Grade.COMMAND_SAID_SO, Grade.OFF_CONFIRMED, FENCED),
            (Grade.COMMAND_SAID_SO, Grade.OPERATOR_SAID_SO, KEPT),
            (Grade.OPERATOR_SAID_SO, Grade.OPERATOR_SAID_SO, FENCED),
            (Grade.LEASE_ELAPSED, Grade.OPERATOR_SAID_SO, FENCED),
        )
    ),
    # (c) not heard from for T, where no receipt is asked for
    ("silent", peer(2, 7, quiet=True, claims={G: 5}), None, ELAPSED, SILENT),
    ("silent, a receipt is required", peer(2, 7, quiet=True, claims={G: 5}), None, ANY, KEPT),
    ("never read, not yet silent", Peer(2), None, ELAPSED, KEPT),
    ("never read, silent", Peer(2, heard_at=0.0, stale_since=11.0), None, ELAPSED, SILENT),
]


@pytest.mark.parametrize(
    ("candidate", "receipt", "required", "cause"),
    [row[1:] for row in RELEASES],
    ids=[row[0] for row in RELEASES],
)
def test_v3_a_vote_is_released_for_these_causes_and_no_other(
    *, candidate: Peer, receipt: Receipt | None, required: Grade, cause: str
) -> None:
    assert release_cause(VOTE, G, candidate, receipt, required=required) == cause


STATUSES = st.builds(
    lambda inc, seq, claims, quiet: peer(2, seq, inc=inc, claims=claims, quiet=quiet),
    st.integers(INC - 1, INC + 1),
    st.integers(5, 9),
    st.sampled_from([{}, {G: 5}, {G: 6}]),
    st.booleans(),
)


@given(STATUSES, st.none() | st.builds(Receipt, st.integers(INC - 2, INC + 2), st.just("x")))
def test_v3_with_fencing_required_silence_alone_releases_nothing(
    candidate: Peer, receipt: Receipt | None
) -> None:
    cause = release_cause(VOTE, G, candidate, receipt, required=ANY)
    assert candidate.status is not None
    withdrawn = candidate.status.stamp > VOTE.stamp and candidate.status.claims.get(G) != 5
    fenced = receipt is not None and receipt.inc >= max(VOTE.inc, candidate.inc)
    assert bool(cause) == (withdrawn or fenced)


def test_a_vote_knows_the_status_it_was_given_on() -> None:
    assert VOTE.stamp == Stamp(INC, 7)
