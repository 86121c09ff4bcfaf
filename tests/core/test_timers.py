from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.timers import Timers

KEYS = st.sampled_from("abcd")
TIMES = st.one_of(st.just(math.inf), st.just(-math.inf), st.integers(0, 6).map(float))


@given(st.lists(st.one_of(st.tuples(KEYS, TIMES), st.integers(0, 6).map(float))))
def test_the_earliest_time_is_due_whatever_was_set_and_taken_before(
    steps: list[tuple[str, float] | float],
) -> None:
    timers, times = Timers[str](), dict[str, float]()
    for step in steps:
        if isinstance(step, tuple):
            timers.set(*step)
            times[step[0]] = step[1]
        else:
            due = sorted((at, key) for key, at in times.items() if at <= step)
            assert timers.take_due(step) == [key for _, key in due]
            for _, key in due:
                del times[key]
        assert timers.due == min(times.values(), default=math.inf)
