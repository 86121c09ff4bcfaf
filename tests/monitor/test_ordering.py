"""Orders to several nodes: who has to obey, and who is named if one does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mosha.control.protocol import GiveOrder, OrderEntry
from mosha.core.cluster import orders
from mosha.core.replication import judging
from mosha.core.status import (
    EntryAnswer,
    EntryVerb,
    GroupLine,
    GroupState,
    Stamp,
    Status,
    Verb,
)
from mosha.core.tables import Hactl, Wish
from mosha.errors import HostError
from mosha.host.clock import boottime
from mosha.monitor import ordering
from mosha.monitor.daemon import Monitor
from tests.core.story import INC, status
from tests.monitor.house import prepared, write_tables
from tests.waiting import until

RUNS = GroupLine("start", GroupState.DONE)
RESTART = GiveOrder(Verb.RESTART, "g", wait=True, limit_s=100.0)
STOP = OrderEntry(EntryVerb.STOP, "g", "t1", 100.0)
EITHER = pytest.mark.parametrize("order", [RESTART, STOP], ids=["group", "entry"])


@pytest.fixture
async def monitor(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Monitor]:
    """The monitor of node 1; `g` runs on node 2."""
    monkeypatch.setattr(judging, "SPREAD_MIN_S", 0.0)
    write_tables(short_dir)
    async with prepared(short_dir, nodes=(1, 2, 3)) as made:
        hear(made, status(2, groups={"g": RUNS}))
        yield made


def hear(monitor: Monitor, heard: Status) -> None:
    now = boottime()
    monitor.node.peer_read(heard.node, heard, began=now, now=now)
    monitor.announce()


async def given(monitor: Monitor, order: GiveOrder | OrderEntry) -> asyncio.Task[str]:
    """Return what is under way when an order has been given and nobody has obeyed."""
    before = monitor.node.state.order_number
    task = asyncio.create_task(ordering.given(monitor, order))
    await until(lambda: monitor.node.state.order_number > before)
    for _ in range(3):
        await asyncio.sleep(0)
    return task


async def end_of(task: asyncio.Task[str]) -> str:
    async with asyncio.timeout(20):
        return await task


async def test_of_the_nodes_that_an_order_concerns_those_that_did_not_obey_are_named(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SPREAD_MIN_S", 0.0)
    write_tables(short_dir)
    async with prepared(short_dir, nodes=(1, 2, 3)) as monitor:
        state = monitor.node.state
        first = state.order_number + 1
        for node, number in ((2, first - 1), (3, first)):
            now = boottime()
            heard = status(node, obeyed={1: Stamp(state.inc, number)})
            monitor.node.peer_read(node, heard, began=now, now=now)
        with pytest.raises(HostError, match=r"^node 2 has not obeyed within 0\.8 s: "):
            await ordering.give(monitor, GiveOrder(Verb.CLEANUP, "g"))


async def test_who_does_not_wait_for_a_restart_is_answered_at_once(monitor: Monitor) -> None:
    reply = await end_of(await given(monitor, GiveOrder(Verb.RESTART, "g")))
    assert reply == "g is stopped and started again on node 2, under the same claim"


@EITHER
async def test_an_order_for_a_monitor_that_has_started_anew_is_over(
    monitor: Monitor, order: GiveOrder | OrderEntry
) -> None:
    task = await given(monitor, order)
    assert not task.done()
    hear(monitor, replace(status(2, inc=INC + 1, groups={"g": RUNS}), run="another"))
    again = "mosha restart g" if isinstance(order, GiveOrder) else "mosha stop g t1"
    with pytest.raises(HostError) as caught:
        await end_of(task)
    assert str(caught.value) == (
        "the monitor of node 2 has started anew; node 2 has not confirmed that it obeyed: see"
        f" mosha status g, and if need be again: {again}"
    )


@EITHER
async def test_that_an_order_stands_no_longer_is_found_although_nothing_changes(
    monitor: Monitor, order: GiveOrder | OrderEntry
) -> None:
    task = await given(monitor, order)
    monitor.node.state.orders.clear()
    with pytest.raises(HostError, match=r"^node 2 has not answered while the order stood; node 2 "):
        await end_of(task)


async def test_an_answer_about_an_entry_is_the_reply(monitor: Monitor) -> None:
    for text, told in (
        ("entry t1 of g was stopped already", "entry t1 of g was stopped already"),
        ("", "entry t1 of g is stopped on node 2 until it is started"),
    ):
        task = await given(monitor, STOP)
        state = monitor.node.state
        answer = {(1, state.order_number): EntryAnswer(state.inc, True, text)}
        seq = 1 + state.order_number
        hear(monitor, status(2, seq, groups={"g": RUNS}, answers=answer))
        assert (await end_of(task)).startswith(told)


async def test_an_order_for_the_failures_of_one_node_or_all_says_whether_there_were_any(
    monitor: Monitor,
) -> None:
    state = monitor.node.state
    failed = {"g": GroupLine("start", GroupState.FAILED)}
    hear(monitor, status(2, 2, groups=failed, obeyed={1: Stamp(state.inc, 99)}))
    reply = await end_of(await given(monitor, GiveOrder(Verb.CLEANUP, "g")))
    assert reply == (
        "what failed of g is forgotten on node 1, 2; not reached: node 3 was never heard from;"
        " when they are heard again: mosha cleanup g"
    )


STOP_FAILED = GroupLine("stop", GroupState.FAILED)
RUNS_AGAIN = (
    "the stop of g that failed runs again on node 2, and is forgotten if it succeeds; whether it"
    " has: mosha why g"
)


@pytest.mark.parametrize(
    ("claims", "node", "told"),
    [
        ({"g": 4}, 2, RUNS_AGAIN),
        ({"g": 4}, 0, f"{RUNS_AGAIN}; what failed of g is forgotten on node 1; not reached: "),
        ({}, 2, "what failed of g is forgotten on node 2"),
    ],
)
async def test_a_stop_that_failed_is_forgotten_only_if_it_succeeds_now(
    monitor: Monitor, claims: dict[str, int], node: int, told: str
) -> None:
    """Without the claim under which it failed nothing is run."""
    state = monitor.node.state
    hear(monitor, status(2, 2, claims=claims, groups={"g": STOP_FAILED}))
    task = await given(monitor, GiveOrder(Verb.CLEANUP, "g", node))
    obeyed = {1: Stamp(state.inc, state.order_number)}
    hear(monitor, status(2, 3, claims=claims, groups={"g": STOP_FAILED}, obeyed=obeyed))
    assert (await end_of(task)).startswith(told)


async def test_whether_a_node_is_on_standby_is_asked_of_that_node(monitor: Monitor) -> None:
    state = monitor.node.state
    orders.stand_by(state, on=True)
    hear(monitor, status(2, 2, obeyed={1: Stamp(state.inc, 99)}))
    reply = await end_of(await given(monitor, GiveOrder(Verb.STANDBY, node=2)))
    assert reply == "node 2 is on standby: its groups leave it, and it votes"


@pytest.mark.parametrize(
    ("level", "claims", "told"),
    [
        ("start", {"g": 4}, "g is stopped and started again on node 2, under the same claim"),
        ("start", {}, "the claim of g on node 2 ended during its restart: it starts as soon as"),
        ("stop", {}, "g is not started again: its claim on node 2 has ended, and hactl was"),
    ],
)
async def test_a_restart_whose_claim_has_ended_is_not_called_a_restart(
    monitor: Monitor, level: str, claims: dict[str, int], told: str
) -> None:
    """Whoever ends the claim acknowledges the order, which is void without it."""
    task = await given(monitor, RESTART)
    state = monitor.node.state
    state.hactl = Hactl({"g": Wish("g", level)})
    obeyed = {1: Stamp(state.inc, state.order_number)}
    hear(monitor, status(2, 2, claims=claims, groups={"g": RUNS} if claims else {}, obeyed=obeyed))
    if level == "start":
        assert (await end_of(task)).startswith(told)
        return
    with pytest.raises(HostError, match=f"^{told}"):
        await end_of(task)
