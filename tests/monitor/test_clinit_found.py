"""A monitor finds the clinit that lives although its socket is gone (FINDINGS B3)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.errors import HostError
from mosha.formats.settings import Settings
from mosha.host.lock_file import CLINIT_LOCK
from mosha.monitor import clinit_link
from mosha.monitor.clinit_place import ClinitPlace, living_clinit
from tests.monitor.tied import Place, Tied, place_in
from tests.replacing import remove_tree
from tests.waiting import until


@pytest.fixture
async def place(short_dir: Path) -> AsyncIterator[Place]:
    async with place_in(short_dir) as made:
        yield made


def remove(path: Path) -> None:
    path.unlink()


def started(place: Place) -> int:
    """Count the clinits that the links of this place have started."""
    return sum(len(tied.link._processes) for tied in place.tied)


async def abandoned(place: Place) -> Tied:
    """Have a clinit whose monitor is gone, and whose socket is."""
    tied = place.tie()
    await tied.connected()
    await place.untie(tied)
    return tied


async def test_a_new_monitor_waits_for_a_living_clinit_whose_socket_was_removed(
    place: Place,
) -> None:
    tied = await abandoned(place)
    assert living_clinit(place.clinit.state_dir) == tied.pid
    remove(place.clinit.socket)
    again = place.tie()
    await again.connected()
    assert (again.pid, started(place)) == (tied.pid, 1)


def test_clinit_gets_no_signal_of_the_terminal_of_its_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, object]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda _, **how: started.append(how))
    ClinitPlace(tmp_path / "s", tmp_path / "cltab", tmp_path, 1).start()
    assert started == [{"stdin": subprocess.DEVNULL, "start_new_session": True}]


def test_clinit_logs_as_much_as_its_monitor() -> None:
    assert ClinitPlace.of(Settings(log_level="debug"), 1).debug
    assert not ClinitPlace.of(Settings(), 1).debug


def test_that_nobody_can_look_for_clinit_does_not_mean_that_there_is_none(tmp_path: Path) -> None:
    (tmp_path / CLINIT_LOCK).mkdir()
    with pytest.raises(HostError, match=f"cannot look for clinit in {tmp_path}: Is a directory"):
        living_clinit(tmp_path)


async def test_a_clinit_that_makes_no_socket_any_more_is_ended_and_another_one_started(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinit_link, "RESTORE_LOOKS", 5)
    tied = await abandoned(place)
    os.kill(tied.pid, signal.SIGSTOP)
    remove(place.clinit.socket)
    again = place.tie()
    await again.connected()
    assert again.pid != tied.pid
    assert started(place) == 2


async def test_a_clinit_that_ends_meanwhile_is_not_waited_for(place: Place) -> None:
    tied = await abandoned(place)
    os.kill(tied.pid, signal.SIGSTOP)
    remove(place.clinit.socket)
    with capture_logs() as log:
        again = place.tie()
        await until(lambda: any(line["event"] == "clinit_unreachable" for line in log))
        os.kill(tied.pid, signal.SIGKILL)
        await again.connected()
    assert again.pid != tied.pid
    reasons = [line["reason"] for line in log if line["event"] == "clinit_failed"]
    assert f"clinit {tied.pid} ended" in reasons
    assert "clinit_hung" not in {line["event"] for line in log}


async def test_a_whole_run_directory_that_is_removed_is_made_again(place: Place) -> None:
    tied = place.tie()
    await tied.connected()
    remove_tree(place.clinit.state_dir)
    remove(place.clinit.socket)
    record = place.clinit.state_dir / "children.json"
    await until(lambda: record.is_file() and place.clinit.socket.is_socket())
    assert living_clinit(place.clinit.state_dir) == tied.pid
    await place.untie(tied)
    again = place.tie()
    await again.connected()
    assert (again.pid, started(place)) == (tied.pid, 1)
