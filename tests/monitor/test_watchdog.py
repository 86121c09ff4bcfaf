"""The watchdog of a node as its monitor sees it: required at the start, shown in the status."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from mosha.control.protocol import Update
from mosha.core.watchdog import ArmedWatchdog
from mosha.errors import HostError
from mosha.formats.hastat import WatchdogReport
from mosha.monitor.clinit_place import ClinitPlace
from tests.monitor.house import at_home, link, prepared, settings
from tests.waiting import until

ARMED = ArmedWatchdog("/dev/watchdog", 5)


async def test_a_monitor_does_not_start_without_the_watchdog_that_is_set(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"watchdog: .*No such file.*; correct watchdog in mosha"):
        async with prepared(tmp_path, watchdog=str(tmp_path / "none")):
            raise AssertionError


def test_clinit_is_started_with_the_watchdog_and_the_longest_time_out(tmp_path: Path) -> None:
    made = settings(tmp_path, timeout=60.0, watchdog="/dev/watchdog")
    words = " ".join(ClinitPlace.of(made, 1).command())
    assert "--watchdog /dev/watchdog --watchdog-timeout 5" in words
    own = replace(made, watchdog_timeout=9)
    assert "--watchdog-timeout 9" in " ".join(ClinitPlace.of(own, 1).command())
    assert "--watchdog" not in " ".join(ClinitPlace.of(settings(tmp_path), 1).command())


def test_clinit_is_started_with_what_it_does_about_a_group_that_it_cannot_end(
    tmp_path: Path,
) -> None:
    made = settings(tmp_path, timeout=60.0, self_fence="/bin/off -f", on_stop_failure="fence")
    words = ClinitPlace.of(made, 1).command()
    at = words.index("--self-fence")
    told = ["--self-fence", "/bin/off -f", "--self-fence-after", "2.700"]
    assert words[at : at + 6] == [*told, "--on-stop-failure", "fence"]
    assert "--self-fence" not in ClinitPlace.of(settings(tmp_path), 1).command()


async def test_what_clinit_says_of_its_watchdog_is_in_the_status(short_dir: Path) -> None:
    async with at_home(short_dir) as house:
        monitor = house.monitor
        assert monitor.report().watchdog is None
        assert not monitor.troubles
        monitor.settings = replace(monitor.settings, watchdog="/dev/watchdog", watchdog_timeout=5)
        (trouble,) = monitor.troubles
        assert trouble.startswith("the watchdog /dev/watchdog is not armed; ")
        link(monitor)._take(Update(watchdog=ARMED))
        assert not monitor.troubles
        found = monitor.report().watchdog
        assert found == WatchdogReport(device="/dev/watchdog", timeout_s=5.0, fed=True)
        link(monitor)._take(Update(watchdog=replace(ARMED, trouble="why")))
        (trouble,) = monitor.troubles
        assert trouble.startswith("the watchdog /dev/watchdog is not fed: why; ")
        report = monitor.report()
        assert report.watchdog is not None
        assert not report.watchdog.fed
        assert trouble in report.problems
        monitor.settings = replace(monitor.settings, watchdog="", watchdog_timeout=None)
        link(monitor)._take(Update(watchdog=ARMED))
        os.kill(monitor.clinit.pid, signal.SIGKILL)
        await until(lambda: not monitor.clinit.reported)
        assert monitor.report().watchdog is None  # of a clinit that is gone nothing is known
        await until(lambda: monitor.clinit.reported)
