"""The kernel's witness: who lived when, whatever the processes do to be missed."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mosha.cli.demo import overlaps, processes
from mosha.host.clock import boottime
from tests.chaos import kernel, lives, verdict
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mosha.cli.demo.overlaps import Ran


@pytest.fixture
def mark() -> str:
    return secrets.token_hex(6)


@pytest.fixture
def witness(mark: str) -> Iterator[lives.KernelWitness]:
    if why := kernel.missing():
        pytest.skip(why)
    with lives.KernelWitness(mark) as made:
        yield made


def variables(mark: str, node: int, token: int, level: str = "start") -> dict[str, str]:
    return os.environ | {
        processes.MARK: f"{mark}.{node}",
        "MOSHA_GROUP": "g",
        "MOSHA_NODE": str(node),
        "MOSHA_TOKEN": str(token),
        "MOSHA_LEVEL": level,
        "MOSHA_TAG": "main",
    }


def start(script: str, given: dict[str, str]) -> subprocess.Popen[str]:
    """Start a script of Python; it reports with a line that it has come to its point."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script],
        env=given,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


WAITING = "import sys; print('here', flush=True); sys.stdin.read()"
DAEMON = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sh", ["sh", "-c", "echo $$; exec sleep 7606"], {})
    os._exit(0)
os.wait()
"""
HEADLESS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
print("here", flush=True)
ctypes.CDLL(None).syscall(60, 0)
"""


def only(ran: list[Ran]) -> Ran:
    (one,) = ran
    return one


def test_a_stopped_process_lives_until_its_exit(mark: str, witness: lives.KernelWitness) -> None:
    before = boottime()
    process = start(WAITING, variables(mark, 1, 5))
    here = boottime()
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: _state(process.pid) == "T")
    stopped = boottime()
    end(process)
    record = witness.end()
    ran = only(record.ran)
    assert record.left == []
    assert (ran.group, ran.node, ran.term, ran.pid) == ("g", "1", 5, process.pid)
    assert before < ran.since < here < stopped < ran.until < boottime()
    assert record.lost == 0


def test_a_daemon_in_another_session_without_its_environment_is_of_its_group(
    mark: str, witness: lives.KernelWitness
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", DAEMON],
        env=variables(mark, 2, 7),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    daemon = int(process.stdout.readline())
    process.wait()
    left = boottime()
    os.kill(daemon, signal.SIGKILL)
    process.stdout.close()
    wait_until(lambda: not os.path.exists(f"/proc/{daemon}/environ") or _zombie(daemon))  # noqa: PTH110
    found = {ran.pid: ran for ran in witness.end().ran}
    assert found[process.pid].until < found[daemon].until
    assert (found[daemon].node, found[daemon].term) == ("2", 7)
    assert found[daemon].since < left < found[daemon].until


def _zombie(pid: int) -> bool:
    return _state(pid) in ("", "Z")


def _state(pid: int) -> str:
    """Return the state of a process as in proc(5), "" if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_process_lives_as_long_as_its_last_thread(
    mark: str, witness: lives.KernelWitness
) -> None:
    process = start(HEADLESS, variables(mark, 1, 5))
    wait_until(lambda: _zombie(process.pid))
    headless = boottime()
    process.communicate("")
    ran = only(witness.end().ran)
    assert ran.until > headless


def test_what_still_lives_at_the_end_and_strangers_are_told_apart(
    mark: str, witness: lives.KernelWitness
) -> None:
    mine, planned, other = (
        start(WAITING, variables(*words))
        for words in ((mark, 1, 5), (mark, 2, 6, "plan"), ("x" + mark, 2, 6))
    )
    now = boottime()
    record = witness.end()
    for process in (mine, planned, other):
        end(process)
    assert record.left == record.ran
    assert only(record.ran).pid == mine.pid
    assert only(record.ran).until > now
    assert record.unleased == 1


def test_two_nodes_at_once_and_two_claims_of_one_node_overlap(
    mark: str, witness: lives.KernelWitness
) -> None:
    processes = [
        start(WAITING, variables(mark, *words)) for words in ((1, 5), (1, 5), (1, 6), (2, 7))
    ]
    for process in processes:
        end(process)
    ran = witness.end().ran
    assert [one.term for one in ran] == [5, 5, 6, 7]
    assert len(overlaps.overlaps(ran)) == 6
    assert len(verdict.owners_at_once(ran)) == 5
    assert verdict.terms_out_of_order(ran) == []
    assert verdict.terms_out_of_order([ran[3], *ran[:3]])


def test_what_stood_still_until_its_machine_was_reset_lived_until_it_did() -> None:
    lines = ("1.0 9.0 g 1 5 start 77 a", "2.0 9.0 g 1 5 start 78 b", "1.0 7.0 g 1 5 start 79 c")
    text = "\n".join((*lines, "end 0\n"))
    still = lives.StoodStill(frozenset({77, 79}), 4.0, 8.0)
    ran = lives.without_still(lives.read_record(text).ran, [still])
    assert {one.pid: one.until for one in ran} == {77: 4.0, 78: 9.0, 79: 7.0}


def test_a_record_that_is_not_whole_is_no_proof() -> None:
    line = "1.0 2.0 g 1 5 start 77 main of g\n"
    record = lives.read_record(line + "3.0 4.0 g 1 5 plan 78 x\nleft\nend 2\n")
    assert (only(record.ran).pid, record.left, record.unleased, record.lost) == (77, [], 1, 2)
    with pytest.raises(ValueError, match="ends with"):
        lives.read_record(line + line[:30])
