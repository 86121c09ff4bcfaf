"""When whose status is read, by a clock that the test sets."""

from __future__ import annotations

import math

import pytest

from mosha.core.cluster.reading import AFTER_S, REREAD_PER_HEARTBEAT, PeerReading, ReadSchedule
from mosha.core.cluster.timing import derive

TIMING = derive(10.0, heartbeat_s=1.0, poll_s=0.2)
REREAD_S = TIMING.heartbeat_s * REREAD_PER_HEARTBEAT
START_S = 100.0


def reading(*nodes: int) -> ReadSchedule:
    """Nodes of which the first read has ended well at START_S."""
    made = ReadSchedule(TIMING)
    made.watch(nodes)
    for node, _ in made.begin_due(START_S):
        end(made, node, START_S)
    return made


def end(
    made: ReadSchedule,
    node: int,
    now: float,
    *,
    often: bool = False,
    hung: bool = False,
    judge_at: float = math.inf,
) -> PeerReading:
    found = made.ended(node, often=often, hung=hung)
    assert found is not None
    made.judge(found, judge_at, now)
    return found


def begun(made: ReadSchedule, now: float) -> list[int]:
    return [node for node, _ in made.begin_due(now)]


def test_all_are_read_at_the_start_and_then_about_once_a_heartbeat() -> None:
    made = ReadSchedule(TIMING)
    made.watch([3, 2])
    assert begun(made, START_S) == [2, 3]
    assert begun(made, START_S + 99) == [], "one read of a node at a time"
    end(made, 2, START_S + 0.5)
    assert made.timers.due == START_S + REREAD_S, "counted from the beginning of the last one"
    assert begun(made, START_S + REREAD_S) == [2]


def test_a_change_is_read_at_once_and_one_that_comes_meanwhile_after_it() -> None:
    made = reading(2, 3)
    assert made.want(2, START_S + 0.1) > 0
    assert made.want(2, START_S + 0.2) == 0
    assert made.want(2, START_S + 0.3) == 0
    assert begun(made, START_S + 0.4) == []
    end(made, 2, START_S + 0.4)
    assert begun(made, START_S + 0.4) == [2], "once, however many changes came"
    end(made, 2, START_S + 0.5)
    assert begun(made, START_S + 0.6) == []


def test_what_is_not_watched_is_not_read() -> None:
    made = reading(2, 3)
    assert made.want(9, START_S) == 0
    made.want(2, START_S)
    made.watch([3, 4])
    assert made.ended(2, often=False, hung=False) is None
    assert made.nodes == {3, 4}
    assert begun(made, START_S + REREAD_S) == [4, 3]


def test_where_no_events_arrive_a_node_is_read_once_a_poll_unless_it_hangs() -> None:
    made = reading(2)
    made.want(2, START_S)
    end(made, 2, START_S, often=True)
    assert made.timers.due == START_S + TIMING.poll_s
    begun(made, made.timers.due)
    end(made, 2, START_S + 1, often=True, hung=True)
    assert made.timers.due == START_S + TIMING.poll_s + REREAD_S


def test_o3_a_read_that_may_accuse_begins_after_that_moment() -> None:
    made = reading(2)
    made.want(2, START_S)
    end(made, 2, START_S, judge_at=START_S + 0.5)
    assert made.timers.due == START_S + 0.5 + AFTER_S
    assert begun(made, START_S + 0.5) == []
    made.want(2, START_S + 0.3)
    found = end(made, 2, START_S + 0.4, judge_at=START_S + 0.5)
    assert found.began == START_S + 0.3
    assert made.timers.due == START_S + 0.5 + AFTER_S, "the one in between did not count"


def test_what_hangs_is_given_less_time_each_further_time() -> None:
    made = reading(2)
    limits = []
    now = START_S
    for _ in range(3):
        limits.append(made.want(2, now))
        found = end(made, 2, now, hung=True)
        now += 1
    assert limits == [2.0, 0.25, 0.25]
    assert found.hung_since == START_S
    made.want(2, now)
    assert end(made, 2, now).hung_since is None
    assert made.want(2, now) == 2.0


@pytest.mark.parametrize(("ago_s", "near"), [(2.4, False), (2.6, True)])
def test_a_node_that_misses_heartbeats_is_watched_closely(ago_s: float, *, near: bool) -> None:
    made = reading(2)
    made.want(2, START_S)
    found = made.ended(2, often=False, hung=False)
    assert found is not None
    assert made.judge(found, START_S + TIMING.timeout_s, START_S + ago_s) is near
