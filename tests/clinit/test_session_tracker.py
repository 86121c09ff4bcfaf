"""Hosts without cgroups: nothing of a group is overlooked."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mosha.clinit.adopted import NAMING_LIMIT_S, Orphans
from mosha.clinit.descendants import Descendants
from mosha.clinit.process_tracker import EntryKey
from mosha.clinit.session_tracker import SessionTracker
from mosha.core.supervision.process_events import Scope
from mosha.host import proc
from mosha.host.clock import boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon, is_alive
from tests.waiting import wait_until

# A daemon that nothing can tell from another: a session of its own, no name, no pipe. Whoever
# started it waits until it has all that: before, it has the session of its entry.
NAMELESS = (
    "env -i setsid -f sh -c 'echo $$ >> {OUT}; exec sleep 7801' >/dev/null 2>&1 </dev/null;"
    " until test -s {OUT}; do sleep 0.01; done"
)

# Its first thread ends, the other one stays: state Z, and alive.
HEADLESS = (
    "import ctypes, os, threading, time;"
    "threading.Thread(target=time.sleep, args=(7803,)).start();"
    "open({path!r}, 'a').write(f'{{os.getpid()}}\\n');"
    "ctypes.CDLL(None).pthread_exit(None)"
)


@pytest.fixture
def alone(start: Start) -> Start:
    """Start the daemon without cgroups."""

    def with_cltab(text: str, **options: object) -> Daemon:
        return start(text, cgroup="none", **options)

    return with_cltab


def nameless(d: Daemon, group: str) -> int:
    """Run a group whose entry leaves a nameless daemon; return the pid of that.

    clinit is asked nothing before it is an orphan: who counts what is below an entry knows more.
    """
    d.tell(group, "1")
    (line,) = wait_until(d.lines)
    pid = int(line)
    wait_until(lambda: proc.command_line(pid) == "sleep 7801")
    wait_until(lambda: (seen := proc.see(pid)) is not None and seen.parent == d.pid)
    d.wait_for("1 DONE", group)
    return pid


def test_a_nameless_daemon_ends_with_the_only_group_it_can_be_of(alone: Start) -> None:
    d = alone(f"d:d1:1:wait:{NAMELESS}\n")
    pid = nameless(d, "d")
    wait_until(lambda: d.group("d").alive == 1)  # what it was started from has ended
    d.tell("d", "stop")
    d.wait_for("stop DONE", "d")
    assert not is_alive(pid)


def test_a_nameless_daemon_that_may_be_anothers_keeps_a_stop_from_its_end(alone: Start) -> None:
    d = alone(f"d:d1:1:wait:{NAMELESS}\nh:h1:1:respawn:sleep 7802\n")
    d.tell("h", "1")
    d.pid_of("h1", "h")
    pid = nameless(d, "d")
    d.tell("d", "stop")
    (line,) = wait_until(lambda: d.log("stop_blocked"))
    assert (line["pid"], line["program"], line["or_of"]) == (pid, "sleep", ["h"])
    # All rungs of the ladder pass, and nothing is called done.
    wait_until(lambda: d.group("d").state == "CHECKING" and d.group("d").alive == 1)
    assert is_alive(pid)
    d.tell("h", "stop")  # now it can be of nobody that shall live
    d.wait_for("stop DONE", "h")
    d.wait_for("stop DONE", "d")
    assert not is_alive(pid)


def test_a_group_that_starts_later_is_not_blamed(alone: Start) -> None:
    d = alone(f"d:d1:1:wait:{NAMELESS}\nh:h1:1:respawn:sleep 7802\n")
    pid = nameless(d, "d")
    d.tell("h", "1")
    d.pid_of("h1", "h")
    d.tell("h", "stop")
    d.wait_for("stop DONE", "h")
    assert is_alive(pid)
    d.tell("d", "stop")
    d.wait_for("stop DONE", "d")
    assert not is_alive(pid)


def test_a_nameless_daemon_is_killed_at_the_kill_at_of_a_group_it_may_be_of(alone: Start) -> None:
    d = alone(f"d:d1:1:wait:{NAMELESS}\nh:h1:1:respawn:sleep 7802\n")
    now = boottime()
    d.tell("h", "1", term=1, stop_at=now + 600, kill_at=now + 600)
    d.tell("d", "1", term=1, stop_at=now + 600, kill_at=now + 600)
    pid = nameless(d, "d")
    d.tell("d", "1", term=1, stop_at=boottime(), kill_at=boottime())
    d.wait_for("stop DONE", "d")
    assert not is_alive(pid)
    assert d.state("h") == "1 DONE"


def test_at_the_end_of_clinit_nothing_nameless_is_left(alone: Start) -> None:
    d = alone(f"d:d1:1:wait:{NAMELESS}\nh:h1:1:respawn:sleep 7802\n")
    d.tell("h", "1")
    pid = nameless(d, "d")
    d.shut_down()
    assert d.wait() == 0
    assert not is_alive(pid)


@pytest.mark.parametrize("how", ["stop", "kill_at"])
def test_a_process_whose_first_thread_has_ended_is_alive(alone: Start, how: str) -> None:
    script = HEADLESS.format(path="{OUT}")
    d = alone(f'g:a:1:respawn:exec {sys.executable} -c "{script}"\n')
    d.tell("g", "1")
    pid = d.pid_of("a")
    wait_until(lambda: d.lines() == [str(pid)])
    wait_until(lambda: ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="ascii"))
    assert is_alive(pid)
    assert d.group().alive == 1
    if how == "stop":
        d.tell("g", "stop")
    else:
        d.tell("g", "1", term=1, stop_at=boottime(), kill_at=boottime())
    d.wait_for("stop DONE")
    assert not Path(f"/proc/{pid}/task").exists()


def test_chains_of_processes_are_ended_and_never_taken_for_nothing(alone: Start) -> None:
    # Each link lives for 20 ms, and ignores INT and TERM: there is always one, never the same.
    walker = "trap '' INT TERM; f() { sleep 0.02; f & }; f & sleep 7804"
    d = alone(f"g:a:1:respawn:{walker}\n")
    for _ in range(3):
        d.tell("g", "1")
        d.pid_of("a")
        wait_until(lambda: d.group().alive >= 2)
        d.tell("g", "stop")
        d.wait_for("stop DONE")
        assert d.group().alive == 0
        assert d.descendants() == []


# --- looks are counted, not timed --------------------------------------------------------


class Few(Descendants):
    """A family that has only these children: this process has others besides."""

    def __init__(self) -> None:
        super().__init__()
        self.mine: set[int] = set()

    def children(self) -> list[int]:
        return [pid for pid in super().children() if pid in self.mine]


@pytest.fixture
def sleepers() -> Iterator[Callable[[int], list[subprocess.Popen[bytes]]]]:
    """Make children in sessions of their own; they are ended in any case."""
    made: list[subprocess.Popen[bytes]] = []

    def make(count: int) -> list[subprocess.Popen[bytes]]:
        made.extend(
            subprocess.Popen(["/bin/sleep", "7805"], start_new_session=True) for _ in range(count)
        )
        return made

    yield make
    for process in made:
        process.kill()
        process.wait()


async def test_all_questions_of_a_turn_are_answered_by_one_look(
    sleepers: Callable[[int], list[subprocess.Popen[bytes]]],
) -> None:
    family = Few()
    tracker = SessionTracker("mark", family)
    processes = sleepers(30)
    family.mine = {process.pid for process in processes}
    keys = [EntryKey(f"g{n}", f"a{n}") for n in range(30)]
    for key, process in zip(keys, processes, strict=True):
        tracker.place(key)
        tracker.note(key, process.pid)
    family.looks = 0
    for key, process in zip(keys, processes, strict=True):
        assert not tracker.is_empty(key, process.pid, Scope.ENTRY)
        assert tracker.alive(key.group) == 1
        assert process.pid in tracker.signal(key, process.pid, Scope.ENTRY, signal_of("TERM"))
    assert family.looks == 1
    for process in processes:
        process.wait()
    await asyncio.sleep(0)
    family.looks = 0
    for key, process in zip(keys, processes, strict=True):
        assert not any(tracker.left_by(key, process.pid))
        assert tracker.is_group_empty(key.group, frozenset())
    assert family.looks == 2  # that nothing is there takes a second one, for all of them
    family.close()


def signal_of(name: str) -> signal.Signals:
    return signal.Signals[f"SIG{name}"]


def test_an_environment_that_hangs_holds_nobody_up() -> None:
    asleep = threading.Event()
    orphans = Orphans("mark", lambda _: {str(asleep.wait(60)): ""})
    began = time.monotonic()
    me = os.getpid()
    for _ in range(3):
        known = orphans.take_in([me], lambda _: None, frozenset({"g"}))
        assert known[me].may_be_of("g")
    assert time.monotonic() - began < 3 * NAMING_LIMIT_S + 1.0
    asleep.set()


def test_what_cannot_be_read_is_not_called_gone() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            proc.see(os.getpid())
        with pytest.raises(OSError, match="Too many open files"):
            proc.children_of(os.getpid())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
