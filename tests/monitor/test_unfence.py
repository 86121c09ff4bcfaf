"""A node has itself let in to its storage again: when, by what, and what people see of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from mosha.cli.status.nodes import nodes_in_words
from mosha.core.cluster import access
from mosha.core.cluster.events import GroupsReported
from mosha.formats.fencing_methods import Fencing, FencingMethod
from mosha.host.clock import boottime
from mosha.monitor.daemon import Monitor
from mosha.monitor.fence_agent import search_path
from mosha.monitor.unfence import Unfencing
from tests.core.story import report, status
from tests.monitor.house import prepared
from tests.monitor.switch_room import actions, furnish, switch_method
from tests.waiting import until

LONG_S = 60.0
SOON_S = 0.05


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return furnish(tmp_path)


@contextlib.asynccontextmanager
async def unfencing(monitor: Monitor, *methods: FencingMethod) -> AsyncIterator[None]:
    """Let a monitor that knows nothing of its storage have these methods, and ask."""
    monitor.settings = replace(monitor.settings, fencing=Fencing(methods=methods))
    monitor.node.state.cut_off = access.NOT_ASKED
    if not monitor.node.state.clinit_known:
        monitor.report_event(GroupsReported(full=True))
    task = asyncio.ensure_future(Unfencing(monitor, retry_s=SOON_S).run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def monitor(short_dir: Path) -> AsyncIterator[Monitor]:
    async with prepared(short_dir, nodes=(1, 2, 3)) as made:
        yield made


async def test_a_test_that_failed_while_it_was_cut_off_is_repeated_when_it_is_let_in(
    monitor: Monitor, room: Path
) -> None:
    method = storage(room)
    monitor.settings = replace(monitor.settings, fencing=Fencing(methods=(method,)))
    (room / "p1").write_text("off")
    (failed,) = await monitor.fence_schedule.test(1)
    assert failed.outcome == "failed"
    testing = asyncio.ensure_future(monitor.fence_schedule.run_after_shots())
    try:
        async with unfencing(monitor, method):
            await until(lambda: not monitor.node.state.cut_off)
            await until(lambda: all(not it.failure for it in monitor.fence_schedule.records))
    finally:
        testing.cancel()
    assert [it for it in monitor.report().problem_list if it.kind == "fencing"] == []


def storage(room: Path, mode: str = "good", **more: object) -> FencingMethod:
    return switch_method(room, mode, unfence=True, limit=LONG_S, **more)


def power(room: Path, text: str) -> None:
    (room / "p1").write_text(text)


async def test_a_node_that_is_cut_off_is_let_in(monitor: Monitor, room: Path) -> None:
    power(room, "off")
    async with unfencing(monitor, storage(room)):
        await until(lambda: not monitor.node.state.cut_off)
    assert actions(room) == ["status", "on", "status"]
    assert monitor.troubles == []


async def test_where_the_node_is_let_in_nothing_is_changed(monitor: Monitor, room: Path) -> None:
    async with unfencing(monitor, storage(room)):
        await until(lambda: not monitor.node.state.cut_off)
    assert actions(room) == ["status"]


async def test_other_methods_and_those_of_other_nodes_are_not_asked(
    monitor: Monitor, room: Path
) -> None:
    others = storage(room, targets={"2": "p2"})
    async with unfencing(monitor, switch_method(room), others, FencingMethod()):
        await until(lambda: not monitor.node.state.cut_off)
    assert actions(room) == []


async def test_every_method_that_lets_this_node_in_is_asked(monitor: Monitor, room: Path) -> None:
    power(room, "off")
    others = storage(room, targets={"2": "p2"})
    async with unfencing(monitor, FencingMethod(), others, storage(room)):
        await until(lambda: not monitor.node.state.cut_off)
    assert actions(room) == ["status", "on", "status"]
    missing = storage(room, agent="fence_nothing")
    async with unfencing(monitor, missing, storage(room)):
        await until(lambda: "there is no fence_nothing in" in monitor.node.state.cut_off)


async def test_an_answer_is_of_the_doubt_that_it_was_asked_for(
    monitor: Monitor, room: Path
) -> None:
    """Who is cut off while the storage answers asks again."""
    monitor.node.state.fencing = replace(monitor.node.state.fencing, unfences=True)
    agent = room / "slow"
    agent.write_text(f"#!/bin/sh\necho x >>{room}/begun; cat {room}/wait; echo 'Status: ON'\n")
    agent.chmod(0o755)
    os.mkfifo(room / "wait")
    async with unfencing(monitor, storage(room, agent=str(agent))):
        await until((room / "begun").exists)
        access.doubt(monitor.node.state)
        (room / "wait").write_text("")
        await until(lambda: (room / "begun").read_text().count("x") > 1)
        assert monitor.node.state.cut_off
        (room / "wait").write_text("")
        await until(lambda: not monitor.node.state.cut_off)


async def test_a_witness_needs_no_storage(monitor: Monitor, room: Path) -> None:
    power(room, "off")
    monitor.node.state.witness = True
    async with unfencing(monitor, storage(room)):
        await until(lambda: not monitor.node.state.cut_off)
    assert actions(room) == []


async def test_the_page_of_status_says_who_is_cut_off(monitor: Monitor) -> None:
    monitor.report_event(GroupsReported(full=True))
    monitor.node.state.cut_off = access.NOT_ASKED
    seen = status(2, timeout_ms=2000, standby=True, cut_off=True)
    monitor.node.peer_read(2, seen, began=boottime(), now=boottime())
    found = {node.node: node for node in monitor.report().nodes}
    assert [found[node].cut_off for node in (1, 2, 3)] == [True, True, False]
    assert not found[2].standby
    assert "cut off from its storage" in nodes_in_words(monitor.report(), 1000).plain


async def test_a_failure_is_a_problem_and_is_tried_again(monitor: Monitor, room: Path) -> None:
    power(room, "off")
    (room / "password").write_text("right")
    with capture_logs() as logs:
        async with unfencing(monitor, storage(room, "with_password")):
            await until(lambda: actions(room).count("on") >= 3)
            (trouble,) = monitor.troubles
            assert trouble.startswith(
                "this node claims no group: its storage does not let it in: fence_switch: on: exit"
            )
            assert "Unable to connect/login" in monitor.node.state.cut_off
            (room / "password").write_text("")
            await until(lambda: not monitor.node.state.cut_off)
            assert monitor.troubles == []
    events = [line["event"] for line in logs if line["event"].startswith("unfence")]
    assert events == ["unfence_failed", "unfenced"]


async def test_an_on_that_is_not_confirmed_is_a_failure(monitor: Monitor, room: Path) -> None:
    power(room, "off")
    async with unfencing(monitor, storage(room, "lies_on")):
        await until(lambda: "on" in actions(room) and "Status: OFF" in monitor.node.state.cut_off)
    assert "on: exit 0 in " in monitor.node.state.cut_off


async def test_an_agent_that_cannot_be_run_is_a_failure(monitor: Monitor, room: Path) -> None:
    async with unfencing(monitor, storage(room, agent="fence_nothing")):
        await until(lambda: "there is no fence_nothing in" in monitor.node.state.cut_off)
    async with unfencing(monitor, storage(room, agent=str(room / "none"))):
        await until(lambda: "cannot run it: No such file" in monitor.node.state.cut_off)


async def test_on_waits_until_no_process_of_a_group_is_here(monitor: Monitor, room: Path) -> None:
    power(room, "off")
    monitor.report_event(GroupsReported((report("start"),), full=True))
    async with unfencing(monitor, storage(room)):
        await until(lambda: "processes of g are still here" in monitor.node.state.cut_off)
        assert "on" not in actions(room)
        monitor.report_event(GroupsReported((report("stop"),)))
        await until(lambda: not monitor.node.state.cut_off)
    assert (room / "p1").read_text() == "on"


async def test_on_waits_for_an_answer_of_clinit(monitor: Monitor, room: Path) -> None:
    power(room, "off")
    async with unfencing(monitor, storage(room)):
        monitor.node.clinit_lost()
        await until(lambda: "clinit does not answer" in monitor.node.state.cut_off)
        assert "on" not in actions(room)


async def test_it_is_asked_again_when_the_node_was_declared_dead(
    monitor: Monitor, room: Path
) -> None:
    monitor.node.state.fencing = replace(monitor.node.state.fencing, unfences=True)
    async with unfencing(monitor, storage(room)):
        await until(lambda: not monitor.node.state.cut_off)
        power(room, "off")
        access.doubt(monitor.node.state)
        monitor.announce()
        await until(lambda: not monitor.node.state.cut_off)
    assert actions(room) == ["status", "status", "on", "status"]


@pytest.mark.skipif(
    shutil.which("fence_dummy", path=search_path()) is None, reason="there is no fence_dummy here"
)
async def test_the_dummy_of_fence_agents_lets_a_node_in(monitor: Monitor, tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("off")
    options = {"status_file": str(status)}
    dummy = storage(tmp_path, agent="fence_dummy", options=options, targets={"1": {}})
    async with unfencing(monitor, dummy):
        await until(lambda: not monitor.node.state.cut_off)
    assert status.read_text() == "on"
