"""When a node fences itself: late enough for a process to die, early enough for the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.timing import derive
from mosha.core.self_fencing import fence_after_s, fence_lines


@given(timeout_s=st.floats(0.5, 86_400), budget=st.floats(0.05, 0.39))
def test_half_of_what_is_left_is_for_the_process_and_half_for_the_command(
    timeout_s: float, budget: float
) -> None:
    timing = derive(timeout_s, stop_budget_s=budget * timeout_s)
    spent_s = timing.lease_s + timing.stop_budget_s
    assert spent_s + 2 * fence_after_s(timing) == pytest.approx(max(0.99 * timeout_s, spent_s))


def test_the_sum_is_told_as_the_others_are() -> None:
    (line,) = fence_lines(derive(60.0), 7)
    assert (line.name, line.verdict) == ("a node that cannot end a group fences itself", "ok")
    assert line.value == pytest.approx(36 + 18 + 2.7)
    (line,) = fence_lines(derive(60.0), 5000)  # K is longer than that half
    assert line.value == pytest.approx(36 + 18 + 5.02)
