"""`mosha run` as a process of its own: its log, its end, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Home
from tests.waiting import wait_until

LIMIT_S = 30.0


class Run:
    """A running monitor of a cluster of one; its stderr goes to a file."""

    def __init__(self, home: Home, *words: str) -> None:
        home.config.write_text(home.config.read_text().replace("[1, 2, 3]", "[1]"))
        self.told = home.base / "told"
        command = f'echo "$MOSHA_CONFIG" > {self.told}'
        (home.tables / "cltab").write_text(f"web:w:start:wait:{command}\n")
        (home.tables / "hactl").write_text("web start\n")
        self.log = home.base / "log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mosha.cli.main", *words, "--config", home.config.name],
                cwd=home.config.parent,
                stderr=file,
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                env=os.environ,
            )

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=LIMIT_S)
        assert out == b""
        return self.process.returncode


@pytest.fixture
def run(home: Home, request: pytest.FixtureRequest) -> Iterator[Run]:
    running = Run(home, *request.param)
    try:
        wait_until(
            lambda: running.said("monitor_started") or running.said("monitor started"), LIMIT_S
        )
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


@pytest.mark.parametrize("run", [["run"], []], indirect=True)
def test_the_log_is_json_lines_where_no_terminal_is_and_sigterm_ends_it_well(run: Run) -> None:
    wait_until(lambda: run.said('"start DONE"'), LIMIT_S)
    assert run.end() == 0
    lines = [json.loads(line) for line in run.log.read_text().splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert "monitor_stopped" in [line["event"] for line in lines]


@pytest.mark.parametrize("run", [["run"]], indirect=True)
def test_what_it_starts_finds_the_same_settings(run: Run, home: Home) -> None:
    wait_until(lambda: run.said('"start DONE"'), LIMIT_S)
    assert run.told.read_text() == f"{home.config}\n"


@pytest.mark.parametrize("run", [["run", "--debug"]], indirect=True)
def test_debug_logs_for_people(run: Run) -> None:
    assert run.end() == 0
    lines = run.log.read_text().splitlines()
    for event in ("monitor started", "clinit started"):
        (line,) = (line for line in lines if event in line)
        assert not line.startswith("{")


def refused(home: Home) -> subprocess.CompletedProcess[str]:
    """Return how a monitor that cannot run ends; in a process, for it sets up its log."""
    return subprocess.run(
        [sys.executable, "-m", "mosha.cli.main", "run", "--config", str(home.config)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_a_node_number_that_cannot_be_had_is_told_without_a_traceback(home: Home) -> None:
    text = home.config.read_text().replace("mynode = 1\n", 'mwhois = "echo nobody"\n')
    home.config.write_text(text)
    ended = refused(home)
    assert ended.returncode == 2
    assert ended.stderr.startswith("mosha: no node number")


def test_a_directory_that_cannot_be_made_is_told_without_a_traceback(home: Home) -> None:
    file = home.base / "file"
    file.touch()
    home.config.write_text(home.config.read_text().replace(str(home.rundir), f"{file}/run"))
    ended = refused(home)
    assert ended.returncode in {1, 2}
    assert "Traceback" not in ended.stderr
    assert str(file) in ended.stderr
