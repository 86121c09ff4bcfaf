"""The demo for real: it must go well, must be able to go badly, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosha.cli.demo.processes import MARK, marked
from mosha.host.clock import boottime
from tests.waiting import wait_until

LIMIT_S = 60.0


def proc(pid: int, name: str) -> bytes:
    """Return a file of a process, nothing if it has gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


class Demo:
    """`mosha demo` in a directory of its own."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mosha.cli.main", "demo", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(directory)},
            start_new_session=True,
        )

    @property
    def witness(self) -> Path | None:
        return next(self.directory.glob("mosha-*/witness"), None)

    def shows(self, word: str) -> bool:
        """Say whether a process of a group has noted something."""
        return self.witness is not None and word in self.witness.read_text()

    def has_logged(self, node: int) -> bool:
        """Say whether the monitor of a node has begun to tell what it does."""
        return any(log.stat().st_size for log in self.directory.glob(f"mosha-*/{node}.log"))

    def pids(self) -> list[int]:
        """Return all processes of its nodes."""
        own = f"TMPDIR={self.directory}\0".encode()
        return [pid for pid in marked("") if own in proc(pid, "environ")]

    def monitor(self, node: int) -> int:
        """Return the monitor of one node."""
        ending = f"run\0--config\0{self.directory}".encode()
        file = f"/{node}.toml\0".encode()
        lines = {pid: proc(pid, "cmdline") for pid in self.pids()}
        (pid,) = [pid for pid, line in lines.items() if ending in line and line.endswith(file)]
        return pid

    def end(self) -> tuple[int, str, str]:
        """Return exit status, stdout and stderr, when it has ended."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, err


@pytest.fixture
def demo(short_dir: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    """A running demo; afterwards nothing of it is there."""
    made = Demo(short_dir, *getattr(request, "param", ["--json"]))
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.send_signal(signal.SIGINT)
        made.process.communicate(timeout=LIMIT_S)
    assert made.pids() == []
    assert list(short_dir.iterdir()) == []


@pytest.mark.parametrize("demo", [["--json", "--keep"]], indirect=True)
def test_the_demo_goes_well_sums_up_in_one_json_object_and_keeps_its_files(
    demo: Demo, short_dir: Path
) -> None:
    status, out, err = demo.end()
    summary = json.loads(out)
    assert status == 0, err
    assert (summary["nodes"], summary["groups"], summary["overlaps"]) == (3, 6, 0)
    assert summary["ok"]
    assert summary["moved"] >= 1
    assert summary["instances"] > 6
    assert 0 < summary["all_running_s"] < 20
    assert 1 < summary["failover_s"] < 10
    assert summary["total_s"] < 30
    assert "loses power" in err
    assert "OK: 6 of 6 groups as wanted" in err
    (kept,) = short_dir.iterdir()
    assert summary["directory"] == str(kept)
    assert f"kept: {kept}" in err
    assert (kept / "1.log").read_text()
    assert (kept / "mfs/2/var/mosix-ha/cltab").read_text()
    assert demo.pids() == []
    shutil.rmtree(kept)  # the fixture wants it gone


@pytest.mark.parametrize("demo", [["--json", "--groups", "1"]], indirect=True)
def test_an_instance_too_many_in_the_witness_file_is_exit_status_1(demo: Demo) -> None:
    wait_until(lambda: demo.shows("web"), LIMIT_S)
    assert demo.witness is not None
    with demo.witness.open("a") as file:
        file.write(f"{boottime():.4f} web 9 99 4194305 start\n")
        file.write(f"{boottime() + 30:.4f} web 9 99 4194305 alive\n")
    status, out, err = demo.end()
    summary = json.loads(out)
    assert status == 1
    assert not summary["ok"]
    assert summary["overlaps"] >= 1
    assert "node 9" in summary["together"][0]
    assert "together for" in " ".join(err.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_interrupted_leaves_nothing_behind(
    demo: Demo, number: signal.Signals
) -> None:
    wait_until(lambda: demo.shows("start"), LIMIT_S)
    demo.process.send_signal(number)
    status, out, err = demo.end()
    assert (status, out) == (1, "")
    assert err.endswith("aborted\n")


def test_a_node_that_ends_by_itself_fails_the_demo_with_the_reason(demo: Demo) -> None:
    # Early: later the demo may just be killing that node itself.
    wait_until(lambda: demo.has_logged(1), LIMIT_S)
    os.kill(demo.monitor(1), signal.SIGKILL)
    status, out, err = demo.end()
    assert status == 1, out
    assert json.loads(out)["error"] == "the monitor of node 1 has ended"
    assert "last lines of the log of node 1" in err


def test_a_directory_too_deep_for_sockets_is_told_before_anything_starts(short_dir: Path) -> None:
    deep = short_dir / ("d" * 90)
    deep.mkdir()
    made = Demo(deep)
    status, _, err = made.end()
    assert status == 2
    assert "TMPDIR" in err
    assert list(deep.iterdir()) == []


def test_processes_are_found_by_their_mark_and_by_nothing_else() -> None:
    mark = "test-of-the-mark"
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {MARK: f"{mark}.1"}) as a,
        subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {MARK: "other"}) as b,
        subprocess.Popen(command, stdin=subprocess.PIPE) as c,
    ):
        wait_until(lambda: marked(mark) == [a.pid])
        for process in (a, b, c):
            process.kill()
    assert marked(mark) == []
