"""The arithmetic of times: defaults, the rules that are refused, and what `check` prints."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from mosha.core.cluster.timing import Timing, TimingCheck, derive, explain, kill_s, margin, unsafe


def _keys(timing: Timing) -> list[str]:
    return [key for key, _rule in unsafe(timing)]


def test_the_defaults_follow_from_the_timeout_of_the_original() -> None:  # H1.3
    timing = derive()
    assert timing == Timing(
        timeout_s=60.0,
        heartbeat_s=5.0,
        poll_s=1.25,
        lease_s=36.0,
        stop_budget_s=18.0,
        ban_s=300.0,
        plan_limit_s=15.0,
        start_grace_s=120.0,
    )
    assert unsafe(timing) == ()


def test_a_short_timeout_shortens_everything_but_the_plan_limit() -> None:
    timing = derive(2.0)
    assert timing.heartbeat_s == pytest.approx(0.2)
    assert timing.poll_s == pytest.approx(0.05)
    assert timing.lease_s == pytest.approx(1.2)
    assert timing.stop_budget_s == pytest.approx(0.6)
    assert timing.plan_limit_s == 2.0


@given(st.floats(0.5, 86_400.0))
def test_whatever_the_timeout_the_derived_times_are_safe(timeout_s: float) -> None:
    timing = derive(timeout_s)
    assert unsafe(timing) == ()
    assert timing.lease_s + timing.stop_budget_s < timeout_s
    assert margin(timing) >= 2.0


@given(st.floats(0.5, 3600.0), st.floats(0.1, 4000.0), st.floats(0.1, 4000.0))
def test_no_set_of_times_passes_in_which_an_owner_outlives_the_timeout(
    timeout_s: float, lease_s: float, stop_budget_s: float
) -> None:
    assume(lease_s + stop_budget_s > timeout_s)
    timing = derive(timeout_s, lease_s=lease_s, stop_budget_s=stop_budget_s)
    assert unsafe(timing) != ()


def test_lease_and_stop_budget_may_use_exactly_99_percent() -> None:
    assert _keys(derive(60.0, lease_s=36.0, stop_budget_s=23.4)) == []
    assert _keys(derive(60.0, lease_s=36.0, stop_budget_s=23.41)) == ["lease"]


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"stop_budget_s": 30.0}, "lease", "36 + 30 = 66, and 0.99 x 60 = 59.4"),
        ({"heartbeat_s": 18.0, "plan_limit_s": 50.0}, "heartbeat", "36 is not more than 36"),
        ({"poll_s": 6.0}, "poll", "6 is more than 5"),
        ({"plan_limit_s": 10.0}, "plan_limit", "10 is not more than 10"),
        ({"timeout_s": 0.4}, "timeout", "between 0.5 s and 86400 s, it is 0.4 s"),
        ({"timeout_s": math.inf}, "timeout", "it is inf s"),
        ({"heartbeat_s": 0.0}, "heartbeat", "it is 0 s"),
        ({"poll_s": -1.0}, "poll", "it is -1 s"),
        ({"lease_s": math.nan}, "lease", "it is nan s"),
        ({"stop_budget_s": 0.0}, "stop_budget", "it is 0 s"),
        ({"ban_s": -1.0}, "ban", "it is -1 s"),
        ({"start_grace_s": 1e9}, "start_grace", "it is 1000000000 s"),
    ],
)
def test_a_broken_rule_names_the_key_and_the_numbers(
    change: dict[str, float], key: str, words: str
) -> None:
    found = unsafe(replace(derive(), **change))
    assert [name for name, _ in found] == [key]
    assert words in found[0][1]


def test_all_broken_rules_are_told_at_once() -> None:
    timing = replace(derive(), heartbeat_s=20.0, poll_s=21.0, stop_budget_s=50.0)
    assert _keys(timing) == ["lease", "heartbeat", "poll", "plan_limit"]


def test_out_of_range_values_are_told_before_the_sums_over_them() -> None:
    timing = replace(derive(), ban_s=-1.0, lease_s=-1.0, poll_s=70.0)
    assert _keys(timing) == ["lease", "ban"]


def test_no_ban_and_no_grace_are_allowed() -> None:
    assert unsafe(derive(ban_s=0.0, start_grace_s=0.0)) == ()


def test_the_margin_counts_both_ways_and_both_heartbeats() -> None:
    timing = derive()
    assert margin(timing) == pytest.approx(3.6)
    # V = 4 s, and the echoing node waits for its heartbeat: 2 V + H = 13 s are measured.
    assert margin(timing, 13.0) == pytest.approx(36 / (2 * 4 + 2 * 5))


def _verdict(timing: Timing, name: str, roundtrip_s: float | None = None) -> str:
    return next(line.verdict for line in explain(timing, roundtrip_s) if line.name == name)


@pytest.mark.parametrize(
    ("roundtrip_s", "verdict"),
    [
        (None, "ok"),
        (5.0, "ok"),
        (14.0, "warning: below 2"),
        (31.0, "warning: leases lapse"),
        (500.0, "warning: leases lapse"),
    ],
)
def test_a_narrow_margin_is_a_warning_and_not_an_error(
    roundtrip_s: float | None, verdict: str
) -> None:
    assert _verdict(derive(), "margin", roundtrip_s).startswith(verdict)


def test_the_explanation_marks_what_is_refused() -> None:
    timing = replace(derive(), stop_budget_s=30.0, poll_s=6.0)
    assert _verdict(timing, "poll").startswith("unsafe: poll must be")
    assert _verdict(timing, "former owner has stopped") == "unsafe: more than 59.4"
    assert _verdict(timing, "ban") == "ok"


def test_the_explanation_shows_every_time_with_its_value() -> None:
    values = {line.name: line.value for line in explain(derive())}
    assert values["lease"] == 36.0
    assert values["former owner has stopped"] == 54.0
    assert values["a dead node's groups are free"] == 61.25
    assert len(values) == 11


@pytest.mark.parametrize("value", [0.0, -5.0, math.nan, math.inf])
def test_the_explanation_of_nonsense_is_no_crash(value: float) -> None:
    timing = Timing(value, value, value, value, value, value, value, value)
    assert any(line.verdict.startswith("unsafe") for line in explain(timing, value))


def test_the_kill_of_many_groups_has_its_place_in_the_sum() -> None:
    def gone(groups: int) -> TimingCheck:
        lines = explain(derive(3.0), groups=groups)
        return next(line for line in lines if line.name == "former owner has stopped")

    assert gone(0).formula == "L + D, at most 0.99 T"
    assert gone(100).value == pytest.approx(2.7 + kill_s(100))
    assert gone(100).verdict == "ok"
    assert gone(300).verdict.startswith("warning: 300 groups take 0.32 s to kill")
    assert "shorten stop_budget, or lengthen timeout" in gone(300).verdict
