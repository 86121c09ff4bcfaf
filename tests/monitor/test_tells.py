"""One coroutine for each group hands its orders to clinit and reports the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from mosha.control.protocol import Reply
from mosha.core.cluster.events import Event, TellAnswered
from mosha.core.tell import Tell
from mosha.monitor.tells import Tells
from tests.waiting import until


class Clinit:
    """A clinit that answers a group when its gate is open."""

    def __init__(self) -> None:
        self.heard: list[Tell] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.reply: Reply | None = Reply(ok=True)

    async def tell(self, message: Tell) -> Reply | None:
        self.heard.append(message)
        if gate := self.gates.get(message.group):
            await gate.wait()
        return self.reply


class Desk:
    """Tells that live, and what they report."""

    def __init__(self) -> None:
        self.clinit = Clinit()
        self.reported: list[Event] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.tells = Tells(cast("Any", self.clinit), self.start, self.reported.append)

    def start(self, work: Any, *args: object) -> None:
        self.tasks.append(asyncio.ensure_future(work(*args)))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_an_order_is_handed_over_whole_and_its_answer_reported(
    desk: Desk,
) -> None:
    made, tells = desk, desk.tells
    order = Tell("web", "start", 7, "3", 10.0, 12.0)
    tells.tell(order)
    await until(lambda: made.reported)
    assert made.clinit.heard == [order]
    assert made.reported == [TellAnswered("web", "start")]


@pytest.mark.parametrize(
    ("reply", "refusal"), [(Reply(ok=False, text="no such group"), "no such group"), (None, "")]
)
async def test_a_refusal_comes_with_its_reason_and_no_answer_is_none(
    desk: Desk, reply: Reply | None, refusal: str
) -> None:
    made, tells = desk, desk.tells
    made.clinit.reply = reply
    tells.tell(Tell("web", "stop", 7))
    await until(lambda: made.reported)
    assert made.reported == [TellAnswered("web", "stop", refusal)]


async def test_groups_do_not_wait_for_each_other_and_have_one_coroutine_each(
    desk: Desk,
) -> None:
    made, tells = desk, desk.tells
    gate = made.clinit.gates["slow"] = asyncio.Event()
    tells.tell(Tell("slow", "plan", 1))
    tells.tell(Tell("web", "plan", 2))
    await until(lambda: made.reported)
    assert made.reported == [TellAnswered("web", "plan")]
    gate.set()
    await until(lambda: len(made.reported) == 2)
    tells.tell(Tell("web", "test", 2))
    await until(lambda: len(made.reported) == 3)
    assert len(made.tasks) == 2
