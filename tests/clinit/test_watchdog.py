"""The watchdog: fed as long as deadlines are kept, and disarmed only when nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.clinit.reset_note import ResetNote
from mosha.clinit.watchdog import Watchdog, arm
from mosha.core.supervision.group import Deadlines, GroupTimePassed
from mosha.core.supervision.supervisor import Leased
from mosha.core.tell import Tell
from mosha.core.watchdog import ArmedWatchdog
from mosha.errors import HostError
from mosha.formats.self_reset import SELF_RESET_FILE, parse_self_reset
from mosha.host.clock import boottime
from mosha.host.watchdog_device import (
    WatchdogAbility,
    WatchdogDevice,
    open_for_this_process,
)
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.clinit.fake_watchdog import FULL, FakeWatchdog
from tests.clinit.test_monitors import engine_of
from tests.waiting import pass_until, until, wait_until

CLTAB = "g:a:start:respawn:sleep 7721\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What the fake watchdog is in."""
    path = tmp_path / "watchdog"
    path.touch()
    return path


class Fed:
    """Watchdogs that are not fed any more after the test."""

    def __init__(self) -> None:
        self.made: list[tuple[Watchdog, FakeWatchdog]] = []

    async def arm(
        self,
        path: Path,
        timeout_s: int,
        ability: WatchdogAbility = FULL,
        steps_s: tuple[int, ...] = (),
    ) -> tuple[Watchdog, FakeWatchdog]:
        """Arm a fake one."""
        devices: list[FakeWatchdog] = []

        def opened(where: Path) -> FakeWatchdog:
            devices.append(FakeWatchdog(where, ability, steps_s))
            return devices[-1]

        watchdog = await arm(path, timeout_s, opened)
        self.made.append((watchdog, devices[-1]))
        return self.made[-1]


@pytest.fixture
async def fed() -> AsyncIterator[Fed]:
    found = Fed()
    yield found
    for watchdog, device in found.made:
        watchdog.end(["of the test"])
        if not device.closed:
            device.close()


def text(path: Path) -> str:
    return path.read_text(encoding="ascii")


# --- arming -------------------------------------------------------------------------------


async def test_a_time_out_that_the_device_has_shortened_is_the_one_that_counts(
    file: Path, fed: Fed
) -> None:
    watchdog, _ = await fed.arm(file, 50, steps_s=(1, 8, 64))
    assert watchdog.armed == ArmedWatchdog(str(file), 8)


async def test_it_is_fed_three_times_per_time_out_and_more(file: Path, fed: Fed) -> None:
    await fed.arm(file, 50, steps_s=(1, 64))  # asked for more than it accepts: 1 s counts
    began = boottime()
    await until(lambda: text(file).count(".") >= 5)
    assert 5 / (boottime() - began) >= 3
    assert text(file)[:3] == "o.."


async def test_a_device_whose_time_out_is_too_long_is_refused_and_disarmed(file: Path) -> None:
    with pytest.raises(HostError, match=r"has a time-out of 8 s, not 1 to 5 s"):
        await arm(file, 5, lambda path: FakeWatchdog(path, steps_s=(8, 64)))
    assert text(file) == "oV"


async def test_a_device_that_every_close_disarms_is_refused(file: Path) -> None:
    ability = WatchdogAbility("Old", sets_timeout=True, magic_close=False)
    with pytest.raises(HostError, match=r"\(Old\) is disarmed by every close"):
        await arm(file, 5, lambda path: FakeWatchdog(path, ability))
    assert text(file) == "oV"


async def test_a_device_with_a_fixed_time_out_serves_if_that_is_short_enough(
    file: Path, fed: Fed
) -> None:
    ability = WatchdogAbility("Fixed", sets_timeout=False, magic_close=True)
    watchdog, _ = await fed.arm(file, 5, ability, steps_s=(3,))
    assert watchdog.armed.timeout_s == 3


async def test_a_device_that_another_program_has_is_refused(file: Path) -> None:
    other = FakeWatchdog(file)
    with pytest.raises(HostError, match="busy; another program has it"):
        await arm(file, 5, FakeWatchdog)
    other.close()


async def test_a_device_that_a_dying_clinit_has_is_waited_for(file: Path, fed: Fed) -> None:
    other = FakeWatchdog(file)
    asyncio.get_running_loop().call_later(0.2, other.close)
    watchdog, _ = await fed.arm(file, 5)
    assert watchdog.armed.timeout_s == 5


