"""Waits for an event with a time limit."""

from __future__ import annotations

import asyncio


async def set_within(event: asyncio.Event, limit_s: float) -> None:
    """Wait until the event is set; set it after `limit_s` at the latest.

    For loops that run several times a second for ever: a cancel scope with a deadline
    (`anyio.move_on_after`) costs more than their work.
    """
    if event.is_set():
        return
    timer = asyncio.get_running_loop().call_later(max(0.0, limit_s), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
