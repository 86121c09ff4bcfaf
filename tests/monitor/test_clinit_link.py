"""The monitor's tie to a real clinit: started, heard, asked, killed if it hangs (H6.8)."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from mosha.control.protocol import Reply
from mosha.core.cluster.node import Renewal
from mosha.core.tell import Tell
from mosha.host.clock import boottime
from mosha.monitor import clinit_link
from tests.monitor.tied import CLTAB, ROOT, SHORT_S, STEP_S, Place, Tied, place_in
from tests.waiting import until


@pytest.fixture
async def place(short_dir: Path) -> AsyncIterator[Place]:
    async with place_in(short_dir) as made:
        yield made


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
        "from mosha.monitor.clinit_link import ClinitLink\n"
        "from mosha.monitor.clinit_place import ClinitPlace\n"
        "async def main():\n"
        "    d = Path(sys.argv[1])\n"
        "    place = ClinitPlace(d / 'clinit.s', d / 'cltab', d / 'state', 1)\n"
        "    link = ClinitLink(place, limit_s=3, report=print)\n"
        "    task = asyncio.ensure_future(link.run())\n"
        "    await link.known()\n"
        "    (d / 'pid').write_text(str(link.pid))\n"
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
    assert tied.pids[1] != tied.pids[0]
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
    assert not alive(tied.pids[0]) or tied.pids[1] != tied.pids[0]
    await until(lambda: not alive(process))


async def test_a_clinit_that_answers_others_is_busy_and_not_hung(place: Place) -> None:
    tied = place.tie(limit_s=SHORT_S)
    await tied.connected()
    waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(waiting)
    lives = asyncio.ensure_future(tied.link._lives(task))  # type: ignore[arg-type]
    await start_g(tied)
    assert await lives
    waiting.cancel()


async def test_a_clinit_that_hangs_is_killed_once_for_all_that_wait(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    tied = place.tie(limit_s=SHORT_S)
    await tied.connected()
    await start_g(tied)
    os.kill(tied.pid, signal.SIGSTOP)
    tells = [tied.link.tell(Tell("g", "start", term=7)) for _ in range(20)]
    assert set(await asyncio.gather(*tells)) == {None}
    await tied.connected(2)
    out, err = capfd.readouterr()
    assert (out + err).count("clinit_hung") == 1


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


async def test_the_connection_for_tells_is_used_before_clinit_ends_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinit_link, "KEEP_S", 0.01)
    tied = place.tie()
    await tied.connected()
    before = tied.link._asked_at
    await until(lambda: tied.link._asked_at > before)
    assert tied.link.connected
    told = tied.link._told_at
    await start_g(tied)
    assert tied.link._told_at > told


async def test_shutting_down_ends_clinit_though_the_connection_for_tells_has_ended(
    place: Place,
) -> None:
    tied = place.tie()
    await tied.connected()
    process = await start_g(tied)
    assert tied.link._client is not None
    await tied.link._client.close()
    await tied.link.shut_down()
    assert not alive(process)
    assert tied.link._processes[0].poll() == 0


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


async def test_a_host_that_starts_no_process_is_reported_and_asked_again(place: Place) -> None:
    too_long = replace(place.clinit, cltab=Path("/" + "x" * 200_000))  # E2BIG, as EAGAIN would be
    tied = Tied(too_long, STEP_S)
    place.tied.append(tied)
    await until(lambda: tied.link.trouble)
    assert (
        tied.link.trouble == "clinit does not answer: cannot start clinit: Argument list too long"
    )
    tied.link._place = place.clinit
    await tied.connected()
    assert tied.link.trouble == ""
