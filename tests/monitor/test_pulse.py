from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from mosha.clock import boottime
from mosha.core.timing import derive
from mosha.monitor import pulse
from mosha.monitor.pulse import Pulse
from tests.waiting import until


class Body:
    """A brain, a publisher and a clinit that only note what is asked of them."""

    def __init__(self, heartbeat_s: float) -> None:
        timing = derive(heartbeat_s * 10, heartbeat_s=heartbeat_s)
        self.mind = SimpleNamespace(timing=timing, displaced=False)
        self.connected = True
        self.published: list[str] = []
        self.looks = self.renewals_told = 0
        self.greedy = self.silenced = False
        parts = cast("Any", self)
        self.pulse = Pulse(
            parts,
            parts,
            parts,
            settle=lambda: None,
            published=self.after,
            look=self.look,
        )

    def next_status(self, now: float, *, left: bool = False) -> str:
        assert now <= boottime()
        return "left" if left else "up"

    def mute(self, now: float) -> bool:
        assert now <= boottime()
        return self.silenced

    def memory(self, status: str) -> str:
        return f"memory of {status}"

    async def publish(self, status: str, memory: str) -> None:
        assert memory == f"memory of {status}"  # V4b
        self.published.append(status)

    def after(self) -> None:
        if self.greedy:
            self.pulse.want_publish()

    def look(self) -> None:
        self.looks += 1

    def renewals(self, now: float) -> list[float]:
        return [now]

    async def renew(self, renewals: list[float]) -> None:
        self.renewals_told += len(renewals)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.pulse.publishing)
            tasks.start_soon(self.pulse.renewing)
            yield
            tasks.cancel_scope.cancel()


SLOW_S = 1000.0


async def test_it_publishes_looks_and_renews_without_being_asked() -> None:
    body = Body(0.02)
    async with body.beating():
        assert await until(lambda: min(len(body.published), body.looks, body.renewals_told) > 3)


async def test_what_is_asked_for_does_not_wait_for_a_heartbeat() -> None:
    body = Body(SLOW_S)
    async with body.beating():
        assert await until(lambda: body.published == ["up"])
        body.pulse.want_publish()
        assert await until(lambda: body.published == ["up", "up"])
        body.pulse.want_renewals()
        assert await until(lambda: body.renewals_told == 1)


async def test_requests_that_come_together_are_one_status() -> None:
    body = Body(SLOW_S)
    async with body.beating():
        assert await until(lambda: body.published == ["up"])
        for _ in range(5):
            body.pulse.want_publish()
        assert await until(lambda: body.published == ["up", "up"])
        body.pulse.want_publish()
        assert await until(lambda: len(body.published) > 2)
        assert len(body.published) == 3


async def test_while_much_is_published_it_is_looked_around_less_often() -> None:
    body = Body(0.5)
    body.greedy = True
    began = boottime()
    async with body.beating():
        assert await until(lambda: len(body.published) > 30)
        lasted_s = boottime() - began
    assert 1 <= body.looks <= 1 + lasted_s / (0.5 * pulse.LOOK_SOONEST)


async def test_leases_are_not_counted_with_each_vote() -> None:
    body = Body(0.2)
    began = boottime()

    def asked() -> bool:
        body.pulse.want_renewals()
        return body.renewals_told > 5

    async with body.beating():
        assert await until(asked)
    assert boottime() - began >= 5 * 0.2 / pulse.RENEWALS_PER_HEARTBEAT


@pytest.mark.parametrize("displaced", [False, True])
async def test_the_last_status_says_that_the_node_has_left(*, displaced: bool) -> None:
    body = Body(SLOW_S)
    async with body.beating():
        assert await until(lambda: body.published == ["up"])
        body.mind.displaced = displaced
        await body.pulse.last()
        body.pulse.want_publish()
        await anyio.lowlevel.checkpoint()
    assert body.published == ["up"] + ["left"] * (not displaced)


async def test_n1_a_mute_node_publishes_nothing_and_looks_all_the_same() -> None:
    body = Body(0.02)
    body.silenced = True
    async with body.beating():
        await until(lambda: body.looks >= 3)
        body.pulse.want_publish()
        await until(lambda: body.looks >= 5)
        assert body.published == []
        body.silenced = False
        await until(lambda: len(body.published) >= 2)


async def test_n1_a_mute_node_does_not_even_say_that_it_has_left() -> None:
    body = Body(SLOW_S)
    body.silenced = True
    await body.pulse.last()
    assert body.published == []
