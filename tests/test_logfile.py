"""A log file: rotated by size, never waited for, and a disk that is full stops nobody."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from mosha.host import logs
from mosha.host.log_stream import of_stderr
from mosha.host.logfile import QUEUE_MAX_BYTES, LogFile, beside
from tests.clinit.descriptors import open_files
from tests.waiting import wait_until


def lines_of(*paths: Path) -> list[str]:
    """Return the lines of files that are there, one file after the other."""
    return [line for path in paths if path.exists() for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mosha.log"


def test_what_is_there_already_is_continued(path: Path) -> None:
    path.write_text("one\n")
    file = LogFile(path, max_bytes=1000, keep=1)
    file.write("two\n")
    file.close()
    assert lines_of(path) == ["one", "two"]


def test_a_line_without_its_end_is_not_joined_with_the_next_one(path: Path) -> None:
    path.write_text("to")
    file = LogFile(path, max_bytes=1000, keep=1)
    file.write("two\n")
    file.close()
    assert lines_of(path) == ["to", "two"]


def test_at_its_size_the_file_is_moved_on_and_the_oldest_goes(path: Path) -> None:
    file = LogFile(path, max_bytes=100, keep=2)
    for number in range(100):
        file.write(f"line {number:04d}\n")
    file.close()
    old = [path.with_name("mosha.log.2"), path.with_name("mosha.log.1")]
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(p.name for p in [path, *old])
    assert all(p.stat().st_size <= 100 for p in [path, *old])
    assert lines_of(*old, path) == [f"line {number:04d}" for number in range(70, 100)]


def test_a_line_longer_than_a_file_has_one_of_its_own(path: Path) -> None:
    file = LogFile(path, max_bytes=10, keep=3)
    for text in ("a\n", "b" * 50 + "\n", "c\n"):
        file.write(text)
    file.close()
    found = [lines_of(path.with_name(f"mosha.log.{n}")) for n in (2, 1)]
    assert [*found, lines_of(path)] == [["a"], ["b" * 50], ["c"]]


def test_a_file_that_somebody_moved_away_is_made_anew(path: Path) -> None:
    file = LogFile(path, max_bytes=1000, keep=1)
    file.write("one\n")
    wait_until(lambda: lines_of(path) == ["one"])
    path.rename(path.with_name("moved"))
    file.write("two\n")
    wait_until(lambda: lines_of(path) == ["two"])
    file.close()


def test_a_full_disk_is_told_once_and_what_was_lost_is_counted_afterwards(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path.symlink_to("/dev/full")
    file = LogFile(path, max_bytes=1000, keep=1, retry_s=0.01)
    for number in range(20):
        file.write(f"{number}\n")
        wait_until(lambda: file.lines.idle)
    path.unlink()
    wait_until(lambda: not file.trouble)  # what comes while it is left alone is lost, too
    file.write("after\n")
    wait_until(lambda: path.exists() and len(lines_of(path)) == 2)
    file.close()
    gap, after = lines_of(path)
    told = json.loads(gap)
    assert (told["event"], told["lines"], told["level"]) == ("output_dropped", 20, "warning")
    assert "No space left" in told["reason"]
    assert after == "after"
    wait_until(lambda: of_stderr().lines.idle)
    said = capfd.readouterr().err
    assert said.count("No space left on device") == 1
    assert str(path) in said


def test_a_directory_that_is_not_there_stops_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gone" / "mosha.log"
    file = LogFile(path, max_bytes=1000, keep=1, retry_s=0.01)
    file.write("one\n")
    wait_until(lambda: file.lines.lost)
    wait_until(lambda: file.lines.idle and of_stderr().lines.idle)
    # Read once: what is written while the capture is emptied would be gone.
    assert "No such file" in capfd.readouterr().err
    path.parent.mkdir()
    wait_until(lambda: not file.trouble)
    file.write("two\n")
    wait_until(lambda: lines_of(path)[-1:] == ["two"])
    file.close()


def test_a_disk_that_is_mended_gets_the_count_though_nothing_more_is_logged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gone" / "mosha.log"
    file = LogFile(path, max_bytes=1000, keep=1, retry_s=0.01)
    file.write("one\n")
    wait_until(lambda: file.lines.lost)
    path.parent.mkdir()
    wait_until(lambda: not file.trouble)
    file.close()
    (gap,) = lines_of(path)
    assert json.loads(gap)["lines"] == 1


def test_what_a_disk_does_not_take_in_time_is_dropped_and_counted(path: Path) -> None:
    file = LogFile(path, max_bytes=1 << 30, keep=1)
    line = "x" * 1023 + "\n"
    with file.lines.news:  # the thread stands still, as before a disk that hangs
        for _ in range(QUEUE_MAX_BYTES // 1024 + 5):
            file.write(line)
        assert file.lines.lost == 5
        assert file.lines.queued_bytes == QUEUE_MAX_BYTES
    file.close(limit_s=30)
    assert len(lines_of(path)) == QUEUE_MAX_BYTES // 1024 + 1


def test_the_other_daemon_has_a_file_of_its_own_beside(path: Path) -> None:
    assert beside(path, "clinit").name == "mosha-clinit.log"
    words = LogFile(path, max_bytes=5000, keep=7).words()
    assert words == [
        *("--log-file", str(path.with_name("mosha-clinit.log"))),
        *("--log-max-bytes", "5000", "--log-keep", "7"),
    ]


# --- the log into it -------------------------------------------------------------------------


@pytest.fixture
def logging_again() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


@pytest.mark.usefixtures("logging_again")
def test_the_json_lines_go_into_the_file_and_nothing_to_stderr(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = LogFile(path, max_bytes=10_000, keep=1)
    logs.configure(people=False, file=file, fields={"node": 3})
    assert logs.file_in_force() is file
    logs.get().info("clinit_started", pid=1)
    file.close()
    (line,) = map(json.loads, lines_of(path))
    assert (line["event"], line["node"], line["level"]) == ("clinit_started", 3, "info")
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("logging_again")
def test_people_at_a_terminal_get_their_lines_besides(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = LogFile(path, max_bytes=10_000, keep=1)
    with os.fdopen(os.dup(2), "w", buffering=1) as terminal:
        logs.configure(people=True, file=file, stream=terminal)
        logs.get().warning("clinit_started", pid=1)
    file.close()
    assert json.loads(lines_of(path)[0])["pid"] == 1
    assert "WARNING      clinit started pid=1\n" in capfd.readouterr().err


def test_nobody_but_its_owner_and_group_may_read_it(tmp_path: Path) -> None:
    """What services print may be in it."""
    before = os.umask(0)
    try:
        file = LogFile(tmp_path / "log", max_bytes=4096, keep=1)
        file.write("x\n")
        file.close(10.0)
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


def test_a_rotation_keeps_no_descriptor(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log", max_bytes=10, keep=2)
    file.write("one line\n")
    wait_until(lambda: file.lines.idle)
    before = open_files()
    for _ in range(5):
        file.write("one line\n")
        wait_until(lambda: file.lines.idle)
    assert open_files() == before
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1", "log.2"}
    file.close(10.0)


def test_that_it_cannot_be_written_is_said_again_when_it_comes_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made" / "log"
    file = LogFile(path, max_bytes=4096, keep=1, retry_s=0.01)
    for _ in range(2):
        file.write("lost\n")
        wait_until(lambda: file.lines.lost)
        path.parent.mkdir()
        file.write("written\n")
        wait_until(lambda: not file.lines.lost and file.lines.idle)
        shutil.rmtree(path.parent)
    file.close(10.0)
    wait_until(lambda: of_stderr().lines.idle)
    assert capfd.readouterr().err.count("cannot write the log") == 2


def test_a_disk_that_has_failed_is_left_alone_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "log"
    file = LogFile(path, max_bytes=4096, keep=1, retry_s=3600.0)
    file.write("one\n")
    wait_until(lambda: file.lines.lost == 1)
    path.parent.mkdir()
    file.write("two\n")
    wait_until(lambda: file.lines.idle)
    assert (file.lines.lost, path.exists()) == (2, False)
    assert file.trouble.endswith("No such file or directory")
    file.close()
