"""What a former clinit left without cgroups: its sessions are told from those of strangers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mosha.clinit.state_dir import SESSIONS, StateDir, StateRecord, _end
from mosha.errors import HostError
from mosha.host import proc
from mosha.host.clock import boot_id
from tests.waiting import wait_until

MARK = f"mark of a former clinit {os.getpid()}"
Lead = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    made = StateDir(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def lead() -> Iterator[Lead]:
    """Make a process that leads a session; it is ended in any case."""
    made: list[subprocess.Popen[bytes]] = []

    def make(**variables: str) -> subprocess.Popen[bytes]:
        words = ["/bin/sleep", "7751"]
        made.append(subprocess.Popen(words, env=variables, start_new_session=True))
        return made[-1]

    yield make
    for process in made:
        process.kill()
        process.wait()


def start_of(process: subprocess.Popen[bytes]) -> int:
    seen = proc.see(process.pid)
    assert seen is not None
    return seen.start


def left(state: StateDir, sessions: str) -> list[int]:
    """Return what was left, by the sessions that a former clinit has noted."""
    (state.path / SESSIONS).write_text(sessions, encoding="ascii")
    return state._left_of(StateRecord(boot_id(), 1, 1, MARK))


def test_a_leader_is_known_by_its_start(state: StateDir, lead: Lead) -> None:
    ours, stranger = lead(), lead()
    found = left(
        state,
        f"{ours.pid} {start_of(ours)}\n{stranger.pid} {start_of(stranger) - 1}\n",
    )
    assert found == [ours.pid]


def test_a_session_whose_leader_is_gone_is_a_strangers_if_it_is_older(state: StateDir) -> None:
    """Then the number was used again for a leader of ours, which has ended too."""
    words = ["/bin/sh", "-c", "sleep 7752 >/dev/null 2>&1 & echo $!"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        member = int(leader.stdout.read())
    try:
        seen = proc.see(member)
        assert seen is not None
        assert seen.session == leader.pid
        assert left(state, f"{leader.pid} {seen.start}\n") == [member]
        assert left(state, f"{leader.pid} {seen.start + 1}\n") == []
    finally:
        os.kill(member, signal.SIGKILL)


def test_half_a_line_says_nothing(state: StateDir, lead: Lead) -> None:
    """As a power cut or a kill leaves one."""
    ours = lead()
    assert left(state, f"{ours.pid} {start_of(ours)}\n{ours.pid}") == [ours.pid]
    assert left(state, "1") == []


def test_what_was_of_another_boot_is_left_alone(state: StateDir, lead: Lead) -> None:
    marked = lead(MOSHA_RUN=MARK)
    wait_until(lambda: proc.environment(marked.pid))  # in the middle of an exec there is none
    record = f'{{"boot":"%s","pid":1,"start":1,"mark":"{MARK}"}}'
    (state.path / "children.json").write_text(record % "00000000")
    assert state.end_orphans(10.0) == []
    assert marked.poll() is None
    (state.path / "children.json").write_text(record % boot_id())
    assert state._left_of(StateRecord(boot_id(), 1, 1, MARK)) == [marked.pid]
    marked.kill()
    assert marked.wait() == -signal.SIGKILL


def test_what_does_not_end_is_an_error_and_no_endless_wait() -> None:
    looks = iter([[7], [7], []])
    with pytest.raises(HostError, match="processes of an earlier clinit do not end: 7"):
        _end(lambda: next(looks), lambda _: None, {}, time.monotonic() - 1)
