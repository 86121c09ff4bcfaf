"""What commands do whose output is closed, full, not read to its end, or not in UTF-8."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

from mosha.formats.hastat import Report
from tests.cli.conftest import Home
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, on, report
from tests.waiting import LIMIT_S

MOSHA = [sys.executable, "-m", "mosha.cli.main"]
CLINIT = [sys.executable, "-m", "mosha.cli.clinit"]
GOOD = report()
BAD = report(problems=["naïve …"], groups=[group("w" * 40, on(1), ok=False, why="naïve …")])
MANY = report(groups=[group(f"g{number:04}", on(1)) for number in range(3000)])


def run(command: list[str], after: str = "", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command with a redirection or a pipe behind it; its own status counts."""
    line = f"{shlex.join(command)} {after}; exit ${{PIPESTATUS[0]}}"
    return subprocess.run(
        ["/bin/bash", "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
        env={**os.environ, **environ},
    )


def status(home: Home, *words: str) -> list[str]:
    return [*MOSHA, "status", *words, "--config", str(home.config)]


@pytest.mark.parametrize("after", [">&-", "| true", "| head -1", ">&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("shown", "code", "words"), [(GOOD, 0, ()), (BAD, 1, ("--json",)), (MANY, 0, ())]
)
def test_the_exit_status_says_how_things_are_whoever_reads(
    home: Home, after: str, shown: Report, code: int, words: tuple[str, ...]
) -> None:
    with FakeMonitor(home.rundir, shown):
        ended = run(status(home, *words), after)
    assert (ended.returncode, ended.stderr) == (code, b"")


def test_output_that_cannot_be_written_is_said_and_is_status_1(home: Home) -> None:
    with FakeMonitor(home.rundir, GOOD):
        ended = run(status(home), ">/dev/full")
    told = b"mosha: cannot write the output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, told)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["logs", "--help"], ["demo", "-h"]])
def test_help_that_cannot_be_written_is_no_traceback(words: list[str]) -> None:
    ended = run([*MOSHA, *words], ">/dev/full")
    told = b"mosha: cannot write the output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, told)
    for after in (">&-", "| true"):
        ended = run([*MOSHA, *words], after)
        assert (ended.returncode, ended.stderr) == (0, b"")


def test_clinit_keeps_the_same_promises() -> None:
    told = b"clinit: cannot write the output: No space left on device\n"
    ended = run([*CLINIT, "--help"], ">/dev/full")
    assert (ended.returncode, ended.stderr) == (1, told)
    for after, words in ((">&-", "--help"), ("| true", "--help"), ("| head -1", "--version")):
        ended = run([*CLINIT, words], after)
        assert (ended.returncode, ended.stderr) == (0, b"")
    ended = run([*CLINIT, "-s", "/nowhere/s", "g", "1"], ">&- 2>&-")
    assert ended.returncode == 3


def test_a_log_is_read_no_further_than_somebody_reads(home: Home) -> None:
    log = home.base / "log"
    log.write_text('{"event": "x"}\n' * 200_000)
    ended = run([*MOSHA, "logs", str(log)], "| head -1")
    assert (ended.returncode, ended.stdout.count(b"\n"), ended.stderr) == (0, 1, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_a_terminal_cannot_show_is_replaced(home: Home, encoding: str) -> None:
    with FakeMonitor(home.rundir, BAD):
        people = run(status(home), PYTHONIOENCODING=encoding, COLUMNS="80")
        data = run(status(home, "--json"), PYTHONIOENCODING=encoding)
    assert (people.returncode, people.stderr) == (1, b"")
    assert b"na" in people.stdout
    assert b"w?" in people.stdout
    assert json.loads(data.stdout.decode("utf-8"))["groups"][0]["why"] == "naïve …"
    for words in (["logs", "--help"], ["--help"]):
        ended = run([*MOSHA, *words], PYTHONIOENCODING=encoding)
        assert (ended.returncode, ended.stderr) == (0, b"")


def test_bytes_of_a_path_that_are_no_text_are_shown_escaped(home: Home) -> None:
    with FakeMonitor(home.rundir, report(nodes=[node(1, "self", error="x")])):
        ended = run([*MOSHA, "check", os.fsdecode(b"/nowhere/\xff")])
    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr
