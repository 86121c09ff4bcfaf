from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

import pytest

from mosha.host.clock import boottime
from mosha.monitor.loop_clock import LoopClock
from tests.waiting import until


class Sleeper:
    """Somebody who is woken, and says when."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.woken: list[float] = []

    def wake(self) -> None:
        self.woken.append(boottime())


@pytest.fixture
async def sleeper() -> AsyncIterator[Sleeper]:
    made = Sleeper()
    task = asyncio.ensure_future(made.clock.run(made.wake))
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_it_wakes_at_the_time_and_not_before(sleeper: Sleeper) -> None:
    when = boottime() + 0.05
    sleeper.clock.wake_at(when)
    await until(lambda: sleeper.woken)
    assert sleeper.woken[0] >= when - 0.001
    assert len(sleeper.woken) == 1


async def test_an_earlier_time_replaces_a_later_one(sleeper: Sleeper) -> None:
    sleeper.clock.wake_at(boottime() + 1000)
    sleeper.clock.wake_at(-math.inf)
    await until(lambda: sleeper.woken)
    sleeper.clock.wake_at(boottime() + 0.02)
    await until(lambda: len(sleeper.woken) == 2)


async def test_what_is_due_many_times_is_done_once(sleeper: Sleeper) -> None:
    for _ in range(10):
        sleeper.clock.wake_at(-math.inf)
    await until(lambda: sleeper.woken)
    await asyncio.sleep(0)
    assert len(sleeper.woken) == 1


async def test_an_error_is_not_lost_in_the_loop() -> None:
    clock = LoopClock()
    clock.wake_at(-math.inf)

    def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await clock.run(fail)


async def test_chance_and_time_are_those_of_the_machine() -> None:
    clock = LoopClock()
    assert 0 <= clock.chance() < 1
    assert clock.chance() != clock.chance()
    before = boottime()
    assert before <= clock.now() <= boottime()
