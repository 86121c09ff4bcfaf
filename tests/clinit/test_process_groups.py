"""A signal for a process group: what is forked meanwhile gets it too, and nobody twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mosha.clinit.process_groups import Sending
from tests.clinit.conftest import Start
from tests.clinit.daemon import QUICK
from tests.waiting import wait_until

FORKING = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
for _ in range(400):
    if os.fork() == 0:
        break
time.sleep(7781)
"""
COUNTING = """
import os, signal, sys, time
out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
signal.signal(signal.SIGINT, lambda *_: os.write(out, b"INT\\n"))
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for _ in range(3):
    if os.fork() == 0:
        break
else:
    if os.fork() == 0:
        os.setsid()
os.write(out, b"ready\\n")
while True:
    time.sleep(0.01)
"""


def test_what_is_forked_while_a_stop_is_signalled_gets_the_signal_too(start_in: Start) -> None:
    d = start_in(
        "g:a:1:respawn:exec python3 -I -S {OUT}.py\n", limits=QUICK | {"int_to_term_s": 60.0}
    )
    Path(f"{d.out}.py").write_text(FORKING, encoding="ascii")
    d.tell("g", "1")
    wait_until(lambda: d.group().alive > 20)
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert {line["signal"] for line in d.log("entry_signalled")} == {"INT"}


def test_each_process_of_an_entry_gets_a_signal_once(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:exec python3 -I -S {OUT}.py {OUT}\n")
    Path(f"{d.out}.py").write_text(COUNTING, encoding="ascii")
    d.tell("g", "1")
    wait_until(lambda: len(d.lines()) == 5)
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert d.lines() == [*5 * ["ready"], *5 * ["INT"]]
    (first, *_) = d.log("entry_signalled")
    assert (first["signal"], len(first["pids"])) == ("INT", 5)


# Signals of real time are queued: of two equal ones that wait, none is merged with the other.
QUEUING = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
print("ready", flush=True)
sys.stdin.readline()
count = 0
while signal.sigtimedwait({signal.SIGRTMIN}, 0):
    count += 1
print(count)
"""


def test_the_leader_of_a_process_group_gets_a_signal_once() -> None:
    words = [sys.executable, "-I", "-S", "-c", QUEUING]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            Sending(signal.SIGRTMIN).to_child(process.pid)
            said, _ = process.communicate("\n")
            assert said == "1\n"
        finally:
            process.kill()


def test_who_has_ended_by_the_signal_of_its_group_has_had_it() -> None:
    words = ["sleep", "7783"]
    with (
        subprocess.Popen(words, process_group=0) as leader,
        subprocess.Popen(words, process_group=leader.pid) as member,
    ):
        sending = Sending(signal.SIGTERM)
        fds = [os.pidfd_open(process.pid) for process in (leader, member)]
        try:
            sending.to(leader.pid, leader.pid, fds[0])
            if not sending.had_by(leader.pid):
                pytest.skip("before Linux 6.9 the members of a group are signalled singly")
            member.wait()
            sending.to(member.pid, leader.pid, fds[1])
            assert (leader.wait(), member.returncode) == (-signal.SIGTERM, -signal.SIGTERM)
        finally:
            for fd in fds:
                os.close(fd)
            leader.kill()
            member.kill()
