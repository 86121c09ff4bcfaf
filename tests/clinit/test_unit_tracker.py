"""What systemd runs for an entry is killed, frozen and counted with it: slices are cgroups."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import Signals

import pytest

from mosha.clinit import cgroups, unit_tracker
from mosha.clinit.cgroup_tracker import CgroupTracker
from mosha.clinit.guard import Guard
from mosha.clinit.process_tracker import EntryKey, Leftovers
from mosha.clinit.state_dir import StateDir
from mosha.clinit.unit_tracker import UnitTracker
from mosha.core.supervision.process_events import Scope
from mosha.formats.units import slice_path
from mosha.host.programs import command_of
from tests.clinit.test_faults import needs_cgroups
from tests.waiting import wait_until

pytestmark = needs_cgroups

WEB, OTHER = EntryKey("web", "a"), EntryKey("web", "b")
NOBODY: frozenset[str] = frozenset()
LIMIT_S = 30.0
Run = Callable[[Path], "subprocess.Popen[bytes]"]


class Units:
    """The slices of a clinit, as systemd would have made them below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = "0" * 12
        self.top = root / slice_path(self.place)
        inner = CgroupTracker(root, secrets.token_hex(8), "test")
        self.tracker = UnitTracker(inner, self.place, self.top)

    def made(self, key: EntryKey) -> Path:
        """Return the slice of an entry that is about to be started."""
        path = self.root / slice_path(self.place, *key)
        path.mkdir(parents=True, exist_ok=True)
        assert self.tracker.slice_for(key) == path
        return path


@pytest.fixture
def units() -> Iterator[Units]:
    own = cgroups.own_cgroup()
    assert own is not None
    root = own / f"units-{secrets.token_hex(4)}"
    root.mkdir()
    made = Units(root)
    yield made
    made.tracker.close()
    cgroups.kill(root)
    wait_until(lambda: cgroups.remove(root))


