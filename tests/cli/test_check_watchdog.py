"""`mosha check` of a watchdog: what it can say without opening it, which would arm it."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from mosha.cli.check.watchdog import watchdog_findings
from mosha.control.protocol import Reply, Update
from mosha.core.watchdog import ArmedWatchdog
from mosha.formats.settings import Settings, settings_from
from tests.cli.conftest import Home, Mosha

DEVICE = "/dev/null"  # a character device that everybody has; nothing here opens it
NAMES = {"identity": "iTCO_wdt", "state": "inactive", "nowayout": "0"}


def settings(tmp_path: Path, **more: object) -> Settings:
    return settings_from({"watchdog": DEVICE, "rundir": str(tmp_path / "run"), **more}, "test")


def sysfs(tmp_path: Path, **names: str) -> Path:
    """Return a directory with what the kernel says of a device."""
    number = Path(DEVICE).stat().st_rdev
    place = tmp_path / "sys" / f"dev/char/{os.major(number)}:{os.minor(number)}"
    place.mkdir(parents=True)
    for name, value in (NAMES | names).items():
        (place / name).write_text(f"{value}\n")
    return tmp_path / "sys"


def test_nothing_is_said_without_one(tmp_path: Path) -> None:
    assert watchdog_findings(Settings(), tmp_path) == []


def test_a_device_that_will_do_is_told_with_its_name_and_time_out(tmp_path: Path) -> None:
    (found,) = watchdog_findings(settings(tmp_path), sysfs(tmp_path))
    told = "/dev/null (iTCO_wdt): time-out 5 s, armed by clinit when it starts"
    assert (found.level, found.text) == ("ok", told)


def test_a_kernel_that_says_nothing_of_it_will_do(tmp_path: Path) -> None:
    (found,) = watchdog_findings(settings(tmp_path), tmp_path)
    assert found.text == "/dev/null: time-out 5 s, armed by clinit when it starts"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"state": "active"}, "it is armed already, and not by this node's clinit"),
        ({"nowayout": "1"}, "cannot be disarmed (nowayout)"),
    ],
)
def test_what_will_surprise_is_warned_of(tmp_path: Path, names: dict[str, str], told: str) -> None:
    (found,) = watchdog_findings(settings(tmp_path), sysfs(tmp_path, **names))
    assert found.level == "warning"
    assert told in found.text


@pytest.mark.parametrize(("name", "told"), [("none", "No such file"), ("x", "not a character dev")])
def test_what_cannot_be_one_is_a_mistake(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "x").touch()
    (found,) = watchdog_findings(settings(tmp_path, watchdog=str(tmp_path / name)), tmp_path)
    assert found.level == "mistake"
    assert told in found.text


@contextmanager
def clinit(rundir: Path, armed: ArmedWatchdog | None) -> Iterator[None]:
    """Answer one question as a clinit that has armed a watchdog, or none."""
    rundir.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(rundir / "clinit.s"))
        listener.listen()

        def answer() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                update = Update(full=True, pid=os.getpid(), watchdog=armed)
                line.sendall(msgspec.json.encode(Reply(ok=True, update=update)) + b"\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("armed", "told"),
    [
        (None, "mistake: the watchdog /dev/null is not armed; end clinit, so that one is started"),
        (ArmedWatchdog(DEVICE, 5, "no answer"), "mistake: the watchdog /dev/null is not fed: no"),
        (ArmedWatchdog("/dev/zero", 5), "mistake: the watchdog /dev/zero is armed, and the settin"),
        (ArmedWatchdog(DEVICE, 9), "mistake: the watchdog /dev/null has a time-out of 9 s, and th"),
        (ArmedWatchdog(DEVICE, 5), "ok: /dev/null (iTCO_wdt): time-out 5 s, armed"),
    ],
)
def test_what_the_clinit_of_this_node_has_armed_is_compared_with_the_settings(
    tmp_path: Path, short_dir: Path, armed: ArmedWatchdog | None, told: str
) -> None:
    """That its own device is in use is nothing to warn of."""
    state = "active" if armed else "inactive"
    with clinit(short_dir / "run", armed):
        made = settings(tmp_path, rundir=str(short_dir / "run"))
        (found,) = watchdog_findings(made, sysfs(tmp_path, state=state))
    assert f"{found.level}: {found.text}".startswith(told)


@pytest.mark.root("makes a device")
def test_the_older_name_of_the_first_watchdog_is_looked_up_as_that(tmp_path: Path) -> None:
    device = tmp_path / "watchdog"
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(10, 130))
    place = tmp_path / "sys/class/watchdog/watchdog0"
    place.mkdir(parents=True)
    (place / "nowayout").write_text("1\n")
    (found,) = watchdog_findings(settings(tmp_path, watchdog=str(device)), tmp_path / "sys")
    assert "cannot be disarmed (nowayout)" in found.text


def test_the_sums_are_printed_with_the_others(mosha: Mosha, home: Home) -> None:
    with home.config.open("a") as config:
        config.write(f'watchdog = "{DEVICE}"\n')
    said = mosha("check", "-v").out
    assert "5 s  watchdog: W: from the last feed" in said
    assert "59 s  a machine whose clinit hangs is reset: L + D + W, at most 0.99 T" in said
    assert "ok: watchdog: /dev/null" in said


def test_a_time_out_of_ones_own_may_be_too_long_with_a_warning(mosha: Mosha, home: Home) -> None:
    with home.config.open("a") as config:
        config.write(f'watchdog = "{DEVICE}"\nwatchdog_timeout = 10\n')
    said = mosha("check").out
    assert "warning: times: if clinit hangs, the watchdog resets this machine 64 s after" in said
    assert said.splitlines()[-1].startswith("0 mistakes, ")
