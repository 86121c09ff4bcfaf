"""Waits for an event, but not for ever."""

from __future__ import annotations

import asyncio


async def set_within(event: asyncio.Event, limit_s: float) -> None:
    """Wait until the event is set; it is after `limit_s` at the latest.

    For loops that turn several times a second all their lives: a scope with a deadline
    (`anyio.move_on_after`) costs them more than what they do in between.
    """
    if event.is_set():
        return
    timer = asyncio.get_running_loop().call_later(max(0.0, limit_s), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
