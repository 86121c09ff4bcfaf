"""How long the kernel may keep an address: until no later than `kill_at`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mosha.address.lifetime import (
    LATE_ALONE_S,
    LATE_S,
    LIFETIME_S,
    NO_LEASE,
    RENEWALS,
    ROOM_S,
    SURE_ROOM_S,
    late_s,
    lifetime_s,
    pause_s,
)
from mosha.core.cluster.timing import derive

times = st.floats(0.0, 1e7)


@given(times)
def test_a_lifetime_is_over_by_kill_at_however_late_the_kernel_is(left_s: float) -> None:
    lifetime = lifetime_s(left_s)
    assert 0 <= lifetime <= LIFETIME_S
    assert lifetime == 0 or lifetime + LATE_S <= left_s


def test_without_a_lease_it_is_the_longest() -> None:
    assert lifetime_s(NO_LEASE, late_s(NO_LEASE)) == LIFETIME_S


def test_the_room_of_three_seconds_of_timeout_is_enough_beside_other_addresses() -> None:
    assert late_s(room_s(3.2) + 0.1 * 3.2) == LATE_S
    assert room_s(3.2) >= SURE_ROOM_S > room_s(3.0)
    assert late_s(room_s(2.0) + 0.1 * 2.0) == LATE_ALONE_S


def room_s(timeout_s: float) -> float:
    """Return how far away `kill_at` is just before the next heartbeat."""
    timing = derive(timeout_s)
    return timing.lease_s + timing.stop_budget_s - timing.heartbeat_s


@given(st.floats(2.0, 600.0))
def test_from_two_seconds_of_timeout_on_it_lasts_from_renewal_to_renewal(timeout_s: float) -> None:
    least_s, longest_s = room_s(timeout_s), room_s(timeout_s) + 0.1 * timeout_s
    assert least_s >= ROOM_S
    lifetime = lifetime_s(longest_s - pause_s(1), late_s(longest_s))
    assert lifetime >= 1
    assert RENEWALS * pause_s(lifetime) == lifetime
