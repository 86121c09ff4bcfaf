"""Orders of operators about fencing: what is answered, and what is left of an order in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest

from mosha.control.protocol import DisarmAll, MonitorReply, ShootNode
from mosha.control.server import ClientConnection
from mosha.core.cluster import shots
from mosha.core.cluster.events import GroupsReported
from mosha.core.cluster.fencing import Shot
from mosha.core.status import Grade
from mosha.host.clock import boottime
from mosha.monitor import fence_requests
from mosha.monitor.daemon import Monitor
from tests.core.story import INC, status
from tests.monitor.house import prepared
from tests.waiting import until


class Client:
    """Who asks, and may go away."""

    hung_up = False


@pytest.fixture
async def monitor(short_dir: Path) -> AsyncIterator[Monitor]:
    """A monitor that hears nodes 2 and 3, and does not run: an order does not begin by itself."""
    async with prepared(short_dir, nodes=(1, 2, 3)) as made:
        made.report_event(GroupsReported(full=True))
        for node in (2, 3):
            seen = status(node, timeout_ms=60_000)
            made.node.peer_read(node, seen, began=boottime(), now=boottime())
        yield made


async def shoot(monitor: Monitor, node: int = 2, client: Client | None = None) -> MonitorReply:
    asking = cast("ClientConnection", client or Client())
    return await fence_requests.answer(monitor, ShootNode(node), asking)


async def shot_meanwhile(monitor: Monitor, become: Callable[[], object]) -> MonitorReply:
    """Have node 2 shot; what happens when its order is taken up is `become`."""
    asked = monitor.node.state.asked
    order = asyncio.ensure_future(shoot(monitor))
    await until(lambda: 2 in asked)
    become()
    asked.pop(2)
    monitor.announce()
    return await order


def shot(monitor: Monitor, at: float, outcome: str) -> None:
    made = Shot(2, INC, at, outcome, "fence_x", "said so", Grade.OFF_CONFIRMED)
    monitor.node.state.shots[2] = made


async def test_an_order_that_did_not_begin_in_time_does_not_begin_later(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shots, "ASKED_S", 0.05)
    reply = await shoot(monitor)
    assert (reply.ok, reply.tried) == (False, False)
    assert reply.text.startswith("node 2 was not shot: ")
    assert monitor.node.state.asked == {}


async def test_who_has_gone_away_has_nobody_shot(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shots, "ASKED_S", 3600.0)
    client = Client()
    order = asyncio.ensure_future(shoot(monitor, client=client))
    await until(lambda: 2 in monitor.node.state.asked)
    client.hung_up = True
    assert not (await asyncio.wait_for(order, 60.0)).ok
    assert monitor.node.state.asked == {}


async def test_a_shot_of_before_is_not_what_an_order_has_come_to(monitor: Monitor) -> None:
    shot(monitor, boottime() - 100, "receipt")
    reply = await shot_meanwhile(monitor, lambda: None)
    assert (reply.ok, reply.tried) == (False, False)
    assert reply.text.startswith("node 2 was not shot from here: ")


@pytest.mark.parametrize(
    ("outcome", "ok", "text"),
    [
        ("receipt", True, "node 2 was shot: fence_x, off-confirmed: said so; it counts as dead"),
        ("no receipt", False, "the shot at node 2 came to: no receipt (fence_x: said so)"),
        ("failed", False, "the shot at node 2 came to: failed (fence_x: said so)"),
    ],
)
async def test_only_a_receipt_is_a_success(
    monitor: Monitor, outcome: str, text: str, *, ok: bool
) -> None:
    reply = await shot_meanwhile(monitor, lambda: shot(monitor, boottime(), outcome))
    assert (reply.ok, reply.tried) == (ok, not ok)
    assert reply.text.startswith(text)


@pytest.mark.parametrize(
    ("node", "why"), [(1, "node 1 does not shoot itself"), (9, "node 9 was never seen")]
)
async def test_what_may_not_be_shot_is_refused_at_once(
    monitor: Monitor, node: int, why: str
) -> None:
    reply = await shoot(monitor, node)
    assert (reply.ok, reply.text[: len(why)]) == (False, why)
    assert monitor.node.state.asked == {}


@pytest.mark.parametrize("for_s", [-1.0, fence_requests.DISARM_MAX_S + 1, float("nan")])
async def test_nobody_disarms_for_longer_than_a_week(monitor: Monitor, for_s: float) -> None:
    asking = cast("ClientConnection", Client())
    reply = await fence_requests.answer(monitor, DisarmAll(for_s, "x"), asking)
    assert (reply.ok, reply.text) == (False, "write a time of at most 7d")
    assert monitor.node.state.disarmed is None
