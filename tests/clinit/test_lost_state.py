"""A state directory that somebody removes, replaces or makes unusable under a living clinit.

clinit makes again what is missing, whenever it looks. So what replaces the directory changes places
with it at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from functools import partial
from pathlib import Path

from mosha.clinit.state_dir import SESSIONS
from mosha.host.clock import boottime
from mosha.host.lock_file import CLINIT_LOCK, CLINIT_RECORD, LockFile, holder_of
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.replacing import exchange, remove_tree
from tests.waiting import wait_until


def state_of(d: Daemon) -> Path:
    return d.base / "state"


def open_files(d: Daemon) -> int:
    return len(os.listdir(f"/proc/{d.pid}/fd"))  # noqa: PTH208


def logged(d: Daemon, event: str, times: int) -> bool:
    return len(d.log(event)) == times


def lose(d: Daemon, times: int) -> None:
    """Remove the directory, and wait until it has been made again for the `times`th time."""
    remove_tree(state_of(d))
    wait_until(lambda: len(d.log("state_restored")) == times)


def taken_by_another(directory: Path) -> LockFile:
    """Make a state directory as of another clinit, and return its lock."""
    directory.mkdir()
    return LockFile(directory / CLINIT_LOCK)


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
    state, aside = state_of(d), d.base / "aside"
    aside.touch()
    exchange(state, aside)
    wait_until(partial(logged, d, "state_lost", 1))
    shutil.rmtree(aside)
    with contextlib.closing(taken_by_another(aside)):
        exchange(state, aside)
        wait_until(partial(logged, d, "state_lost", 2))
        lose(d, 1)
    with contextlib.closing(taken_by_another(d.base / "other")):
        exchange(state, d.base / "other")
        wait_until(partial(logged, d, "state_lost", 3))
        lose(d, 2)
    reasons = [line["reason"] for line in d.log("state_lost")]
    assert "File exists" in reasons[0]
    assert f"locked by process {os.getpid()}" in reasons[1]
    assert reasons[2] == reasons[1]


def test_a_state_directory_that_cannot_be_looked_at_is_no_reason_to_end(start: Start) -> None:
    d = start("g:a:1:respawn:sleep 7722\n", managed=True, place_look_s=0.02)
    state, aside, link = state_of(d), d.base / "aside", d.base / "link"
    aside.symlink_to(state)
    exchange(state, aside)
    wait_until(partial(logged, d, "state_lost", 1))
    link.symlink_to(d.base / ("x" * 300))
    link.replace(state)
    wait_until(partial(logged, d, "state_lost", 2))
    # A second, and fifty looks of the other kind, are between these two.
    assert d.log("place_lost") == []
    exchange(state, aside)
    now = boottime()
    assert d.tell("g", "1", term=1, stop_at=now + 60, kill_at=now + 60).ok
    d.pid_of("a")


def test_a_state_directory_that_no_other_clinit_has_is_no_reason_to_end(start: Start) -> None:
    d = start("", managed=True, place_look_s=0.02)
    lose(d, 1)
    shutil.copytree(state_of(d), d.base / "copy")
    exchange(state_of(d), d.base / "copy")
    wait_until(partial(logged, d, "state_restored", 2))
    # Up to a second, and many looks of the other kind, were before each of these two.
    assert d.log("place_lost") == []
    assert d.answers()


def test_an_ending_clinit_leaves_the_record_of_another_one_alone(start: Start) -> None:
    d = start("")
    aside = d.base / "aside"
    with contextlib.closing(taken_by_another(aside)):
        (aside / CLINIT_RECORD).write_text("{}")
        exchange(state_of(d), aside)
        d.shut_down()
        assert d.wait() == 0
        assert (state_of(d) / CLINIT_RECORD).read_text() == "{}"
