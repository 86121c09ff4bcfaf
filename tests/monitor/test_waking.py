from __future__ import annotations

import asyncio

from mosha.host.waking import set_within


async def test_it_returns_when_the_event_is_set() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(set_within(event, 1000.0))
    await asyncio.sleep(0)
    event.set()
    await waiting
    assert event.is_set()


async def test_the_event_is_set_when_the_time_is_over() -> None:
    event = asyncio.Event()
    await set_within(event, 0.01)
    assert event.is_set()
    event.clear()
    await set_within(event, -1.0)
    assert event.is_set()
