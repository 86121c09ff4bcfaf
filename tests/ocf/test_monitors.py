"""When each monitor of an agent is due."""

from __future__ import annotations

import pytest

from mosha.ocf.metadata import OcfMetadata, parse_metadata
from mosha.ocf.monitors import (
    DEFAULT_INTERVAL_S,
    PAUSE_MIN_S,
    RepeatedMonitor,
    next_monitor,
    planned_monitors,
)
from tests.ocf.fake_agent import METADATA

NOW = 100.0


def planned(
    *intervals: tuple[int, float], metadata: OcfMetadata | None = None, limit_s: float | None = None
) -> list[tuple[int, float, float, float]]:
    """Return the depth of each monitor, its interval, its limit, and when it is due."""
    known = metadata or parse_metadata(METADATA.encode())
    found = planned_monitors(known, intervals, limit_s, NOW)
    return [(it.depth, it.interval_s, it.limit_s, it.due - NOW) for it in found]


def test_the_cheapest_monitor_runs_always_and_others_where_they_are_asked_for() -> None:
    assert planned() == [(0, 5.0, 60.0, 5.0)]
    assert planned((10, 0.0)) == [(0, 5.0, 60.0, 5.0), (10, 300.0, 20.0, 300.0)]
    assert planned((0, 7.0), limit_s=3.0) == [(0, 7.0, 3.0, 7.0)]


def test_an_agent_that_gives_no_interval_is_not_asked_every_second() -> None:
    assert planned(metadata=OcfMetadata()) == [(0, DEFAULT_INTERVAL_S, 20.0, DEFAULT_INTERVAL_S)]


def test_no_interval_is_shorter_than_the_pause_after_a_monitor() -> None:
    assert planned((0, 0.01))[0][1] == PAUSE_MIN_S


@pytest.mark.parametrize(
    ("took_s", "due_s"), [(0.5, 10.0), (8.9, 10.0), (9.5, 9.5 + PAUSE_MIN_S), (60.0, 61.0)]
)
def test_an_interval_counts_from_one_beginning_to_the_next_and_a_pause_is_kept(
    took_s: float, due_s: float
) -> None:
    one = RepeatedMonitor(0, 10.0, 20.0)
    one.ran(NOW, NOW + took_s)
    assert one.due == NOW + due_s


def test_the_one_that_is_due_first_is_next_and_of_equals_the_deeper_one() -> None:
    monitors = [RepeatedMonitor(depth, 10.0, 20.0) for depth in (0, 10, 20)]
    assert next_monitor(monitors).depth == 20
    monitors[0].due -= 1
    assert next_monitor(monitors).depth == 0
