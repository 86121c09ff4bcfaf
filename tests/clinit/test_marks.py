"""The mark that no process takes off: by it is ended what has cut all ties, when clinit is killed.

Without cgroups. The daemon here has a session of its own and no environment, and its parent lives,
so clinit has never looked at it.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mosha.clinit import child_steps
from mosha.clinit.forkserver import until_quiet
from mosha.clinit.state_dir import _end
from mosha.formats.spawn import SHARED, SPAWN_WAYS
from mosha.host import marks, proc
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon, is_alive
from tests.waiting import wait_until

UNTIED = "g:a:1:respawn:env -i setsid sleep 7771 & wait\n"
HEADLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(7772,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""

Marked = Callable[..., subprocess.Popen[bytes]]


def untied(d: Daemon) -> list[int]:
    """Return the daemon that has cut its ties, and its parent, once they run."""
    d.tell("g", "1")
    d.pid_of("a")
    wait_until(lambda: "sleep" in map(proc.name, d.descendants()))
    return d.descendants()


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_no_mark_is_that_of_the_clinit_around(monkeypatch: pytest.MonkeyPatch, byte: bytes) -> None:
    monkeypatch.setattr(os, "urandom", lambda count: count * byte)
    mark, around = marks.limit_of(marks.draw()), marks._hard_limit("self")
    assert mark is not None
    assert mark < (marks.HIGHEST if around is None else around)


@pytest.mark.parametrize("way", SPAWN_WAYS)
@pytest.mark.parametrize("also", ["nobody else", "fork server", "guard"])
def test_what_has_cut_all_ties_ends_with_clinit(start: Start, way: str, also: str) -> None:
    if way == SHARED and not child_steps.has_native():
        pytest.skip("no code for this processor")
    d = start(UNTIED, cgroup="none", spawn=way)
    mine = untied(d)
    server, guard = d.fork_server(), wait_until(d.guard)
    d.signal(signal.SIGSTOP)  # it does not look any more
    if also != "nobody else":
        os.kill(server if also == "fork server" else guard, signal.SIGKILL)
    d.kill()
    wait_until(lambda: not any(map(is_alive, [*mine, server, guard])))


@pytest.mark.parametrize("also", ["fork server", "guard"])
def test_a_process_whose_first_thread_has_ended_ends_with_clinit(start: Start, also: str) -> None:
    d = start(
        "g:a:1:respawn:env -i setsid {PYTHON} -I -S {HEADLESS} & wait\n".format(
            PYTHON=sys.executable, HEADLESS="{OUT}.py"
        ),
        cgroup="none",
    )
    Path(f"{d.out}.py").write_text(HEADLESS, encoding="ascii")
    d.tell("g", "1")
    mine = wait_until(lambda: headless(d))
    d.signal(signal.SIGSTOP)
    os.kill(d.fork_server() if also == "fork server" else wait_until(d.guard), signal.SIGKILL)
    d.kill()
    wait_until(lambda: not is_alive(mine))


def headless(d: Daemon) -> int:
    """Return the process of which only the second thread is left, 0 before."""
    stats = {pid: proc.read(f"/proc/{pid}/stat") or b"" for pid in d.descendants()}
    return next((pid for pid, stat in stats.items() if b") Z " in stat and is_alive(pid)), 0)


def test_if_both_guards_are_killed_too_the_next_clinit_ends_it(start: Start) -> None:
    d = start(UNTIED, cgroup="none")
    mine = untied(d)
    d.signal(signal.SIGSTOP)
    for pid in (d.fork_server(), wait_until(d.guard)):
        os.kill(pid, signal.SIGKILL)
    d.kill()
    (daemon,) = [pid for pid in mine if proc.name(pid) == "sleep"]
    assert is_alive(daemon)
    d.start()
    assert not is_alive(daemon)
    assert [line["pid"] for line in d.log("orphan_ended")] == [daemon]


def test_where_no_mark_can_be_a_limit_it_is_in_the_environment(start: Start) -> None:
    d = start(
        "g:a:1:respawn:setsid sleep 7773 & wait\n", cgroup="none", file_locks=2 * marks.SPAN - 1
    )
    mine = untied(d)
    assert marks.limit_of(d.record()["mark"]) is None
    d.signal(signal.SIGSTOP)
    d.kill()
    wait_until(lambda: not any(map(is_alive, mine)))


# --- the mark by itself ----------------------------------------------------------------


@pytest.fixture
def marked() -> Iterator[Marked]:
    """Make a process with a mark as its limit and few variables; it is ended in any case."""
    made: list[subprocess.Popen[bytes]] = []

    def make(mark: str, *command: str) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen([*command, "7774"], env={}, start_new_session=True))
        limit = marks.limit_of(mark)
        assert limit is not None
        resource.prlimit(made[-1].pid, marks.RLIMIT_LOCKS, (limit, limit))
        return made[-1]

    yield make
    for process in made:
        process.kill()
        process.wait()


def test_a_mark_is_a_limit_of_which_no_other_mark_is_one() -> None:
    drawn = [marks.draw() for _ in range(100)]
    assert len(set(map(marks.limit_of, drawn))) == 100
    assert {len(mark) for mark in drawn} == {16}
    assert None not in map(marks.limit_of, drawn)


def test_a_mark_inside_another_is_lower_for_nobody_but_root_raises_a_limit() -> None:
    outer = 2 * marks.SPAN
    text = (
        f"import resource; from mosha.host import marks;"
        f" resource.setrlimit(marks.RLIMIT_LOCKS, ({outer}, {outer})); print(marks.draw())"
    )
    command = [sys.executable, "-c", text]
    inner = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    assert marks.SPAN <= (marks.limit_of(inner) or 0) < outer


@pytest.mark.parametrize("mark", ["", "mark", "ffffffffffffffff", "0000000000000400"])
def test_what_is_no_mark_of_this_version_is_no_limit(mark: str) -> None:
    assert marks.limit_of(mark) is None


def test_the_dead_and_strangers_have_no_mark(marked: Marked) -> None:
    mark, other = marks.draw(), marks.draw()
    limit = marks.limit_of(mark)
    assert limit is not None
    ours, stranger = marked(mark, "/bin/sleep"), marked(other, "/bin/sleep")
    assert marks.has_limit(ours.pid, limit)
    assert not marks.has_limit(stranger.pid, limit)
    ours.kill()
    wait_until(lambda: not is_alive(ours.pid))  # and is not buried
    assert not marks.has_limit(ours.pid, limit)


def test_one_look_that_finds_nothing_is_no_end() -> None:
    """A process has forked behind it, and was gone before the look came to it."""
    finds = [True, False, True, False, False, True]
    guarded = iter(finds)
    until_quiet(lambda: next(guarded))
    assert list(guarded) == [True]
    killed: list[int] = []
    left = iter([7] if found else [] for found in finds)
    _end(lambda: next(left), killed.extend, {}, math.inf, looks=marks.QUIET_LOOKS)
    assert (killed, list(left)) == ([7, 7], [[7]])
