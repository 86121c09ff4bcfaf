"""ProcessTracker that are cgroups, on a host that is short of something: nothing counts as gone."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.clinit import cgroups
from mosha.clinit.cgroup_tracker import CgroupTracker
from mosha.clinit.process_groups import Sending
from mosha.clinit.process_tracker import EntryKey, Leftovers
from mosha.core.supervision.process_events import Scope
from tests.clinit.descriptors import open_files, without_descriptors
from tests.clinit.test_faults import needs_cgroups
from tests.waiting import wait_until

KEY = EntryKey("g", "a")
NOBODY_SPARED: frozenset[str] = frozenset()

Run = Callable[[int], list[subprocess.Popen[bytes]]]


@pytest.fixture
def tracker() -> Iterator[CgroupTracker]:
    """The boxes of a clinit, in the cgroup of this test."""
    own = cgroups.own_cgroup()
    assert own is not None
    made = CgroupTracker(own, secrets.token_hex(8), "test")
    yield made
    cgroups.kill(made.tree)
    wait_until(lambda: cgroups.remove(made.tree))
    made.close()


@pytest.fixture
def run(tracker: CgroupTracker) -> Iterator[Run]:
    """Run so many processes in the box of `KEY`, each in a session of its own."""
    made: list[subprocess.Popen[bytes]] = []

    def start(count: int) -> list[subprocess.Popen[bytes]]:
        place = tracker.place(KEY)
        assert place is not None
        for _ in range(count):
            process = subprocess.Popen(["/bin/sleep", "7711"], start_new_session=True)
            made.append(process)
            (place / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
        return made

    yield start
    for process in made:
        process.kill()
        process.wait()


@needs_cgroups
def test_what_cannot_be_looked_into_for_want_of_descriptors_counts_as_alive(
    tracker: CgroupTracker, run: Run
) -> None:
    leader, _other = run(2)
    with without_descriptors():
        left = tracker.left_by(KEY, leader.pid)
        empty = [tracker.is_empty(KEY, leader.pid, scope) for scope in Scope]
        group_empty = tracker.is_group_empty("g", NOBODY_SPARED)
        alive = tracker.alive("g")
    assert left == Leftovers(in_session=True, elsewhere=True)
    assert not any(empty)
    assert not group_empty
    assert alive == 1
    assert tracker.alive("g") == 2


@needs_cgroups
def test_signals_that_could_not_be_sent_are_logged_with_the_reason(
    tracker: CgroupTracker, run: Run
) -> None:
    (leader,) = run(1)
    with without_descriptors(), capture_logs() as log:
        sent = tracker.signal(KEY, leader.pid, Scope.ENTRY, signal.SIGTERM)
    assert sent == []
    (line,) = log
    assert (line["event"], line["group"], line["signal"]) == ("signal_failed", "g", "SIGTERM")
    assert "raise LimitNOFILE=" in line["reason"]
    assert leader.poll() is None


@needs_cgroups
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_spare_descriptors_are_enough_for_all_processes_of_a_group(
    tracker: CgroupTracker, run: Run, number: signal.Signals
) -> None:
    processes = run(9)
    with without_descriptors(but_spares=True):
        if number is signal.SIGKILL:
            tracker.kill_group("g")
        else:
            sent = tracker.signal_group("g", number, NOBODY_SPARED)
            assert sorted(sent) == sorted(process.pid for process in processes)
        for process in processes:
            assert process.wait() == -number


@needs_cgroups
def test_a_process_that_has_left_the_box_meanwhile_gets_no_signal(
    tracker: CgroupTracker, run: Run
) -> None:
    """As its number may be that of a stranger by then (C6.4)."""
    (inside,) = run(1)
    place = tracker.place(KEY)
    assert place is not None
    with subprocess.Popen(["/bin/sleep", "7712"]) as stranger:
        opened = {process.pid: os.pidfd_open(process.pid) for process in (inside, stranger)}
        sent = cgroups.Sent([], {})
        cgroups._signal_opened(place, Sending(signal.SIGTERM), opened, sent)
        assert inside.wait() == -signal.SIGTERM
        assert (sent, opened) == (([inside.pid], {}), {})
        stranger.kill()
        assert stranger.wait() == -signal.SIGKILL


def test_a_parent_that_is_no_cgroup_is_left_as_it_was(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(FileNotFoundError):
        CgroupTracker(tmp_path, "mark", "place")
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


def test_a_look_that_fails_keeps_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "cgroup.events").mkdir()
    before = open_files()
    assert cgroups.populated(tmp_path)
    assert open_files() == before


def test_a_kill_that_could_not_be_done_is_an_error_unless_the_cgroup_is_gone(
    tmp_path: Path,
) -> None:
    (tmp_path / "cgroup.kill").mkdir()
    with pytest.raises(IsADirectoryError):
        cgroups.kill(tmp_path)
    cgroups.kill(tmp_path / "gone")