@pytest.fixture
def run() -> Iterator[Run]:
    made: list[subprocess.Popen[bytes]] = []

    def start(place: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["/bin/sleep", "7721"], start_new_session=True)
        made.append(process)
        (place / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
        return process

    yield start
    for process in made:
        process.kill()
        process.wait()


def frozen(cgroup: Path) -> bool:
    return "frozen 1" in (cgroup / "cgroup.events").read_text(encoding="ascii")


def test_an_entry_is_not_empty_while_its_unit_runs(units: Units, run: Run) -> None:
    process = run(units.made(WEB))
    tracker = units.tracker
    assert tracker.left_by(WEB, 1) == Leftovers(in_session=False, elsewhere=True)
    assert not tracker.is_empty(WEB, 1, Scope.ENTRY)
    assert tracker.is_empty(WEB, 1, Scope.SESSION)
    assert not tracker.is_group_empty("web", NOBODY)
    assert tracker.is_group_empty("web", frozenset({"a"}))
    assert tracker.alive("web") == 1
    assert not tracker.is_of(WEB, process.pid)
    process.kill()
    process.wait()
    assert tracker.is_empty(WEB, 1, Scope.ENTRY)
    assert tracker.is_group_empty("web", NOBODY)
    assert tracker.alive("web") == 0


def test_a_sweep_neither_kills_nor_freezes_the_unit_of_an_entry_that_stays(
    units: Units, run: Run
) -> None:
    stays, goes = units.made(WEB), units.made(OTHER)
    spared, other = run(stays), run(goes)
    units.tracker.signal_group("web", Signals.SIGKILL, frozenset({"a"}))
    assert other.wait(LIMIT_S) == -signal.SIGKILL
    assert spared.poll() is None
    wait_until(lambda: frozen(goes))
    assert not frozen(stays)


def test_a_slice_that_cannot_be_frozen_is_not_taken_for_frozen(tmp_path: Path) -> None:
    (tmp_path / "cgroup.freeze").mkdir()
    (tmp_path / "cgroup.kill").touch()
    with pytest.raises(IsADirectoryError):
        unit_tracker.kill(tmp_path)
    assert (tmp_path / "cgroup.kill").read_bytes() == b"1", "it is killed all the same"
    with pytest.raises(IsADirectoryError):
        unit_tracker.thaw(tmp_path)


def test_what_goes_wrong_with_units_hides_nothing_and_spares_no_process_of_the_group(
    units: Units, run: Run, tmp_path: Path
) -> None:
    inner = CgroupTracker(units.root, secrets.token_hex(8), "test")
    tracker = UnitTracker(inner, units.place, tmp_path / slice_path(units.place))
    tracker.slice_for(WEB)
    group = tmp_path / slice_path(units.place, "web")
    (group / "cgroup.freeze").mkdir(parents=True)
    (group / "cgroup.procs").mkdir()
    (group / "cgroup.events").write_text("populated 1\n", encoding="ascii")
    assert tracker.alive("web") == 1, "something is"
    place = tracker.place(WEB)
    assert place is not None
    process = run(place)
    with pytest.raises(IsADirectoryError):
        tracker.kill_group("web")
    assert process.wait(LIMIT_S) == -signal.SIGKILL
    tracker.close()


def test_only_sigkill_reaches_a_unit_and_only_that_of_the_entry(units: Units, run: Run) -> None:
    process, other = run(units.made(WEB)), run(units.made(OTHER))
    units.tracker.signal(WEB, 1, Scope.ENTRY, Signals.SIGTERM)
    units.tracker.signal_group("web", Signals.SIGTERM, NOBODY)
    assert units.tracker.alive("web") == 2
    units.tracker.signal(WEB, 1, Scope.ENTRY, Signals.SIGKILL)
    assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert other.poll() is None
    units.tracker.signal_group("web", Signals.SIGKILL, frozenset({"b"}))
    assert other.poll() is None
    units.tracker.signal_group("web", Signals.SIGKILL, NOBODY)
    assert other.wait(LIMIT_S) == -signal.SIGKILL


def test_what_is_put_into_a_slice_after_a_kill_does_not_run_until_the_next_start(
    units: Units, run: Run
) -> None:
    place = units.made(WEB)
    process = run(place)
    units.tracker.kill_group("web")
    assert process.wait(LIMIT_S) == -signal.SIGKILL
    late = run(place)
    wait_until(lambda: frozen(place))
    assert units.tracker.alive("web") == 1
    units.tracker.kill_group("web")
    assert late.wait(LIMIT_S) == -signal.SIGKILL
    units.made(WEB)
    wait_until(lambda: not frozen(place))


def test_a_kill_of_an_entry_freezes_it_too_and_not_the_others(units: Units, run: Run) -> None:
    place, other = units.made(WEB), units.made(OTHER)
    process, living = run(place), run(other)
    units.tracker.signal(WEB, 1, Scope.ENTRY, Signals.SIGKILL)
    assert process.wait(LIMIT_S) == -signal.SIGKILL
    wait_until(lambda: frozen(place))
    assert not frozen(other)
    assert living.poll() is None
    units.made(WEB)
    wait_until(lambda: not frozen(place))


def test_a_group_without_units_has_no_slices_to_look_into(units: Units) -> None:
    units.tracker.kill_group("mail")
    units.tracker.signal(EntryKey("mail", "x"), 1, Scope.ENTRY, Signals.SIGKILL)
    assert units.tracker.alive("mail") == 0
    assert UnitTracker(units.tracker, "0" * 12, None).slice_for(WEB) is None


def test_a_slice_that_systemd_has_removed_is_empty(units: Units) -> None:
    place = units.made(WEB)
    cgroups.remove(place)
    units.tracker.kill_group("web")
    assert units.tracker.is_empty(WEB, 1, Scope.ENTRY)
    assert units.tracker.left_by(WEB, 1) == Leftovers(in_session=False, elsewhere=False)


def test_what_an_earlier_clinit_had_started_is_ended_and_the_slices_are_usable_again(
    units: Units, run: Run, short_dir: Path
) -> None:
    place = units.made(WEB)
    unit_tracker.kill(units.top)
    process = run(place)
    state = StateDir(short_dir / "state")
    try:
        ended = state.end_orphans(10.0, units.top)
    finally:
        state.close()
    assert ended == [(process.pid, "/bin/sleep 7721")]
    assert process.wait(LIMIT_S) == -signal.SIGKILL
    wait_until(lambda: not frozen(place))


@pytest.mark.parametrize("with_tree", [True, False])
async def test_the_second_guard_kills_and_freezes_the_units_too(
    units: Units, run: Run, *, with_tree: bool
) -> None:
    place = units.made(WEB)
    process = run(place)
    tree = units.root / "tree"
    tree.mkdir()
    guard = Guard(secrets.token_hex(8), tree if with_tree else None, units.top)
    guard.give_up()
    assert await asyncio.to_thread(process.wait, LIMIT_S) == -signal.SIGKILL
    await asyncio.to_thread(os.waitid, os.P_PID, guard.pid, os.WEXITED)
    assert frozen(place)


def test_the_first_guard_kills_and_freezes_the_units_too(units: Units, run: Run) -> None:
    place = units.made(WEB)
    process = run(place)
    tree = units.root / "tree"
    tree.mkdir()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        words = [str(theirs.fileno()), str(os.getpid()), "mark", str(tree), "copied"]
        server = subprocess.Popen(
            [*command_of("mosha.clinit.forkserver"), *words, str(units.top)],
            pass_fds=[theirs.fileno()],
        )
        try:
            theirs.close()
            ours.close()
            assert process.wait(LIMIT_S) == -signal.SIGKILL
            assert server.wait(LIMIT_S) == 0
        finally:
            server.kill()
            server.wait()
    assert frozen(place)


async def test_a_guard_without_a_unit_kills_its_tree_all_the_same(units: Units, run: Run) -> None:
    tree = units.root / "tree"
    tree.mkdir()
    process = run(tree)
    guard = Guard("mark", tree, units.top)
    guard.give_up()
    assert await asyncio.to_thread(process.wait, LIMIT_S) == -signal.SIGKILL
    await asyncio.to_thread(os.waitid, os.P_PID, guard.pid, os.WEXITED)