@pytest.mark.parametrize("path", ["none", "regular", os.devnull])
async def test_what_is_no_watchdog_is_refused_and_not_written_to(tmp_path: Path, path: str) -> None:
    (tmp_path / "regular").touch()
    with pytest.raises(HostError, match=r"No such file|not a character device|not a watchdog"):
        await arm(tmp_path / path, 5, WatchdogDevice)
    assert not text(tmp_path / "regular")


def test_no_program_that_is_started_gets_the_device(file: Path) -> None:
    fd = open_for_this_process(file)
    assert not os.get_inheritable(fd)
    os.close(fd)


# --- feeding ------------------------------------------------------------------------------


async def test_it_is_not_fed_while_a_process_outlives_kill_at(
    tmp_path: Path, file: Path, fed: Fed
) -> None:
    async with engine_of(tmp_path / "s", 2, managed=False) as (engine, tracker, _):
        watchdog, _ = await fed.arm(file, 1)
        watchdog.watch(engine, ResetNote(tmp_path))
        now = boottime()
        for group in ("g0", "g1"):
            engine.happen(Tell(group, "start", 1, "", now + 60, now + 90))
        tracker.stuck = {"g0"}
        engine.happen(Leased({"g0": (1, Deadlines(now - 2, now - 1))}))
        await until(lambda: watchdog.armed.trouble)
        assert watchdog.armed.trouble == "processes of g0 have outlived kill_at"
        assert engine.watchdog == watchdog.armed  # what the monitor is told
        await until((tmp_path / SELF_RESET_FILE).exists)
        note = parse_self_reset((tmp_path / SELF_RESET_FILE).read_bytes())
        assert (note.how, note.reason, note.groups) == ("watchdog", watchdog.armed.trouble, ("g0",))
        before, looks = text(file), tracker.calls.count("alive? g0")
        with capture_logs() as lines:
            await until(lambda: tracker.calls.count("alive? g0") >= looks + 2)  # feeds were due
        assert text(file) == before
        assert [line for line in lines if line["event"] == "watchdog_not_fed"] == [], "it was told"
        tracker.stuck.clear()
        await until(lambda: not watchdog.armed.trouble)
        assert len(text(file)) > len(before)
        await until(lambda: not (tmp_path / SELF_RESET_FILE).exists())


async def test_the_engine_does_what_is_due_before_each_feed(
    tmp_path: Path, file: Path, fed: Fed
) -> None:
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, tracker, _):
        now = boottime()
        engine.happen(Tell("g0", "start", 1, "", now + 60, now + 90))
        engine.happen(Leased({"g0": (1, Deadlines(now - 2, now - 1))}))
        tracker.calls.clear()
        engine._alarm.set(None)  # as if the timer of the kernel never rang
        watchdog, _ = await fed.arm(file, 1)
        watchdog.watch(engine)
        await until(lambda: "kill g0" in tracker.calls)


async def test_an_error_of_the_engine_ends_the_feeding(
    tmp_path: Path, file: Path, fed: Fed
) -> None:
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, tracker, guarded):
        watchdog, _ = await fed.arm(file, 1)
        now = boottime()
        engine.happen(Tell("g0", "start", 1, "", now + 60, now + 90))
        tracker.fails = {"g0"}
        watchdog.watch(engine)
        engine._alarm.set(None)
        engine.happen(Leased({"g0": (1, Deadlines(now - 2, now - 1))}))
        engine._alarm.set(None)
        await until(lambda: guarded)
        timer = watchdog._timer
        assert timer is not None
        assert timer.when() <= asyncio.get_running_loop().time()  # there is no later one


async def test_a_loop_that_hangs_feeds_it_no_more(file: Path, fed: Fed) -> None:
    await fed.arm(file, 1)
    await until(lambda: text(file).count(".") >= 2)
    before = text(file)
    pass_until(boottime() + 1.0)  # the loop stands still, threads do not
    assert text(file) == before


async def test_a_feed_that_fails_is_told_and_tried_again(file: Path, fed: Fed) -> None:
    watchdog, device = await fed.arm(file, 1)
    device.fails = True
    await until(lambda: watchdog.armed.trouble)
    assert watchdog.armed.trouble == "it cannot be fed: No such device"
    device.fails = False
    await until(lambda: not watchdog.armed.trouble)


