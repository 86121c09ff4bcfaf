"""When fencing is tested, what is remembered of it, and what people see."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from mosha.core.cluster.fencing import FenceOrder
from mosha.errors import UsageError
from mosha.formats.fence_tests import FenceRecord, parse_records, render_records
from mosha.formats.fencing_methods import Fencing, FencingMethod
from mosha.host.clock import boottime
from mosha.monitor import fence_schedule
from mosha.monitor.daemon import Monitor
from mosha.monitor.fence_records import RECORDS_FILE, FenceRecords
from mosha.monitor.fence_schedule import (
    QUIET_S,
    SPREAD_MAX_S,
    FenceSchedule,
    ShotUnderWayError,
    first_pause_s,
    next_pause_s,
)
from mosha.monitor.problems import OVERDUE_AFTER
from mosha.monitor.reload import reload
from tests.core.story import status
from tests.monitor.house import prepared
from tests.monitor.switch_room import actions, furnish, switch_method
from tests.monitor.test_fencing import gone, pids_in
from tests.waiting import until

LONG_S = 60.0
EVERY_S = 1.0
PLAIN = {"1": "p1", "2": "p2", "3": "p3"}


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return furnish(tmp_path)


@pytest.fixture
async def monitor(short_dir: Path) -> AsyncIterator[Monitor]:
    async with prepared(short_dir, nodes=(1, 2, 3)) as made:
        yield made


def use(monitor: Monitor, *methods: FencingMethod, **more: Any) -> FenceSchedule:
    """Let a monitor have these methods."""
    fencing = Fencing(methods=methods, **more)
    monitor.settings = replace(monitor.settings, fencing=fencing)
    return monitor.fence_schedule


def problems(monitor: Monitor) -> list[tuple[str, str]]:
    found = [it for it in monitor.report().problem_list if it.kind == "fencing"]
    return [(it.text, it.next) for it in found]


# --- one test ------------------------------------------------------------------------------


async def test_tests_wait_for_each_other(monitor: Monitor, room: Path) -> None:
    schedule = use(monitor, switch_method(room, limit=LONG_S))
    await asyncio.gather(schedule.test(1), schedule.test(2), schedule.test(3))
    assert actions(room) == ["monitor", "status", "list"] * 3


async def test_a_shot_ends_the_test_that_is_running_and_lets_none_begin(
    monitor: Monitor, room: Path
) -> None:
    schedule = use(monitor, switch_method(room, "hangs", limit=LONG_S))
    running = asyncio.ensure_future(schedule.test(2))
    (pid,) = await until(lambda: pids_in(room / "pids", 1))
    waiting = asyncio.ensure_future(schedule.test(3))
    await asyncio.sleep(0)  # it has begun, and waits for its turn
    async with schedule.shooting():
        assert gone(pid)
        for task in (running, waiting):
            with pytest.raises(ShotUnderWayError, match="a shot"):
                await task
        with pytest.raises(ShotUnderWayError, match="a shot is under way: test when it has ended"):
            await schedule.test(3)
    assert actions(room) == ["monitor"]
    assert list(schedule.records) == []
    use(monitor, switch_method(room, limit=LONG_S))
    assert [test.outcome for test in await schedule.test(3)] == ["good"]


async def test_a_shot_does_not_wait_for_a_test_that_hangs_in_the_kernel(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence_schedule, "BREAK_OFF_LIMIT_S", 0.05)
    schedule = monitor.fence_schedule
    async with schedule._turn, asyncio.timeout(LONG_S), schedule.shooting():
        assert schedule._turn.locked()


async def test_the_order_to_shoot_ends_a_test(monitor: Monitor, room: Path) -> None:
    schedule = use(monitor, switch_method(room, "hangs", limit=LONG_S))
    running = asyncio.ensure_future(schedule.test(2))
    (pid,) = await until(lambda: pids_in(room / "pids", 1))
    use(monitor, switch_method(room, limit=LONG_S))
    async with anyio.create_task_group() as tasks:
        ports = monitor._ports
        ended: list[object] = []
        ports._report = ended.append
        ports.open(tasks)
        ports.table()[FenceOrder](FenceOrder(2, 1))
        with pytest.raises(ShotUnderWayError):
            await running
        await until(lambda: ended)
    await until(partial(gone, pid))
    assert actions(room) == ["monitor", "off", "status"]


async def test_which_nodes_can_be_shot(monitor: Monitor, room: Path) -> None:
    schedule = use(monitor, switch_method(room, targets={"2": "p2", "7": "p3"}))
    assert [it.node for it in schedule.nodes()] == [2, 7]
    assert [it.node for it in schedule.nodes(3)] == [3]
    use(monitor, FencingMethod(type="command", command=("/bin/true",)))
    assert [it.node for it in schedule.nodes()] == [1, 2, 3]
    with pytest.raises(UsageError, match="there is no node 9; the nodes are 1, 2, 3"):
        schedule.nodes(9)


async def test_a_node_is_alive_when_it_is_heard_later(monitor: Monitor) -> None:
    schedule, view = monitor.fence_schedule, monitor.node.state.view
    heartbeat_s = monitor.node.state.timing.heartbeat_s
    assert await schedule.is_heard_again(1)
    assert not await schedule.is_heard_again(2)
    view.heard(status(2, 5), boottime())
    asking = asyncio.ensure_future(schedule.is_heard_again(2))
    await anyio.wait_all_tasks_blocked()
    view.heard(status(2, 6), boottime() + heartbeat_s / 2)  # written before, read a little later
    await anyio.wait_all_tasks_blocked()
    assert not asking.done()
    view.heard(status(2, 7), boottime() + 2 * heartbeat_s)
    assert await asking


async def test_a_node_that_becomes_stale_is_not_alive(monitor: Monitor) -> None:
    schedule, view = monitor.fence_schedule, monitor.node.state.view
    timeout_s = monitor.node.state.timing.timeout_s
    heard_at = boottime()
    view.heard(status(2, 5), heard_at)
    asking = asyncio.ensure_future(schedule.is_heard_again(2))
    await anyio.wait_all_tasks_blocked()
    later = heard_at + timeout_s + 1
    view.tried(2, began=later, now=later, timeout_s=timeout_s)
    assert not await asking


# --- from time to time -----------------------------------------------------------------------


@given(st.floats(1.0, 1e6), st.floats(0.0, 1.0, exclude_max=True))
def test_nodes_do_not_ask_at_the_same_moment_nor_in_the_first_minute(
    every_s: float, chance: float
) -> None:
    first, again = first_pause_s(every_s, chance), next_pause_s(every_s, chance)
    assert min(QUIET_S, every_s) <= first <= min(QUIET_S, every_s) + min(SPREAD_MAX_S, every_s)
    assert 0.79 * every_s <= again <= every_s
    assert first_pause_s(math.inf, chance) == next_pause_s(math.inf, chance) == math.inf


async def test_nothing_is_tested_by_itself_that_cannot_be(monitor: Monitor, room: Path) -> None:
    command = FencingMethod(type="command", command=("/bin/true",))
    assert use(monitor).every_s == math.inf
    assert use(monitor, FencingMethod(), command).every_s == math.inf
    assert use(monitor, switch_method(room), test_every=0.0).every_s == math.inf
    assert use(monitor, switch_method(room)).every_s == 3600.0
    assert use(monitor, replace(command, test=("/bin/true",))).every_s == 3600.0


async def test_all_nodes_are_tested_from_time_to_time(monitor: Monitor, room: Path) -> None:
    schedule = use(monitor, switch_method(room, limit=LONG_S), test_every=EVERY_S)
    assert [test.good_at for test in monitor.report().fencing] == [None] * 3
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(schedule.run)
        await until(lambda: actions(room).count("list") >= 6)
        tasks.cancel_scope.cancel()
    assert all(test.good_at and not test.failure for test in monitor.report().fencing)
    kept = parse_records((monitor.settings.state_path / RECORDS_FILE).read_bytes())
    assert [(it.node, it.failure) for it in kept] == [(1, ""), (2, ""), (3, "")]


async def test_a_round_goes_on_after_a_shot(
    monitor: Monitor, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mosha.monitor.fence_schedule.AFTER_SHOT_S", 0.05)
    schedule = use(monitor, switch_method(room, limit=LONG_S), test_every=EVERY_S)
    async with anyio.create_task_group() as tasks:
        async with schedule.shooting():
            tasks.start_soon(schedule.run)
            with pytest.raises(ShotUnderWayError):
                await schedule.test(1)
        await until(lambda: len(list(schedule.records)) == 3)
        tasks.cancel_scope.cancel()


async def test_new_settings_are_tested_soon_and_what_is_gone_is_forgotten(
    monitor: Monitor, room: Path
) -> None:
    schedule = use(monitor, switch_method(room, limit=LONG_S))
    await schedule.test(2)
    changed = Fencing(
        methods=(FencingMethod(), switch_method(room, limit=LONG_S)), test_every=EVERY_S
    )
    monitor.read_settings = lambda: replace(monitor.settings, fencing=changed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(schedule.run)
        await anyio.wait_all_tasks_blocked()
        assert "fencing" in reload(monitor)
        await until(lambda: [record.key[:2] for record in schedule.records] == [(1, 2), (2, 2)])
        tasks.cancel_scope.cancel()


# --- after a shot ----------------------------------------------------------------------------


async def after_shots(monitor: Monitor, tasks: TaskGroup, failure: str) -> None:
    """Let a shot at node 2 have ended so, while the monitor tests after shots."""
    tasks.start_soon(monitor.fence_schedule.run_after_shots)
    async with monitor.fence_schedule.shooting():
        pass
    monitor.fence_schedule.shot_ended(2, failure)
    monitor.announce()


def hear(monitor: Monitor, seq: int, at: float) -> None:
    monitor.node.state.view.heard(status(2, seq), at)
    monitor.announce()


async def test_a_shot_that_failed_is_followed_by_a_test_and_by_one_when_its_node_is_heard(
    monitor: Monitor, room: Path
) -> None:
    (room / "p2").write_text("off")  # one of two power supplies, say
    schedule = use(monitor, switch_method(room, limit=LONG_S))
    async with anyio.create_task_group() as tasks:
        await after_shots(monitor, tasks, "method 2: no answer")
        await until(lambda: list(schedule.records))
        assert problems(monitor) == [], "it is off, and not heard"
        began = boottime()
        hear(monitor, 5, began)
        await until(lambda: actions(room).count("status") == 2)
        hear(monitor, 6, began + 5 * monitor.node.state.timing.heartbeat_s)
        await until(lambda: problems(monitor))
        tasks.cancel_scope.cancel()
    ((text, step),) = problems(monitor)
    assert "failed: node 2 is heard, but status says OFF: the plug is" in text
    assert step == "mosha fence --test 2"
    assert actions(room).count("status") == 2


async def test_a_failed_shot_by_what_cannot_be_tested_is_a_problem_until_somebody_asks(
    monitor: Monitor,
) -> None:
    schedule = use(monitor, FencingMethod(type="command", command=("/bin/false",)))
    async with anyio.create_task_group() as tasks:
        await after_shots(monitor, tasks, "exit 1: outlet 3 does not answer")
        await until(lambda: schedule._unheard)
        assert problems(monitor) == [], "the node itself is a problem"
        hear(monitor, 5, boottime())
        await until(lambda: problems(monitor))
        tasks.cancel_scope.cancel()
    failure = "the shot failed: exit 1: outlet 3 does not answer"
    text = f"the test of fencing node 2 by method 1 (/bin/false) failed: {failure}"
    assert problems(monitor) == [(text, "mosha fence --test 2")]
    await schedule.test(2)
    assert problems(monitor) == []


@pytest.mark.parametrize(("failure", "every_s"), [("", 3600.0), ("no answer", 0.0)])
async def test_after_a_shot_that_succeeded_or_without_tests_by_itself_nothing_is_tested(
    monitor: Monitor, room: Path, failure: str, every_s: float
) -> None:
    use(monitor, switch_method(room, limit=LONG_S), test_every=every_s)
    async with anyio.create_task_group() as tasks:
        await after_shots(monitor, tasks, failure)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert actions(room) == []


async def test_the_monitor_learns_from_its_shot_that_a_test_is_due(monitor: Monitor) -> None:
    schedule = use(monitor, FencingMethod(type="command", command=("/bin/false",), limit=LONG_S))
    async with anyio.create_task_group() as tasks:
        ports = monitor._ports
        ended: list[object] = []
        ports._report = ended.append
        ports.open(tasks)
        ports.table()[FenceOrder](FenceOrder(2, 1, asked=True))
        await until(lambda: ended)
    assert schedule._failed == {2: "exit 1"}


# --- what is remembered ------------------------------------------------------------------------


async def test_failed_and_repaired_tests_are_logged_once(monitor: Monitor, room: Path) -> None:
    good = switch_method(room, targets=PLAIN, limit=LONG_S)
    bad = switch_method(room, "unsure", targets=PLAIN, limit=LONG_S)
    with capture_logs() as logs:
        for method in (good, bad, bad, good, good):
            await use(monitor, method).test(2)
    told = [(line["event"], line["log_level"], line["peer"], line["method"]) for line in logs]
    assert told == [
        ("fence_test_failed", "warning", 2, "fence_switch"),
        ("fence_test_passed", "info", 2, "fence_switch"),
    ]
    assert logs[0]["reason"].endswith("Status: OFF, or not")


async def test_a_failure_is_a_problem_with_the_words_of_the_agent_until_it_is_repaired(
    monitor: Monitor, room: Path
) -> None:
    schedule = use(monitor, switch_method(room, "unsure", limit=LONG_S))
    before = monitor.news
    (test,) = await schedule.test(2)
    assert monitor.news > before
    assert problems(monitor) == [
        (
            f"the test of fencing node 2 by method 1 (fence_switch) failed: {test.text}",
            "mosha fence --test 2",
        )
    ]
    await schedule.test(3)
    ((text, step),) = problems(monitor)
    assert text.startswith("the test of fencing nodes 2, 3 by method 1 (fence_switch) failed: ")
    assert step == "mosha fence --test"
    use(monitor, switch_method(room, limit=LONG_S))
    await schedule.test(2)
    await schedule.test(3)
    assert problems(monitor) == []


async def test_a_device_that_does_not_answer_its_own_node_is_no_problem_there(
    monitor: Monitor, room: Path
) -> None:
    schedule = use(monitor, switch_method(room, "unsure", targets=PLAIN, limit=LONG_S))
    await schedule.test(1)
    assert [it.failure != "" for it in monitor.report().fencing] == [True, False, False]
    assert problems(monitor) == []
    await schedule.test(2)
    assert [step for _, step in problems(monitor)] == ["mosha fence --test 2"]
    use(monitor, switch_method(room, targets=PLAIN, limit=LONG_S))
    (room / "p1").write_text("off")
    await schedule.test(1)
    assert [step for _, step in problems(monitor)] == ["mosha fence --test"]


async def test_the_report_is_sorted_by_node_and_has_what_can_be_tested(
    monitor: Monitor, room: Path
) -> None:
    command = FencingMethod(type="command", command=("/bin/true",))
    bad = FencingMethod(type="command", command=(f"{room}/none",))
    tested = replace(command, test=("/bin/true",))
    agent = switch_method(room, targets={"1": "p1", "2": "p2"}, limit=LONG_S)
    schedule = use(monitor, agent, tested, command, bad, FencingMethod())
    await schedule.test(2)
    found = monitor.report().fencing
    assert [(it.node, it.number, it.good_at is not None, it.failure) for it in found] == [
        (1, 1, False, ""),
        (1, 2, False, ""),
        (2, 1, True, ""),
        (2, 2, True, ""),
        (2, 4, False, f"there is no {room}/none that can be executed"),
        (3, 2, False, ""),
    ]


async def test_a_test_that_was_not_good_for_long_is_a_problem(monitor: Monitor, room: Path) -> None:
    schedule = use(monitor, switch_method(room, limit=LONG_S), test_every=EVERY_S)
    assert problems(monitor) == []
    schedule.began = boottime() - OVERDUE_AFTER * EVERY_S - 1
    ((text, step),) = problems(monitor)
    assert text == (
        "no test of fencing nodes 1, 2, 3 by method 1 (fence_switch) was good for"
        " 3 times test_every"
    )
    assert step == "mosha fence --test"
    use(monitor, switch_method(room, limit=LONG_S), test_every=0.0)
    assert problems(monitor) == []


async def test_what_was_tested_outlives_the_monitor(monitor: Monitor, room: Path) -> None:
    schedule = use(monitor, switch_method(room, limit=LONG_S))
    began = time.time()
    await schedule.test(2)
    keys = [record.key for record in schedule.records]
    after = FenceRecords(1, monitor.settings.state_path)
    await after.load(keys)
    (record,) = after
    assert record.key == (2, 1, "fence_switch")
    assert record.good_at is not None
    assert began <= record.good_at <= time.time()
    others = FenceRecords(1, monitor.settings.state_path)
    await others.load([(2, 1, "fence_other")])
    assert list(others) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"format": 2, "tests": []}', b'{"format": 1, "tests": [{}]}']
)
async def test_a_bad_file_costs_only_the_ages(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RECORDS_FILE).write_bytes(content)
    records = FenceRecords(1, tmp_path)
    with capture_logs() as logs:
        await records.load([(2, 1, "fence_switch")])
    assert list(records) == []
    assert [line["event"] for line in logs] == ["memory_failed"]


async def test_a_disk_that_cannot_be_written_does_not_stop_tests(
    monitor: Monitor, room: Path
) -> None:
    schedule = use(monitor, switch_method(room, limit=LONG_S))
    schedule.records = FenceRecords(1, room / "gone")
    with capture_logs() as logs:
        assert [test.outcome for test in await schedule.test(2)] == ["good"]
        assert [test.outcome for test in await schedule.test(2)] == ["good"]
    assert [line["event"] for line in logs] == ["memory_failed"]
    assert [record.key for record in schedule.records] == [(2, 1, "fence_switch")]


_RECORDS = st.builds(
    FenceRecord,
    node=st.integers(1, 65_535),
    number=st.integers(0, 20),
    method=st.text(),
    good_at=st.none() | st.floats(0, 1e10),
    failure=st.text(),
)


@given(st.lists(_RECORDS))
def test_records_are_read_as_they_were_written(records: list[FenceRecord]) -> None:
    assert parse_records(render_records(records)) == records
