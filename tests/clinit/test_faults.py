"""Faults of the host under a living clinit: what it may not do must not keep it from its duty."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mosha.clinit import cgroups, descriptors
from mosha.clinit.faults import Faults
from mosha.control.protocol import Hello
from mosha.core.tell import Tell
from mosha.host.clock import boottime
from tests.clinit.conftest import Start, can_make_cgroups
from tests.clinit.daemon import QUICK, Daemon, is_alive
from tests.clinit.descriptors import without_descriptors
from tests.clinit.test_processes import pids_of
from tests.waiting import wait_until

needs_cgroups = pytest.mark.skipif(not can_make_cgroups(), reason="needs a writable cgroup v2")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of this test's, beside those of clinit."""
    own = cgroups.own_cgroup()
    assert own is not None
    made = own / f"test-{secrets.token_hex(4)}"
    made.mkdir()
    yield made
    cgroups.kill(made)
    wait_until(lambda: cgroups.remove(made))


def take_descriptors(d: Daemon) -> None:
    """Leave a clinit none but those that it holds already."""
    held = {int(fd.name) for fd in Path(f"/proc/{d.pid}/fd").iterdir()}
    lowest = next(number for number in itertools.count() if number not in held)
    resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (lowest, lowest))


# --- descriptors ---------------------------------------------------------------------------


@needs_cgroups
def test_kill_at_ends_more_processes_than_there_are_descriptors(start: Start) -> None:
    d = start(
        "g:a:start:respawn:trap '' INT TERM; for i in $(seq 150); do sleep 7701 & done; wait\n"
        "h:b:start:respawn:trap '' INT TERM; while :; do sleep 7702; done\n",
        limits={},
    )
    now = boottime()
    for group in ("g", "h"):
        d.tell(group, "start", term=1, stop_at=now + 2, kill_at=now + 3)
    wait_until(lambda: len(pids_of("sleep 7701")) == 150 and pids_of("sleep 7702"))
    take_descriptors(d)
    wait_until(lambda: not pids_of("sleep 7701") and not pids_of("sleep 7702"))
    assert d.status is None


@needs_cgroups
def test_an_orderly_stop_without_descriptors_ends_what_a_daemon_left_running(start: Start) -> None:
    d = start("g:a:start:wait:setsid -f sleep 7703\n", limits=QUICK)
    d.tell("g", "start")
    d.wait_for("start DONE")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(d.socket))
        client.sendall(msgspec.json.encode(Hello()) + b"\n")
        assert client.recv(1024)
        take_descriptors(d)
        client.sendall(msgspec.json.encode(Tell("g", "stop")) + b"\n")
        wait_until(lambda: not pids_of("sleep 7703"))
    assert d.status is None


