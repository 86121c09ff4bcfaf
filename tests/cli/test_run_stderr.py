"""`mosha run` whose stderr is gone, full, held or closed: the node lives on, and says so."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mosha.control.calls import NoAnswerError, call
from mosha.control.protocol import Shutdown
from mosha.host import proc
from mosha.monitor.clinit_place import living_clinit
from tests.cli.conftest import Home
from tests.waiting import wait_until

LIMIT_S = 30.0
TABLE = "web:w:start:respawn:exec sleep 1000\n"


class Node:
    """A monitor of a cluster of one with a stderr of the test's; ended with all that it has."""

    def __init__(self, home: Home, stderr: int | None, *words: str) -> None:
        home.config.write_text(home.config.read_text().replace("[1, 2, 3]", "[1]"))
        (home.tables / "cltab").write_text(TABLE)
        (home.tables / "hactl").write_text("web start\n")
        self._hastat = home.tables / "hastat"
        self._socket = home.rundir / "mosha.s"
        run = [sys.executable, "-m", "mosha.cli.main", "run", *words, "--config", str(home.config)]
        closing = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh"] if stderr is None else []
        self.process = subprocess.Popen(
            [*closing, *run], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr
        )

    def problems(self) -> str:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            told: object = json.loads(self._hastat.read_bytes())["problems"]
            return str(told)
        return ""

    def runs(self) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}"
        if not self._hastat.exists():
            return False
        report = json.loads(self._hastat.read_bytes())
        return any(group["where"] == [1] and group["ok"] for group in report["groups"])

    def leave(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_S)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def end(node: Node) -> None:
    if node.process.poll() is None:
        node.leave()


def end_with_clinit(node: Node, home: Home) -> None:
    """End what a hand-over has left, or did not come to; its files are gone then."""
    clinit = living_clinit(home.rundir / "state")
    end(node)
    with contextlib.suppress(NoAnswerError):
        call(home.rundir / "clinit.s", Shutdown())
    wait_until(lambda: not clinit or not proc.see(clinit), LIMIT_S)


def reader_gone(stack: ExitStack) -> int:
    reading, writing = os.pipe()
    os.close(reading)
    stack.callback(os.close, writing)
    return writing


def disk_full(stack: ExitStack) -> int:
    fd = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd


@pytest.mark.parametrize(
    ("make", "reason"),
    [(reader_gone, "stderr: Broken pipe"), (disk_full, "stderr: No space left on device")],
)
@pytest.mark.parametrize("words", [(), ("--debug",)])
def test_a_log_that_cannot_be_written_is_a_problem_of_the_status_and_the_node_lives_on(
    home: Home,
    stack: ExitStack,
    make: Callable[[ExitStack], int],
    reason: str,
    words: tuple[str, ...],
) -> None:
    node = Node(home, make(stack), *words)
    stack.callback(end, node)
    wait_until(node.runs, LIMIT_S)
    wait_until(lambda: f"lines of the log are lost: {reason}" in node.problems(), LIMIT_S)
    assert node.leave() == 0


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_stderr_that_takes_nothing_holds_up_nothing(
    home: Home, stack: ExitStack, kind: str
) -> None:
    reading, writing = os.pipe() if kind == "pipe" else pty.openpty()
    stack.callback(os.close, reading)
    stack.callback(os.close, writing)
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 100):
            pass
    os.set_blocking(writing, True)
    node = Node(home, writing, "--debug")
    stack.callback(end, node)
    wait_until(node.runs, LIMIT_S)
    assert node.leave() == 0


def waits_in_a_lock(pid: int) -> bool:
    """Say whether the first thread of a process waits for another one (proc(5): wchan)."""
    return Path(f"/proc/{pid}/wchan").read_text(encoding="ascii").startswith("futex")


def test_a_hand_over_ends_when_its_last_lines_are_written(home: Home, stack: ExitStack) -> None:
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    stack.callback(os.close, writing)
    os.set_blocking(reading, False)
    node = Node(home, writing)
    stack.callback(end_with_clinit, node, home)
    wait_until(node.runs, LIMIT_S)
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"\n"):
            pass
    os.set_blocking(writing, True)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(home.rundir / "mosha.s"))
        client.sendall(b"nonsense\n")
        assert client.recv(1 << 16)  # so a line about it waits for room in the pipe
    node.process.send_signal(signal.SIGUSR1)
    over = home.rundir / "mosha.s"
    wait_until(lambda: not over.exists(), LIMIT_S)
    wait_until(lambda: node.process.poll() or waits_in_a_lock(node.process.pid), LIMIT_S)
    said = bytearray()

    def told() -> bool:
        with contextlib.suppress(BlockingIOError):
            said.extend(os.read(reading, 1 << 16))
        return b'"client_refused"' in said

    wait_until(lambda: told() or node.process.poll(), LIMIT_S)
    assert node.process.wait(LIMIT_S) == -signal.SIGUSR1
    assert told()


def test_a_closed_stderr_is_as_the_null_device(home: Home, stack: ExitStack) -> None:
    node = Node(home, None)
    stack.callback(end, node)
    wait_until(node.runs, LIMIT_S)
    assert "log" not in node.problems()
    assert node.leave() == 0


def test_a_monitor_that_is_started_again_and_its_clinit_lose_no_lines_in_a_file_of_both(
    home: Home, stack: ExitStack
) -> None:
    path = home.rundir / "node.log"
    path.parent.mkdir(exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    first = os.open(path, flags)  # as `2> FILE`
    stack.callback(os.close, first)
    node = Node(home, first)
    stack.callback(end_with_clinit, node, home)
    wait_until(node.runs, LIMIT_S)
    node.process.kill()
    node.process.wait()
    second = os.open(path, flags | os.O_APPEND)  # as `2>> FILE`
    stack.callback(os.close, second)
    again = Node(home, second)
    stack.callback(end, again)

    def events() -> list[str]:
        return [json.loads(line)["event"] for line in path.read_text().splitlines()]

    wait_until(lambda: events().count("monitor_started") == 2, LIMIT_S)
    assert again.leave() == 0  # and clinit has written of its end by its own descriptor
    assert events().count("monitor_started") == 2
    assert "clinit_stopped" in events()
    assert events()[-1] == "monitor_stopped"
