"""The monitor's tie to a clinit that is made up: what breaks, refuses or makes no sense."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from mosha.control.listener import Listener
from mosha.control.protocol import (
    Ask,
    ClinitRequest,
    Hello,
    Lease,
    Message,
    Reply,
    Subscribe,
    Update,
)
from mosha.control.server import ClientConnection, Server
from mosha.core.cluster.node import Renewal
from mosha.core.status import GroupState
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.monitor.clinit_link import PAUSES_S
from tests.monitor.tied import LIMIT_S, SHORT_S, Place, place_in
from tests.waiting import until


@pytest.fixture
async def place(short_dir: Path) -> AsyncIterator[Place]:
    async with place_in(short_dir) as made:
        yield made


# --- a made-up clinit --------------------------------------------------------------------------


Answer = Callable[[ClinitRequest, ClientConnection], list[Message]]


@contextlib.asynccontextmanager
async def made_up(place: Place, answer: Answer) -> AsyncIterator[None]:
    """Listen where clinit would, in this very process."""

    async def answers(request: ClinitRequest, client: ClientConnection) -> list[Message]:
        return answer(request, client)

    server: Server[ClinitRequest] = Server(Listener(place.clinit.socket), ClinitRequest, answers)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run)
        yield
        tasks.cancel_scope.cancel()


GROUP = GroupReport("g", "start", GroupState.DONE, "start", term=7)


def everything(*groups: GroupReport) -> list[Message]:
    return [Reply(ok=True), Update(groups=groups, full=True, pid=1, cltab_errors=("line 1",))]


async def test_a_connection_that_breaks_is_made_anew(place: Place) -> None:
    drops = [True]

    def answer(request: ClinitRequest, client: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe):
            return everything(GROUP)
        if drops.pop() if drops else False:
            client.drop("too many clients")
        return [Reply(ok=True, text="clinit 1 x")]

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        await tied.link.renew([])  # the subscription goes on, this connection is gone
        await tied.connected(2)
        assert tied.lost == 1
        assert tied.link.lost_at is None
        reply = await tied.link.tell(Tell("g", "start"))
        assert reply == Reply(ok=True, text="clinit 1 x")
        await place.untie(tied)


async def test_an_answer_that_makes_no_sense_does_not_end_the_monitor(place: Place) -> None:
    def answer(request: ClinitRequest, client: ClientConnection) -> list[Message]:
        if not isinstance(request, Subscribe):
            client.send_bytes(b'{"ok": "perhaps"}\n')
            return []
        return everything()

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        assert await tied.link.tell(Tell("g", "start")) is None
        await tied.connected(2)
        await place.untie(tied)


async def test_news_that_make_no_sense_are_told_and_the_connection_is_made_anew(
    place: Place,
) -> None:
    asked = 0

    def answer(_request: ClinitRequest, client: ClientConnection) -> list[Message]:
        nonlocal asked
        asked += 1
        if asked > 2:
            return everything()
        client.send(Reply(ok=True))
        client.send_bytes(msgspec.json.encode({"groups": 3}) + b"\n")
        return []

    async with made_up(place, answer):
        tied = place.tie()
        await until(lambda: "Expected `array`" in tied.link.trouble)
        await tied.connected()
        assert tied.link.trouble == ""
        await place.untie(tied)


async def test_a_clinit_that_refuses_is_told(place: Place) -> None:
    async with made_up(place, lambda _request, _client: [Reply(ok=False, text="go away")]):
        tied = place.tie()
        await until(lambda: "go away" in tied.link.trouble)
        await place.untie(tied)


async def test_a_clinit_that_refuses_again_and_again_is_asked_after_growing_pauses(
    place: Place,
) -> None:
    asked_at: list[float] = []

    def answer(request: ClinitRequest, _client: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe):
            asked_at.append(anyio.current_time())
        return [Reply(ok=False, text="go away")]

    async with made_up(place, answer):
        tied = place.tie()
        await until(lambda: len(asked_at) > 3)
        await place.untie(tied)
    pauses_s = [after - before for before, after in itertools.pairwise(asked_at)]
    assert all(p > least - 0.001 for p, least in zip(pauses_s, PAUSES_S, strict=False)), pauses_s


async def test_that_clinit_is_lost_is_told_once_however_often_it_is_tried_again(
    place: Place,
) -> None:
    listeners: list[ClientConnection] = []
    refused = 0

    def answer(request: ClinitRequest, client: ClientConnection) -> list[Message]:
        nonlocal refused
        if not isinstance(request, Subscribe):
            return [Reply(ok=True)]
        if not listeners:
            listeners.append(client)
            return everything(GROUP)
        refused += 1
        return [Reply(ok=False, text="go away")]

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        listeners[0].drop("as the test wants it")
        await until(lambda: refused)
        lost_at = tied.link.lost_at
        await until(lambda: refused > 2)
        assert (tied.lost, tied.link.lost_at) == (1, lost_at)
        await place.untie(tied)


async def test_a_clinit_that_closes_a_connection_is_alive_and_not_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _number: killed.append(pid))
    drops = [True]

    def answer(request: ClinitRequest, client: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe) and drops:
            drops.pop()
            client.drop("too many clients")
            return []
        return everything()

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        assert (drops, killed) == ([], [])
        await place.untie(tied)


async def test_what_is_known_is_shown_if_clinits_answer_about_everything_makes_no_sense(
    place: Place,
) -> None:
    def answer(request: ClinitRequest, client: ClientConnection) -> list[Message]:
        if isinstance(request, Ask):
            client.send_bytes(b'{"ok": "perhaps"}\n')
            return []
        return everything(GROUP)

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        assert await tied.link.everything(LIMIT_S) == {"g": GROUP}
        await place.untie(tied)


async def test_groups_come_change_and_go_as_clinit_says(place: Place) -> None:
    listeners: list[ClientConnection] = []

    def answer(request: ClinitRequest, client: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe):
            listeners.append(client)
            return everything(GROUP)
        return [Reply(ok=True)]

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        assert (tied.link.groups, tied.link.cltab_errors) == ({"g": GROUP}, ("line 1",))
        later = GroupReport("h", "plan", GroupState.STARTING, "plan")
        listeners[0].send(Update(groups=(later,), gone=("g",)))
        await until(lambda: tied.changes)
        assert (tied.link.groups, tied.link.cltab_errors) == ({"h": later}, ("line 1",))
        listeners[0].send(Update(cltab_errors=()))
        await until(lambda: tied.link.cltab_errors == ())
        await place.untie(tied)


async def test_a_renewal_does_not_wait_for_the_answers_to_tells(place: Place) -> None:
    renewed: list[Lease] = []

    def answer(request: ClinitRequest, _client: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe):
            return everything(GROUP)
        if isinstance(request, Lease):
            renewed.append(request)
        return [] if isinstance(request, Tell) else [Reply(ok=True)]

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        tells = [asyncio.ensure_future(tied.link.tell(Tell("g", "start"))) for _ in range(200)]
        await tied.link.renew([Renewal("g", 7, 11.0, 12.0)])
        assert renewed == [Lease(leases={"g": (7, 11.0, 12.0)})]
        assert not any(tell.done() for tell in tells)
        await place.untie(tied)
        assert set(await asyncio.gather(*tells)) == {None}


async def test_a_clinit_that_answers_renewals_while_a_tell_waits_is_not_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _number: killed.append(pid))

    def answer(request: ClinitRequest, _client: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe):
            return everything(GROUP)
        return [] if isinstance(request, Tell) else [Reply(ok=True)]

    async with made_up(place, answer):
        tied = place.tie(limit_s=SHORT_S)
        await tied.connected()
        tell = asyncio.ensure_future(tied.link.tell(Tell("g", "start")))
        while not tell.done():  # it is given up, as one of many that wait
            await tied.link.renew([Renewal("g", 7, 11.0, 12.0)])
        assert killed == []
        await place.untie(tied)


async def test_without_news_of_leases_a_sign_of_life_is_asked_for(place: Place) -> None:
    asked: list[ClinitRequest] = []

    def answer(request: ClinitRequest, _client: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe):
            return everything()
        asked.append(request)
        return [Reply(ok=True)]

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        await tied.link.renew([])
        await tied.link.renew([Renewal("g", 7, 11.0, 12.0)])
        assert asked == [Hello(), Lease(leases={"g": (7, 11.0, 12.0)})]
        await place.untie(tied)


async def test_what_clinit_lacks_is_known_from_its_first_news_on(place: Place) -> None:
    def answer(request: ClinitRequest, _: ClientConnection) -> list[Message]:
        if isinstance(request, Subscribe):
            return [Reply(ok=True), Update(full=True, no_cgroups="Read-only file system")]
        return [Reply(ok=True, text="clinit 1 x")]

    async with made_up(place, answer):
        tied = place.tie()
        await tied.connected()
        assert tied.link.no_cgroups == "Read-only file system"
        await place.untie(tied)


async def test_a_renewal_does_not_wait_for_the_answer_to_a_tell(place: Place) -> None:
    asked, gate = list[ClinitRequest](), asyncio.Event()

    async def answer(request: ClinitRequest, _: ClientConnection) -> list[Message]:
        asked.append(request)
        if isinstance(request, Subscribe):
            return everything()
        if isinstance(request, Tell):
            await gate.wait()
        return [Reply(ok=True)]

    server: Server[ClinitRequest] = Server(Listener(place.clinit.socket), ClinitRequest, answer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run)
        tied = place.tie()
        await tied.connected()
        tell = asyncio.create_task(tied.link.tell(Tell("g", "start")))
        await until(lambda: any(isinstance(request, Tell) for request in asked))
        renewal = asyncio.create_task(tied.link.renew([Renewal("g", 1, 2.0, 3.0)]))
        try:
            await until(lambda: asked[-1] == Lease({"g": (1, 2.0, 3.0)}))
            assert not tell.done()
        finally:
            gate.set()
            await asyncio.wait({tell, renewal})
            await place.untie(tied)
            tasks.cancel_scope.cancel()