def test_clinit_raises_its_limit_of_open_files_and_its_children_keep_theirs(
    start_in: Start,
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    d = start_in("g:a:start:wait:ulimit -Sn >> {OUT}\n", open_files=500)
    d.tell("g", "start")
    d.wait_for("start DONE")
    assert resource.prlimit(d.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    assert d.lines() == ["500"]


def test_what_kills_gets_a_descriptor_when_no_other_is_left() -> None:
    with without_descriptors(but_spares=True):
        for _ in range(2):  # what was given up for a moment is held again
            with pytest.raises(OSError, match="Too many open files"):
                os.open(os.devnull, os.O_RDONLY)
            descriptors.with_spare(lambda: os.close(os.open(os.devnull, os.O_RDONLY)))


# --- signals -------------------------------------------------------------------------------

AS_NOBODY = """
    import os, pathlib, signal, sys
    from mosha.clinit import cgroups, descriptors
    os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
    sent = cgroups.send(pathlib.Path({cgroup!r}), signal.SIGTERM, 0)
    print(sorted(sent.pids), sorted(sent.failed))
"""


@needs_cgroups
@needs_root
def test_a_process_that_may_not_be_signalled_keeps_no_other_from_its_signal(cgroup: Path) -> None:
    with (
        subprocess.Popen(["/bin/sleep", "7704"]) as roots,
        subprocess.Popen(["/bin/sleep", "7705"], user=NOBODY) as nobodys,
        subprocess.Popen(["/bin/sleep", "7706"]) as roots_too,
    ):
        for process in (roots, nobodys, roots_too):
            (cgroup / "cgroup.procs").write_text(str(process.pid))
        text = textwrap.dedent(AS_NOBODY).format(nobody=NOBODY, cgroup=str(cgroup))
        sent = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, check=False)
        cgroups.kill(cgroup)
    out = sent.stdout
    assert out.decode().strip() == f"[{nobodys.pid}] {sorted([roots.pid, roots_too.pid])}"
    assert nobodys.returncode == -signal.SIGTERM


@needs_cgroups
@pytest.mark.parametrize("deadline", [False, True], ids=["told", "kill_at"])
def test_a_leader_that_leaves_its_cgroup_is_ended_all_the_same(
    start: Start, cgroup: Path, *, deadline: bool
) -> None:
    d = start(
        f"g:a:start:respawn:echo 0 > {cgroup}/cgroup.procs; trap '' INT TERM;"
        " while :; do read -t 1 x < /dev/zero; done\n".replace(
            "read -t 1 x < /dev/zero", "sleep 1"
        ),
        limits={"kill_again_s": 3600.0} if deadline else QUICK,
    )
    now = boottime()
    leases = {"term": 1, "stop_at": now + 1.0, "kill_at": now + 1.5} if deadline else {}
    d.tell("g", "start", **leases)
    pid = d.pid_of("a")
    wait_until(lambda: pid in cgroups.pids(cgroup))
    assert d.group().alive == 1
    if not deadline:
        d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert not is_alive(pid)


# --- threads -------------------------------------------------------------------------------

WITHOUT_THREADS = """
    import asyncio, resource
    from mosha.host.abandonable import Abandonable
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 20),) * 2)
    async def main():
        files = Abandonable("cltab")
        for _ in range(2):
            try:
                await files.run(lambda: 1, 5.0)
            except OSError as error:
                print(error.errno, error.strerror)
    asyncio.run(main())
"""


def test_a_thread_that_cannot_be_started_is_an_error_like_any_other() -> None:
    text = textwrap.dedent(WITHOUT_THREADS)
    out = subprocess.run([sys.executable, "-c", text], capture_output=True, check=True).stdout
    assert out.decode().splitlines() == ["11 cltab: can't start new thread"] * 2


# --- what is raised ------------------------------------------------------------------------


async def test_an_exception_of_a_callback_has_everything_killed_before_clinit_ends() -> None:
    killed: list[str] = []
    faults = Faults(lambda: killed.append("all"))
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(int, "the second one changes nothing")
    with pytest.raises(ZeroDivisionError):
        await faults.raise_first()
    assert killed == ["all"]


@pytest.mark.parametrize(
    ("context", "contained"),
    [
        ({"message": "Fatal write error", "exception": OSError(5, "x"), "transport": 1}, True),
        ({"message": "no exception at all"}, True),
        ({"message": "never retrieved", "exception": OSError(5, "x"), "future": 1}, True),
        ({"message": "never retrieved", "exception": KeyError("x"), "future": 1}, False),
        ({"message": "in a callback", "exception": OSError(24, "x"), "handle": 1}, False),
    ],
)
async def test_one_client_or_question_is_contained_and_all_else_ends_clinit(
    context: dict[str, Any], *, contained: bool
) -> None:
    killed: list[str] = []
    faults = Faults(lambda: killed.append("all"))
    asyncio.get_running_loop().call_exception_handler(context)
    assert bool(killed) is not contained
    if not contained:
        with pytest.raises(type(context["exception"])):
            await faults.raise_first()
