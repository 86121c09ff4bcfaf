"""The arithmetic of the watchdog: its reset comes before another node starts what hangs here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.timing import derive, kill_s, unsafe
from mosha.core.watchdog import (
    GROUPS_ALLOWED,
    ArmedWatchdog,
    fits,
    longest_timeout_s,
    remedy,
    reset_lines,
    trouble,
    warning,
)


@pytest.mark.parametrize(
    ("timeout_s", "longest_s"), [(600, 53), (60, 5), (30, 2), (20, 1), (10, 0)]
)
def test_the_longest_time_out_that_fits_is_chosen(timeout_s: float, longest_s: int) -> None:
    assert longest_timeout_s(derive(timeout_s)) == longest_s


def test_the_kill_of_many_groups_has_its_time_before_the_reset() -> None:
    # 59.4 - 36 - 18.35 leaves 5.05 s, and a hundred groups take 0.12 s of that.
    assert longest_timeout_s(derive(60.0, stop_budget_s=18.35)) == 4


@given(
    timeout_s=st.floats(0.5, 86_400),
    lease=st.floats(0.1, 0.9),
    budget=st.floats(0.05, 0.5),
    groups=st.integers(0, GROUPS_ALLOWED),
)
def test_what_is_chosen_keeps_the_promise_and_a_second_more_does_not(
    timeout_s: float, lease: float, budget: float, groups: int
) -> None:
    timing = derive(timeout_s, lease_s=lease * timeout_s, stop_budget_s=budget * timeout_s)
    chosen_s = longest_timeout_s(timing)
    if chosen_s:
        spent_s = timing.lease_s + timing.stop_budget_s + kill_s(groups) + chosen_s
        assert spent_s <= 0.99 * timeout_s * (1 + 1e-8)
        assert fits(timing, groups, chosen_s)
        assert not warning(timing, groups, chosen_s)
    assert not fits(timing, GROUPS_ALLOWED, chosen_s + 1)


@given(timeout_s=st.floats(1.0, 1000.0))
def test_what_is_advised_makes_a_watchdog_fit(timeout_s: float) -> None:
    timing = derive(timeout_s)
    advice = remedy(timing)
    if advice.startswith("set stop_budget = "):
        budget_s = float(advice.removeprefix("set stop_budget = ").partition(",")[0])
        better = derive(timeout_s, stop_budget_s=budget_s)
        assert longest_timeout_s(better) >= 1
        assert unsafe(better) == unsafe(derive(timeout_s)) == ()


def test_a_time_out_that_is_too_long_is_warned_of_with_the_sums() -> None:
    timing = derive(10.0)
    first, second = reset_lines(timing, 7, 5)
    assert (first.name, first.value, first.verdict) == ("watchdog", 5.0, "ok")
    assert second.value == pytest.approx(6 + 3 + 0.027 + 5)
    assert second.verdict.startswith(
        "warning: if clinit hangs, the watchdog resets this machine 14.027 s after"
    )
    assert "others may start its groups after 9.9 s" in second.verdict


@pytest.mark.parametrize(
    ("wanted", "armed", "told"),
    [
        ("", None, ""),
        ("/dev/w", ArmedWatchdog("/dev/w", 5), ""),
        ("/dev/w", ArmedWatchdog("/dev/w", 3), ""),  # the device rounds down
        ("/dev/w", None, "the watchdog /dev/w is not armed; "),
        ("/dev/w", ArmedWatchdog("/dev/w", 5, "why"), "the watchdog /dev/w is not fed: why; "),
        ("/dev/x", ArmedWatchdog("/dev/w", 5), "is armed, and the settings want /dev/x; "),
        ("", ArmedWatchdog("/dev/w", 5), "is armed, and the settings want none; "),
        ("/dev/w", ArmedWatchdog("/dev/w", 9), "has a time-out of 9 s, and the settings want 5 s"),
    ],
)
def test_what_is_not_as_the_settings_want_it_is_told(
    wanted: str, armed: ArmedWatchdog | None, told: str
) -> None:
    found = trouble(wanted, 5, armed)
    assert told in found
    assert bool(found) == bool(told)