async def test_it_stays_armed_if_a_process_of_any_group_is_left(
    tmp_path: Path, file: Path, fed: Fed
) -> None:
    async with engine_of(tmp_path / "s", 2, managed=False) as (engine, tracker, _):
        for group in ("g0", "g1"):
            engine.happen(Tell(group, "start"))
        tracker.stuck = {"g1"}
        watchdog, _ = await fed.arm(file, 5)
        assert engine.left() == ["g1"]
        watchdog.end(engine.left())
        assert "V" not in text(file)
        tracker.stuck.clear()
        watchdog.end(engine.left())
        assert text(file).endswith(".V")


async def test_time_passing_alone_does_not_make_a_group_overdue(tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, tracker, _):
        now = boottime()
        engine.happen(Tell("g0", "start", 1, "", now + 60, now + 90))
        tracker.stuck = {"g0"}
        assert engine.outliving(0.0) == []
        engine.happen(Leased({"g0": (1, Deadlines(now - 2, now - 1))}))
        engine.happen(GroupTimePassed())
        assert engine.outliving(0.0) == ["g0"]
        assert engine.outliving(60.0) == []
        # New deadlines of this node's own claim: under them the process may run.
        engine.happen(Tell("g0", "start", 1, "", now + 60, now + 90))
        assert engine.outliving(0.0) == []


# --- a living clinit ----------------------------------------------------------------------


def feeds(path: Path) -> int:
    return text(path).count(".")


def with_watchdog(start: Start, file: Path) -> Daemon:
    d = start(CLTAB, watchdog=str(file), watchdog_timeout_s=1)
    d.tell("g", "start")
    d.pid_of("a")
    return d


def test_an_orderly_end_disarms_it(start_in: Start, file: Path) -> None:
    d = with_watchdog(start_in, file)
    assert d.shut_down().ok
    assert d.wait() == 0
    assert text(file).startswith("o.")
    assert text(file).endswith("V")
    assert [line["device"] for line in d.log("watchdog_disarmed")] == [str(file)]


def test_a_clinit_that_stands_still_feeds_it_no_more(start: Start, file: Path) -> None:
    d = with_watchdog(start, file)
    d.signal(signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{d.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    before = feeds(file)
    pass_until(boottime() + 1.0)
    assert feeds(file) == before
    d.signal(signal.SIGCONT)
    wait_until(lambda: feeds(file) > before)


def test_a_clinit_that_is_killed_leaves_it_armed_for_the_next_one(start: Start, file: Path) -> None:
    d = with_watchdog(start, file)
    d.kill()
    before = text(file)
    assert "V" not in before
    d.start(watchdog=str(file), watchdog_timeout_s=1)
    wait_until(lambda: feeds(file) > before.count("."))
    assert text(file).removeprefix(before).startswith("o.")


def test_no_other_process_has_it_open(start_in: Start, file: Path) -> None:
    d = with_watchdog(start_in, file)
    assert file in links_of(d.pid)
    for pid in (d.fork_server(), d.guard(), d.pid_of("a")):
        assert pid
        assert file not in links_of(pid)


def links_of(pid: int) -> set[Path]:
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(fd.readlink())
    return found


async def test_an_error_before_any_group_could_run_disarms_it(file: Path, fed: Fed) -> None:
    watchdog, _ = await fed.arm(file, 1)
    watchdog.give_up()
    assert text(file).endswith("V")


async def test_after_the_end_nothing_is_written_to_what_was_its_descriptor(
    file: Path, fed: Fed, tmp_path: Path
) -> None:
    watchdog, device = await fed.arm(file, 1)
    watchdog.end([])
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(other, device.fd)  # the number is that of another file by now
    pass_until(boottime() + 0.3)
    for _ in range(3):
        await asyncio.sleep(0)
    os.close(device.fd)
    if other != device.fd:
        os.close(other)
    assert text(file).endswith("V")
    assert text(tmp_path / "other") == ""


async def test_an_error_later_on_leaves_it_armed(tmp_path: Path, file: Path, fed: Fed) -> None:
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, _, _):
        watchdog, _ = await fed.arm(file, 1)
        watchdog.watch(engine)
        watchdog.give_up()
        before = text(file)
        pass_until(boottime() + 0.3)
        for _ in range(3):  # a timer that is due is called after who waited for this turn
            await asyncio.sleep(0)
        assert text(file) == before
        assert "V" not in before


def test_without_its_watchdog_clinit_does_not_start(daemon: Daemon) -> None:
    daemon.write_cltab(CLTAB)
    daemon.launch(watchdog=str(daemon.base / "none"), watchdog_timeout_s=5)
    assert daemon.wait() == 1
    told = daemon.stderr.read_text(encoding="utf-8")
    assert "watchdog: " in told
    assert "No such file or directory" in told
