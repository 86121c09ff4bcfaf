"""Everything of clinit is killed at once, and nothing lives on unwatched."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

from mosha.clinit import cgroups
from mosha.host import proc
from tests.clinit.conftest import Start
from tests.clinit.daemon import is_alive
from tests.waiting import wait_until

# What setpriv does when it changes the user: no signal comes when the parent dies.
CLEARED = (
    "import ctypes, time; ctypes.CDLL(None).prctl(1, 0); open({path!r}, 'w'); time.sleep(7701)"
)


def test_clinit_and_fork_server_killed_at_once_leave_nothing(start_in: Start) -> None:
    cleared = CLEARED.format(path="{OUT}.cleared")
    d = start_in(
        f'g:a:1:respawn:exec python3 -c "{cleared}"\n'
        "g:b:1:wait:setsid -f sleep 7702 >/dev/null 2>&1 </dev/null\n"
        "g:c:1:wait:env -i setsid -f sleep 7703 >/dev/null 2>&1 </dev/null\n"
        "g:d:1:respawn:sleep 7704\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(Path(f"{d.out}.cleared").exists)
    wait_until(lambda: d.group().alive == 4)
    mine = d.descendants()
    server, guard = d.fork_server(), wait_until(d.guard)
    assert len(mine) == 4
    tree = d.tree()
    for pid in (server, d.pid):
        os.kill(pid, signal.SIGKILL)
    d.wait()
    wait_until(lambda: not any(map(is_alive, mine)))
    wait_until(lambda: not is_alive(guard))
    if tree is not None:  # the fork server may have done so before it was killed
        wait_until(lambda: cgroups.remove(tree))


def test_clinit_and_guard_killed_at_once_leave_nothing(start_in: Start) -> None:
    d = start_in(
        "g:a:1:wait:setsid -f sleep 7706 >/dev/null 2>&1 </dev/null\ng:b:1:respawn:sleep 7707\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(lambda: d.group().alive == 2)
    mine = d.descendants()
    server, guard = d.fork_server(), wait_until(d.guard)
    assert len(mine) == 2
    d.signal(signal.SIGSTOP)  # so that it starts no other guard
    for pid in (guard, d.pid):
        os.kill(pid, signal.SIGKILL)
    d.wait()
    wait_until(lambda: not any(map(is_alive, mine)))
    wait_until(lambda: not is_alive(server))


def test_a_fork_server_that_may_open_nothing_is_still_a_guard(start_in: Start) -> None:
    d = start_in("g:a:1:wait:setsid -f sleep 7706 >/dev/null 2>&1 </dev/null\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(lambda: d.group().alive == 1)
    mine = d.descendants()
    server, guard = d.fork_server(), wait_until(d.guard)
    _, hard = resource.prlimit(server, resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (3, hard))
    d.signal(signal.SIGSTOP)  # so that it starts no other guard
    for pid in (guard, d.pid):
        os.kill(pid, signal.SIGKILL)
    d.wait()
    wait_until(lambda: not any(map(is_alive, mine)))
    wait_until(lambda: not is_alive(server))
    assert "Traceback" not in (d.base / "log").read_text()


def test_the_guard_has_no_name_by_which_the_daemons_are_killed(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:sleep 7705\n")
    command = proc.command_line(wait_until(d.guard))
    assert not any(name in command for name in ("mosha", "clinit", "python"))


def test_a_guard_that_dies_is_replaced_and_said(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:sleep 7705\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    guard = wait_until(d.guard)
    os.kill(guard, signal.SIGTERM)  # what an administrator or a terminal sends changes nothing
    os.kill(guard, signal.SIGKILL)
    wait_until(lambda: d.log("guard_failed"))
    other = wait_until(d.guard)
    assert other != guard
    server = d.fork_server()
    os.kill(server, signal.SIGSTOP)  # it guards nothing either, and the new one knows all
    tree = d.tree()
    d.kill()
    wait_until(lambda: not is_alive(pid) and not is_alive(other))
    os.kill(server, signal.SIGCONT)
    wait_until(lambda: not is_alive(server))
    assert tree is None or not tree.exists()


def test_an_orderly_end_takes_the_guard_along_and_kills_nothing(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:trap 'echo INT >> {OUT}; exit' INT; while :; do sleep 0.02; done\n")
    d.tell("g", "1")
    d.pid_of("a")
    guard = wait_until(d.guard)
    d.shut_down()
    assert d.wait() == 0
    assert d.lines() in ([], ["INT"])
    wait_until(lambda: not is_alive(guard))
