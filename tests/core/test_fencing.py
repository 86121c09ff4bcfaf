"""Whom to shoot, when, and whose turn it is: fencing, H3.6 of the catalogue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mosha.core.cluster.fencing import FencingRules, Shot, shoot_at, witnesses
from mosha.core.cluster.peers import Peer
from tests.core.story import INC, status

RULES = FencingRules(required=True, takeover_s=5.0, retry_s=30.0)
VICTIM = Peer(4, status=status(4), heard_at=900.0, advanced=True, stale_since=1000.0)
GRACE_S = 120.0


def due(
    *,
    victim: Peer = VICTIM,
    me: int = 1,
    fresh: tuple[int, ...] = (1, 2, 3),
    started_at: float = 0.0,
    healed_at: float = 0.0,
    last: Shot | None = None,
    rules: FencingRules = RULES,
) -> float | None:
    return shoot_at(
        victim,
        me=me,
        fresh=fresh,
        started_at=started_at,
        start_grace_s=GRACE_S,
        healed_at=healed_at,
        rules=rules,
        last=last,
    )


@pytest.mark.parametrize(
    ("me", "fresh", "at"),
    [
        (1, (3, 1, 2), 1000.0),  # the lowest fresh node, at once
        (2, (3, 1, 2), 1005.0),  # the next one takes over after a delay
        (3, (3, 1, 2), 1010.0),
        (2, (2, 3), 1000.0),  # the lowest is not fresh: the next one is the lowest
        (7, (7,), 1000.0),
    ],
)
def test_the_lowest_fresh_node_shoots_and_the_next_ones_take_over_later(
    me: int, fresh: tuple[int, ...], at: float
) -> None:
    assert due(me=me, fresh=fresh) == at


def test_a_node_with_a_delay_is_spared_for_so_long_by_each_shooter() -> None:
    rules = replace(RULES, delays={4: 20.0, 1: 90.0})
    assert due(rules=rules) == 1020.0
    assert due(me=2, rules=rules) == 1025.0
    assert due(victim=replace(VICTIM, node=3), rules=rules) == 1000.0


@given(st.sets(st.integers(1, 20), min_size=2), st.sampled_from((0.0, 2000.0)), st.booleans())
def test_never_do_two_nodes_shoot_at_the_same_time(
    fresh: set[int],
    healed_at: float,
    new: bool,  # noqa: FBT001 - hypothesis gives it by position
) -> None:
    # Not even where all of them waited for the same moment: a quorum, or the end of a grace time.
    started_at = 990.0 if new else 0.0
    times = [
        due(me=me, fresh=tuple(fresh), started_at=started_at, healed_at=healed_at) for me in fresh
    ]
    assert len(set(times)) == len(fresh)


def test_h3_6_nobody_is_shot_in_the_first_time_after_the_own_start() -> None:
    assert due(started_at=950.0) == 950.0 + GRACE_S
    assert due(started_at=1000.0 - GRACE_S) == 1000.0


def test_who_is_not_stale_is_not_shot() -> None:
    assert due(victim=replace(VICTIM, stale_since=None)) is None


def test_who_was_not_seen_alive_since_the_own_start_is_not_shot() -> None:
    # H3.8: a file left behind by a node that has been dead for long.
    assert due(victim=replace(VICTIM, advanced=False)) is None


def test_o4_who_was_heard_since_the_victim_was_missed_speaks_for_an_accusation() -> None:
    heard = [Peer(1, heard_at=1000.1), Peer(2, heard_at=999.9), Peer(3), Peer(5, heard_at=990.0)]
    assert witnesses(heard, VICTIM, 1001.0, 60.0) == {1}


def test_o4_but_not_for_longer_than_t_after_that() -> None:
    heard = [Peer(1, heard_at=1040.0), Peer(2, heard_at=1039.9)]
    assert witnesses(heard, VICTIM, 1100.0, 60.0) == {1}


def shot(outcome: str, *, inc: int = INC, at: float = 1001.0) -> Shot:
    return Shot(4, inc, at, outcome)


AFTER = [
    (shot("running"), None),
    (shot("no receipt"), None),  # one message for each incarnation is enough
    (shot("receipt"), None),
    (shot("failed"), 1031.0),  # tried again
    (shot("failed", at=900.0), 1000.0),
    (shot("receipt", inc=INC - 1), 1000.0),  # it has lived again since
    (shot("running", inc=INC - 1), 1000.0),
]


@pytest.mark.parametrize(("last", "at"), AFTER)
def test_a_shot_is_repeated_only_if_it_failed_or_the_node_lived_again(
    last: Shot, at: float | None
) -> None:
    assert due(last=last) == at
