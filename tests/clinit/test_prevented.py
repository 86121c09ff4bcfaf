"""Real processes that the host could not start: none of them counts as one that ran."""

from __future__ import annotations

import os
import resource
import secrets
import signal
from pathlib import Path

import pytest

from mosha.clinit import cgroups
from mosha.clinit.cgroup_tracker import CgroupTracker
from mosha.clinit.entry import EntryLoop
from mosha.clinit.forker import Forker
from mosha.clinit.held_addresses import HeldAddresses
from mosha.clinit.process_tracker import EntryKey
from mosha.clinit.session_tracker import SessionTracker
from mosha.clinit.state_dir import StateDir
from mosha.clinit.time_slices import TimeSlices
from mosha.core.supervision.process_events import Scope, SpawnPrevented
from mosha.core.supervision.supervisor import EntryEvent
from mosha.core.supervision.unit import Launch
from mosha.core.tables import Entry, Mode
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.clinit.test_faults import needs_cgroups
from tests.clinit.test_forkserver import dismiss, program, status_of
from tests.clinit.test_processes import pids_of
from tests.waiting import until, wait_until

MODES = {"test": "PASSED", "wait": "DONE", "once": "DONE", "respawn": "DONE"}


def prevented(d: Daemon, reason: str) -> None:
    """Wait until an entry has not been started for a reason."""
    wait_until(lambda: any(reason in line["reason"] for line in d.log("entry_not_started")))


@pytest.mark.parametrize("mode", MODES)
def test_what_was_asked_of_a_fork_server_that_died_runs_all_the_same(
    start: Start, mode: str
) -> None:
    rest = "; exec sleep 7651" if mode == "respawn" else ""
    level = "2" if mode == "respawn" else "stop"
    d = start(f"g:r:1:respawn:exec sleep 7650\ng:s:{level}:{mode}:echo ran >> {{OUT}}{rest}\n")
    d.tell("g", "1")
    d.pid_of("r")
    server = d.fork_server()
    os.kill(server, signal.SIGSTOP)
    try:
        d.tell("g", level)
        wait_until(lambda: ("s", "running") in {(e.tag, e.state) for e in d.group().entries})
    finally:
        os.kill(server, signal.SIGKILL)
    prevented(d, "the fork server is gone")
    d.wait_for(f"{level} {MODES[mode]}")
    wait_until(lambda: d.lines() == ["ran"])
    assert d.entry("s").starts == 1
    assert d.log("entry_failed") == []


@pytest.mark.parametrize("mode", MODES)
def test_without_descriptors_entries_wait_and_say_so_and_run_as_soon_as_there_are_some(
    start: Start, mode: str
) -> None:
    rest = "; exec sleep 7652" if mode == "respawn" else ""
    d = start(
        f"g:a:1:{mode}:echo ran >> {{OUT}}{rest}\n", limits={"pause_s": 3600.0, "retry_s": 0.05}
    )
    server = d.fork_server()
    before = resource.prlimit(server, resource.RLIMIT_NOFILE)
    held = len(list(Path(f"/proc/{server}/fd").iterdir()))
    resource.prlimit(server, resource.RLIMIT_NOFILE, (held, before[1]))
    d.tell("g", "1")
    prevented(d, "Too many open files")
    tries = d.entry("a").since
    wait_until(lambda: d.entry("a").state == "retrying")
    assert "Too many open files" in d.entry("a").error
    assert d.entry("a").since == tries
    assert d.state() == ("1 DONE" if mode in {"once", "respawn"} else "1 STARTING")
    resource.prlimit(server, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: d.lines() == ["ran"])
    d.wait_for(f"1 {MODES[mode]}")
    assert len(d.log("entry_not_started")) == 1
    assert d.log("entry_throttled") == []
    assert d.fork_server() == server


def test_a_signal_for_a_birth_that_failed_reaches_no_later_one(start: Start) -> None:
    d = start("g:a:1:test:exec sleep 0.05\n")
    server = d.fork_server()
    os.kill(server, signal.SIGSTOP)
    try:
        d.tell("g", "1")
        d.tell("g", "stop")
    finally:
        os.kill(server, signal.SIGKILL)
    d.wait_for("stop DONE")
    d.tell("g", "1")
    d.wait_for("1 PASSED")
    wait_until(lambda: d.log("entry_exited"))
    assert [line["status"] for line in d.log("entry_exited")] == ["exit 0"]
    assert d.entry("a").prevented == 0


@needs_cgroups
def test_a_cgroup_that_somebody_removed_is_made_anew(start: Start) -> None:
    d = start("g:a:1:wait:echo ran >> {OUT}\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.tell("g", "2")
    d.wait_for("2 DONE")
    tree = d.tree()
    assert tree is not None
    assert cgroups.remove(tree / "g.g")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert d.lines() == ["ran", "ran"]
    assert len(d.log("entry_not_started")) == 1


# A server that makes a child and dies before it answers, as long as a file is there.
MUTE = """import os; answer = s.ForkServer._answer
def mute(self, message):
    if message.isdigit() and os.path.exists({path!r}):
        os._exit(1)
    answer(self, message)
s.ForkServer._answer = mute
"""


async def test_what_a_lost_fork_server_made_is_dead_before_the_next_try(
    tracker: str, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = short_dir / "mute"
    mute.touch()
    change = f"exec({MUTE.format(path=str(mute))!r}, {{'s': s}})"
    monkeypatch.setattr("mosha.clinit.forker.PROGRAM", program(change))
    mark = secrets.token_hex(8)
    own = cgroups.own_cgroup()
    made: CgroupTracker | SessionTracker
    if tracker == "cgroup":
        assert own is not None
        made = CgroupTracker(own, mark, "test")
    else:
        made = SessionTracker(mark)
    tree = made.tree if isinstance(made, CgroupTracker) else None
    forker = Forker(dict(os.environ) | {"MOSHA_RUN": mark}, mark, tree)
    if isinstance(made, SessionTracker):
        made.forker = forker
    state_dir = StateDir(short_dir / "state")
    told: list[EntryEvent] = []
    touched: list[str] = []
    loop = EntryLoop(
        *(
            EntryKey("g", "a"),
            made,
            state_dir,
            forker,
            HeldAddresses(state_dir.path, lambda: None),
            TimeSlices(),
        ),
        *(told.append, touched.extend),
    )
    try:
        await forker.ready.wait()
        first = forker.pid
        entry = Entry("g", "a", "1", Mode.WAIT, "sleep 7653")
        loop.order(Launch(entry, 1, "1", 1, "n"))
        await loop.run()
        (event,) = told
        assert isinstance(event.event, SpawnPrevented)
        assert event.event.lost

        def gone() -> bool:
            made.signal(loop.key, 0, Scope.ENTRY, signal.SIGKILL)  # as the machine does each second
            return loop.is_empty(Scope.ENTRY)

        await until(gone)
        assert pids_of("sleep 7653") == []
        await forker.ready.wait()  # the next one
    finally:
        dismiss(forker)
        if isinstance(made, SessionTracker):
            made._family.close()  # `close` would end all children of this process
        else:
            wait_until(lambda: cgroups.remove(made.tree))
        state_dir.close()
        loop.close()
    assert status_of(first) == 1
