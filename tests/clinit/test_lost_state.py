"""A state directory that somebody removes, replaces or makes unusable under a living clinit."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from mosha.clinit.state_dir import SESSIONS
from mosha.host.clock import boottime
from mosha.host.lock_file import CLINIT_LOCK, CLINIT_RECORD, LockFile, holder_of
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.waiting import wait_until


def state_of(d: Daemon) -> Path:
    return d.base / "state"


def open_files(d: Daemon) -> int:
    return len(os.listdir(f"/proc/{d.pid}/fd"))  # noqa: PTH208


def logged(d: Daemon, event: str, times: int) -> bool:
    return len(d.log(event)) == times


def lose(d: Daemon, times: int) -> None:
    """Remove the directory, and wait until it has been made again for the `times`th time."""
    shutil.rmtree(state_of(d))
    wait_until(lambda: len(d.log("state_restored")) == times)


def test_a_lost_state_directory_is_made_again_with_all_that_the_next_clinit_needs(
    start_in: Start, tracker: str
) -> None:
    d = start_in("g:a:1:respawn:sleep 7721\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    record = d.record()
    lose(d, 1)
    held = open_files(d)
    lose(d, 2)
    assert d.record() == record
    assert holder_of(state_of(d) / CLINIT_LOCK) == d.pid
    if tracker == "session":
        sessions = state_of(d) / SESSIONS
        wait_until(lambda: sessions.read_text().split()[:1] == [str(pid)])
    assert open_files(d) == held
    assert d.log("state_lost") == []


def test_each_trouble_with_the_state_directory_is_logged_once_and_again_when_it_returns(
    start: Start,
) -> None:
    d = start("")
    state = state_of(d)
    shutil.rmtree(state)
    state.touch()
    wait_until(lambda: len(d.log("state_lost")) == 1)
    state.unlink()
    state.mkdir()
    other = LockFile(state / CLINIT_LOCK)  # as of another clinit
    wait_until(lambda: len(d.log("state_lost")) == 2)
    other.close()
    lose(d, 1)
    shutil.rmtree(state)
    state.mkdir()
    other = LockFile(state / CLINIT_LOCK)
    wait_until(lambda: len(d.log("state_lost")) == 3)
    other.close()
    lose(d, 2)
    reasons = [line["reason"] for line in d.log("state_lost")]
    assert "File exists" in reasons[0]
    assert f"locked by process {os.getpid()}" in reasons[1]
    assert reasons[2] == reasons[1]


def test_a_state_directory_that_cannot_be_looked_at_is_no_reason_to_end(start: Start) -> None:
    d = start("g:a:1:respawn:sleep 7722\n", managed=True, place_look_s=0.02)
    state = state_of(d)
    state.rename(d.base / "old")
    for number, unusable in enumerate((state, d.base / ("x" * 300)), 1):
        state.symlink_to(unusable)
        wait_until(partial(logged, d, "state_lost", number))
        state.unlink()
    # A second, and fifty looks of the other kind, are between these two.
    assert d.log("place_lost") == []
    (d.base / "old").rename(state)
    now = boottime()
    assert d.tell("g", "1", term=1, stop_at=now + 60, kill_at=now + 60).ok
    d.pid_of("a")


def test_an_ending_clinit_leaves_the_record_of_another_one_alone(start: Start) -> None:
    d = start("")
    state = state_of(d)
    state.rename(d.base / "old")
    state.mkdir()
    other = LockFile(state / CLINIT_LOCK)
    (state / CLINIT_RECORD).write_text("{}")
    d.shut_down()
    assert d.wait() == 0
    assert (state / CLINIT_RECORD).read_text() == "{}"
    other.close()
