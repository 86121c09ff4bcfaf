"""The monitor's tie to clinit: started, heard, asked, started again, killed if it hangs (H6.8)."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import msgspec
import pytest

from mosha.clock import boottime
from mosha.control.address import listen
from mosha.control.protocol import (
    ClinitRequest,
    GroupReport,
    Hello,
    Lease,
    Message,
    Reply,
    Subscribe,
    Tell,
    Update,
)
from mosha.control.server import Client, Server
from mosha.core.node import Renewal
from mosha.core.status import GroupState
from mosha.monitor.clinit_link import ClinitLink, ClinitPlace
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LIMIT_S = 3.0
SHORT_S = 0.2
STEP_S = 30.0
CLTAB = "g:t:start:respawn:sleep 1000\n"


class Tied:
    """A link that runs, and what it told: everything, changes, losses."""

    def __init__(self, place: ClinitPlace, limit_s: float) -> None:
        self.full: list[Update] = []
        self.changes: list[Update] = []
        self.lost = 0
        self.link = ClinitLink(
            place,
            limit_s=limit_s,
            on_full=self.full.append,
            on_update=self.changes.append,
            on_lost=self._lose,
        )
        self.task = asyncio.ensure_future(self.link.run())

    def _lose(self) -> None:
        self.lost += 1

    @property
    def pid(self) -> int:
        return self.full[-1].pid if self.full else 0

    async def connected(self, times: int = 1) -> None:
        """Wait until everything was told so many times."""
        await until(lambda: len(self.full) >= times and self.link.connected)


@dataclass
class Place:
    """A directory for one clinit, and all links and clinits that a test makes there."""

    directory: Path
    tied: list[Tied] = field(default_factory=list)

    @property
    def clinit(self) -> ClinitPlace:
        return ClinitPlace(
            self.directory / "clinit.s", self.directory / "cltab", self.directory / "state", 1
        )

    def tie(self, limit_s: float = LIMIT_S) -> Tied:
        """Make a link and let it run."""
        tied = Tied(self.clinit, limit_s)
        self.tied.append(tied)
        return tied

    async def untie(self, tied: Tied) -> None:
        """End a link as the end of its monitor does; clinit is not asked."""
        tied.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tied.task


@pytest.fixture
async def place(short_dir: Path) -> AsyncIterator[Place]:
    (short_dir / "cltab").write_text(CLTAB)
    (short_dir / "state").mkdir()
    made = Place(short_dir)
    yield made
    for tied in made.tied:
        await made.untie(tied)
    for process in (child for tied in made.tied for child in tied.link._processes):
        process.kill()
        process.wait()


def state_of(tied: Tied) -> str:
    report = tied.link.groups.get("g")
    return f"{report.level} {report.state}" if report else ""


def pid_of(tied: Tied) -> int:
    return next((entry.pid for entry in tied.link.groups["g"].entries), 0)


async def start_g(tied: Tied) -> int:
    """Bring the group to `start`; returns the pid of its process."""
    now = boottime()
    reply = await tied.link.tell(
        Tell("g", "start", term=7, stop_at=now + STEP_S, kill_at=now + 2 * STEP_S, node="1")
    )
    assert reply is not None
    assert reply.ok, reply.text
    await until(lambda: state_of(tied) == "start DONE" and pid_of(tied))
    return pid_of(tied)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# --- a real clinit -----------------------------------------------------------------------------


async def test_clinit_is_started_where_nobody_answers_and_tells_everything(place: Place) -> None:
    tied = place.tie()
    await tied.link.known()
    assert tied.full[0].full
    assert tied.link.connected
    assert (tied.link.groups, tied.link.trouble) == ({}, "")


async def test_a_tell_is_answered_and_each_change_is_heard(place: Place) -> None:
    tied = place.tie()
    await tied.connected()
    assert alive(await start_g(tied))
    states = [f"{g.level} {g.state}" for u in tied.changes for g in u.groups]
    assert states[-1] == "start DONE"
    reply = await tied.link.tell(Tell("nonsense", "start", term=1))
    assert reply is not None
    assert not reply.ok


async def test_renewed_deadlines_reach_clinit(place: Place) -> None:
    tied = place.tie()
    await tied.connected()
    await start_g(tied)
    stop_at = boottime() + 2 * STEP_S
    await tied.link.renew([Renewal("g", 7, stop_at, stop_at + STEP_S)])
    second = place.tie()
    await second.connected()
    assert second.link.groups["g"].stop_at == stop_at


async def test_a_new_monitor_finds_what_runs_and_the_end_of_one_touches_nothing(
    place: Place,
) -> None:
    tied = place.tie()
    await tied.connected()
    pid = await start_g(tied)
    await place.untie(tied)
    again = place.tie()
    await again.connected()
    assert state_of(again) == "start DONE"
    assert again.link.groups["g"].entries[0].pid == pid
    assert again.pid == tied.pid


def test_clinit_survives_a_monitor_that_ends_with_an_error(short_dir: Path) -> None:
    # asyncio kills the subprocesses it knows of when its loop goes.
    (short_dir / "cltab").write_text(CLTAB)
    (short_dir / "state").mkdir()
    program = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from mosha.monitor.clinit_link import ClinitLink, ClinitPlace\n"
        "async def main():\n"
        "    d = Path(sys.argv[1])\n"
        "    place = ClinitPlace(d / 'clinit.s', d / 'cltab', d / 'state', 1)\n"
        "    link = ClinitLink(place, limit_s=3,\n"
        "                      on_full=lambda update: (d / 'pid').write_text(str(update.pid)),\n"
        "                      on_update=print, on_lost=print)\n"
        "    task = asyncio.ensure_future(link.run())\n"
        "    await link.known()\n"
        "    raise RuntimeError('a bug')\n"
        "asyncio.run(main())\n"
    )
    run = [sys.executable, "-c", program, str(short_dir)]
    with (short_dir / "log").open("wb") as log:  # clinit has it, too, and lives on
        ended = subprocess.run(run, check=False, cwd=ROOT, stdout=log, stderr=log)
    assert ended.returncode == 1
    pid = int((short_dir / "pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_h6_8_a_clinit_that_is_killed_is_started_again_at_once(place: Place) -> None:
    tied = place.tie()
    await tied.connected()
    process = await start_g(tied)
    os.kill(tied.pid, signal.SIGKILL)
    await tied.connected(2)
    assert tied.lost == 1
    assert tied.full[1].pid != tied.full[0].pid
    assert tied.link.groups == {}
    await until(lambda: not alive(process))
    await start_g(tied)


async def test_a_clinit_that_hangs_is_killed_and_started_again(place: Place) -> None:
    tied = place.tie(limit_s=SHORT_S)
    await tied.connected()
    process = await start_g(tied)
    os.kill(tied.pid, signal.SIGSTOP)
    tied.link._asked_at = -math.inf  # it has not been asked anything for a while
    await tied.link.renew([])
    await tied.connected(2)
    assert not alive(tied.full[0].pid) or tied.full[1].pid != tied.full[0].pid
    await until(lambda: not alive(process))


async def test_a_clinit_that_has_just_been_asked_is_not_asked_whether_it_lives(
    place: Place,
) -> None:
    tied = place.tie(limit_s=SHORT_S)
    await tied.connected()
    await start_g(tied)
    tied.link._asked_at = asked_at = anyio.current_time()
    await tied.link.renew([])
    assert tied.link._asked_at == asked_at


async def test_a_clinit_that_hangs_when_the_monitor_starts_is_killed_too(place: Place) -> None:
    tied = place.tie()
    await tied.connected()
    await place.untie(tied)
    os.kill(tied.pid, signal.SIGSTOP)
    again = place.tie(limit_s=SHORT_S)
    await again.connected()
    assert again.pid != tied.pid


async def test_shutting_down_ends_clinit_and_waits_until_it_is_gone(place: Place) -> None:
    tied = place.tie()
    await tied.connected()
    process = await start_g(tied)
    await tied.link.shut_down()
    assert not alive(process)
    assert tied.link._processes[0].poll() == 0
    await tied.task
    assert (len(tied.full), tied.lost) == (1, 0)


async def test_shutting_down_while_clinit_is_being_started_ends_it_all_the_same(
    place: Place,
) -> None:
    tied = place.tie()
    await until(lambda: tied.link._processes)
    await tied.link.shut_down()
    (process,) = tied.link._processes
    await until(lambda: process.poll() is not None)
    assert tied.full == []


async def test_a_monitor_that_ends_while_clinit_starts_leaves_none_behind(place: Place) -> None:
    tied = place.tie()
    await until(lambda: tied.link._processes)
    await place.untie(tied)
    (process,) = tied.link._processes
    assert process.wait(STEP_S) == -signal.SIGKILL


async def test_a_clinit_that_cannot_start_is_told_and_tried_again(place: Place) -> None:
    (place.directory / "state").rmdir()
    (place.directory / "state").touch()
    tied = place.tie()
    await until(lambda: len(tied.link._processes) > 1 or "at its start" in tied.link.trouble)
    assert tied.link.trouble.startswith("clinit does not answer: clinit ended with status")
    assert tied.lost == 0  # it was never there
    assert await tied.link.tell(Tell("g", "start")) is None
    (place.directory / "state").unlink()
    (place.directory / "state").mkdir()
    await tied.connected()
    assert tied.link.trouble == ""


# --- a made-up clinit --------------------------------------------------------------------------


Answer = Callable[[ClinitRequest, Client], list[Message]]


@contextlib.asynccontextmanager
async def made_up(place: Place, answer: Answer) -> AsyncIterator[None]:
    """Listen where clinit would, in this very process."""

    async def answers(request: ClinitRequest, client: Client) -> list[Message]:
        return answer(request, client)

    server: Server[ClinitRequest] = Server(listen(place.clinit.socket), ClinitRequest, answers)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run)
        yield
        tasks.cancel_scope.cancel()


GROUP = GroupReport("g", "start", GroupState.DONE, "start", term=7)


def everything(*groups: GroupReport) -> list[Message]:
    return [Reply(ok=True), Update(groups=groups, full=True, pid=1, cltab_errors=("line 1",))]


async def test_a_connection_that_breaks_is_made_anew(place: Place) -> None:
    drops = [True]

    def answer(request: ClinitRequest, client: Client) -> list[Message]:
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
        reply = await tied.link.tell(Tell("g", "start"))
        assert reply == Reply(ok=True, text="clinit 1 x")
        await place.untie(tied)


async def test_an_answer_that_makes_no_sense_does_not_end_the_monitor(place: Place) -> None:
    def answer(request: ClinitRequest, client: Client) -> list[Message]:
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

    def answer(_request: ClinitRequest, client: Client) -> list[Message]:
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


async def test_groups_come_change_and_go_as_clinit_says(place: Place) -> None:
    listeners: list[Client] = []

    def answer(request: ClinitRequest, client: Client) -> list[Message]:
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


async def test_without_news_of_leases_a_sign_of_life_is_asked_for(place: Place) -> None:
    asked: list[ClinitRequest] = []

    def answer(request: ClinitRequest, _client: Client) -> list[Message]:
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
