"""Where lines come from: files that rotate, pipes and the journal, merged by time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.cli.logs import files
from mosha.cli.logs.files import FileSource
from mosha.cli.logs.journal import journal_line
from mosha.cli.logs.lines import Filter, key_of, time_key
from mosha.cli.logs.merge import HOLD_S, blocks
from mosha.cli.logs.pipes import PipeSource, journal_command
from mosha.cli.logs.when import moment
from mosha.errors import UsageError
from mosha.host.logfile import LogFile
from tests.cli.conftest import Home, Mosha
from tests.waiting import wait_until

NOW = datetime(2025, 11, 22, 10, 31, 2, tzinfo=UTC)


def line(number: int, second: float | None = None, **fields: object) -> bytes:
    when = NOW + timedelta(seconds=number if second is None else second)
    stamp = when.isoformat(timespec="microseconds")[:-6] + "Z"
    return json.dumps({"event": f"e{number}", "timestamp": stamp} | fields).encode()


def write(path: Path, *lines: bytes) -> Path:
    with path.open("ab") as file:
        file.write(b"".join(raw + b"\n" for raw in lines))
    return path


def merged(*paths: Path, since: str = "") -> list[str]:
    """Return the events of files, in the order they come out."""
    sources = [FileSource(path) for path in paths]
    found = blocks(sources, Filter(), since=since)
    return [fields["event"] if fields else raw.decode() for b in found for _, raw, fields in b]


# --- order -----------------------------------------------------------------------------------


def test_lines_of_several_files_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    files = [
        write(tmp_path / str(node), *(line(number) for number in range(node, 3000, 3)))
        for node in range(3)
    ]
    assert merged(*files) == [f"e{number}" for number in range(3000)]


def test_files_that_are_far_apart_in_time_are_not_gathered_in_memory(tmp_path: Path) -> None:
    early = write(tmp_path / "a", *(line(n) for n in range(20_000)))
    late = write(tmp_path / "b", *(line(n) for n in range(20_000, 30_000)))
    sources = [FileSource(late), FileSource(early)]
    sizes = [len(block) for block in blocks(sources, Filter()) if block]
    assert sum(sizes) == 30_000
    assert max(sizes) < 20_000


@given(st.lists(st.lists(st.floats(0, 100), max_size=30).map(sorted), min_size=1, max_size=4))
def test_nothing_is_lost_and_the_order_within_a_file_is_kept(seconds: list[list[float]]) -> None:
    class Fixed:
        ended = at_end = False

        def __init__(self, lines: list[bytes]) -> None:
            self.left = lines

        def fileno(self) -> int | None:
            return None

        def read(self) -> list[bytes]:
            found, self.left = self.left[:3], self.left[3:]
            self.ended = self.at_end = not found
            return found

        def close(self) -> None:
            pass

    sources = [
        Fixed([line(n, at, file=number) for n, at in enumerate(times)])
        for number, times in enumerate(seconds)
    ]
    found = [record for block in blocks(sources, Filter()) for record in block]
    assert [key for key, _, _ in found] == sorted(key for key, _, _ in found)
    for number, times in enumerate(seconds):
        own = [fields["event"] for _, _, fields in found if fields and fields["file"] == number]
        assert own == [f"e{n}" for n in range(len(times))]


def test_a_line_without_a_time_stays_behind_its_forerunner(tmp_path: Path) -> None:
    one = write(tmp_path / "a", line(1), b"STOMITH node 3", line(5))
    two = write(tmp_path / "b", line(0), line(2), line(3))
    assert merged(one, two) == ["e0", "e1", "STOMITH node 3", "e2", "e3", "e5"]


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    one = write(tmp_path / "a", line(1), b"old", line(5), b"new")
    assert merged(one, since=key_of(NOW + timedelta(seconds=4))) == ["e5", "new"]


def test_a_silent_source_holds_up_the_others_for_a_moment_only(tmp_path: Path) -> None:
    silent = write(tmp_path / "a", line(1))
    busy = write(tmp_path / "b", line(2), line(3))
    sources = [FileSource(path, follow=True) for path in (silent, busy)]
    found: list[str] = []
    began = datetime.now(UTC)
    for block in blocks(sources, Filter(), follow=True):
        found += [fields["event"] for _, _, fields in block if fields]
        if len(found) == 3:
            break
    assert found == ["e1", "e2", "e3"]
    assert (datetime.now(UTC) - began).total_seconds() >= HOLD_S


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("2025-11-22T10:31:02Z", "2025-11-22T10:31:02.000001Z"),
        ("2025-11-22T10:31:02.9Z", "2025-11-22T10:31:03Z"),
        ("2025-11-22T11:31:02+01:00", "2025-11-22T10:31:02.5Z"),
        ("no time", "2025-11-22T10:31:02Z"),
    ],
)
def test_keys_of_times_are_ordered_as_the_times_are(early: str, late: str) -> None:
    assert time_key(early) < time_key(late)


# --- rotation --------------------------------------------------------------------------------


class Rotating:
    """A log as a program writes it that rotates by renaming."""

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self.keep = keep
        path.touch()

    def numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def rotate(self) -> None:
        for number in range(self.keep, 0, -1):
            if self.numbered(number - 1).exists():
                self.numbered(number - 1).rename(self.numbered(number))
        self.path.touch()


def events(lines: list[bytes]) -> list[str]:
    return [json.loads(raw)["event"] for raw in lines]


def test_several_rotations_between_two_looks_lose_nothing(tmp_path: Path) -> None:
    log = Rotating(tmp_path / "log", keep=9)
    source = FileSource(log.path, follow=True)
    for number in range(8):
        write(log.path, line(2 * number), line(2 * number + 1))
        log.rotate()
    write(log.path, line(16))
    found: list[str] = []
    for _ in range(40):
        found += events(source.read())
    source.close()
    assert found == [f"e{number}" for number in range(17)]


def test_a_writer_that_rotates_all_the_time_is_followed_line_by_line(tmp_path: Path) -> None:
    log = Rotating(tmp_path / "log", keep=60)
    source = FileSource(log.path, follow=True)
    count = 3000

    def writes() -> None:
        for number in range(count):
            write(log.path, line(number))
            if number % 60 == 59:
                log.rotate()

    writer = threading.Thread(target=writes)
    writer.start()
    found: list[str] = []
    wait_until(lambda: len(found.__iadd__(events(source.read()))) >= count)
    writer.join()
    found += events(source.read())
    source.close()
    assert sorted(found) == sorted(f"e{number}" for number in range(count))
    assert found == [f"e{number}" for number in range(count)]


def test_a_file_that_is_being_renamed_while_the_directory_is_read_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Rotating(tmp_path / "log", keep=9)
    source = FileSource(log.path, follow=True)
    for number in range(5):
        write(log.path, line(number))
        log.rotate()
    shown, looks = files._rotated, iter(range(100))
    monkeypatch.setattr(
        files, "_rotated", lambda path: () if next(looks, 100) < 50 else shown(path)
    )
    found: list[str] = []
    wait_until(lambda: len(found.__iadd__(events(source.read()))) >= 5)
    source.close()
    assert found == [f"e{number}" for number in range(5)]


def test_of_what_was_deleted_meanwhile_the_oldest_that_is_left_comes_next(tmp_path: Path) -> None:
    log = Rotating(tmp_path / "log", keep=3)
    source = FileSource(log.path, follow=True)
    for number in range(6):
        write(log.path, line(number))
        log.rotate()
    found: list[str] = []
    wait_until(lambda: "e5" in found.__iadd__(events(source.read())))
    source.close()
    assert found == ["e0", "e3", "e4", "e5"]


def test_a_log_that_mosha_rotates_by_itself_is_followed_without_a_gap(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log", max_bytes=5000, keep=1000)
    file.write(line(0).decode() + "\n")
    wait_until((tmp_path / "log").exists)
    source = FileSource(tmp_path / "log", follow=True)
    for number in range(1, 5000):
        file.write(line(number).decode() + "\n")
    found: list[str] = []
    wait_until(lambda: len(found.__iadd__(events(source.read()))) >= 5000)
    file.close()
    source.close()
    assert found == [f"e{number}" for number in range(5000)]
    assert len(list(tmp_path.iterdir())) > 50


def test_a_line_that_is_cut_by_a_rotation_is_handed_on_whole(tmp_path: Path) -> None:
    log = Rotating(tmp_path / "log", keep=2)
    source = FileSource(log.path, follow=True)
    whole = line(1)
    log.path.write_bytes(whole[:20])
    assert source.read() == []
    log.rotate()
    write(log.path, line(2))
    with log.numbered(1).open("ab") as file:
        file.write(whole[20:] + b"\n")
    found: list[str] = []
    for _ in range(5):
        found += events(source.read())
    source.close()
    assert sorted(found) == ["e1", "e2"]


def test_history_begins_with_the_oldest_file(tmp_path: Path) -> None:
    log = Rotating(tmp_path / "log", keep=3)
    for number in range(3):
        write(log.path, line(number))
        log.rotate()
    write(log.path, line(3))
    source = FileSource(log.path, history=True)
    found: list[str] = []
    while not source.ended:
        found += events(source.read())
    assert found == ["e0", "e1", "e2", "e3"]


# --- pipes and the journal -------------------------------------------------------------------


def test_a_pipe_is_read_to_its_end() -> None:
    out, into = os.pipe()
    source = PipeSource(out)
    assert source.read() == []
    os.write(into, line(1) + b"\n" + b"rest")
    assert source.read() == [line(1)]
    os.close(into)
    assert source.read() == [b"rest"]
    assert source.ended
    os.close(out)


def entry(**fields: object) -> bytes:
    plain = {"__REALTIME_TIMESTAMP": "1763807462123456", "_SYSTEMD_UNIT": "mosha.service"}
    return json.dumps(plain | fields).encode()


def test_a_line_of_mosha_comes_out_of_the_journal_as_it_was_written() -> None:
    assert journal_line(entry(MESSAGE="e1", MOSHA_JSON=line(1).decode())) == line(1)
    assert journal_line(entry(MESSAGE="e1", MOSHA_JSON=list(line(1)))) == line(1)
    assert journal_line(entry(MESSAGE=line(1).decode())) == line(1)  # of a version before


@pytest.mark.parametrize("message", ["Started mosha", list(b"Started mosha")])
def test_what_others_say_in_the_journal_gets_the_journals_time_and_level(message: object) -> None:
    assert json.loads(journal_line(entry(MESSAGE=message, PRIORITY="4"))) == {
        "timestamp": "2025-11-22T10:31:02.123456Z",
        "level": "warning",
        "unit": "mosha.service",
        "text": "Started mosha",
    }


@given(
    st.binary() | st.dictionaries(st.text(), st.integers()).map(lambda d: json.dumps(d).encode())
)
def test_no_entry_of_a_journal_stops_the_reader(raw: bytes) -> None:
    assert isinstance(journal_line(raw), bytes)


def test_journalctl_is_asked_for_what_is_needed() -> None:
    assert journal_command(["a"], follow=False) == [
        *("journalctl", "--quiet", "--output=json", "--all", "--unit=a")
    ]
    assert journal_command(["a"], follow=True)[-2:] == ["--follow", "--lines=1000"]
    words = journal_command(["a", "b"], follow=True, since=NOW)
    assert words[-3:] == ["--since=@1763807462.000000", "--follow", "--lines=all"]


def test_what_journalctl_printed_is_read_from_a_file_and_through_a_pipe(
    mosha: Mosha, tmp_path: Path
) -> None:
    web = line(1, group="web").decode()
    told = write(tmp_path / "log", entry(MESSAGE="e1", MOSHA_JSON=web), entry(MESSAGE="hi"))
    assert "web: e1" in mosha("logs", "--group", "web", str(told)).out
    words = [sys.executable, "-m", "mosha.cli.main", "logs", "--json", "-"]
    with told.open("rb") as stdin:
        done = subprocess.run(words, stdin=stdin, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == web
    assert '"text":"hi"' in done.stdout


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journalctl that has the entries that a test gives it."""
    entries = tmp_path / "entries"
    entries.write_bytes(entry(MESSAGE=line(1).decode()) + b"\n" + entry(MESSAGE="hi") + b"\n")
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {entries}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return entries


@pytest.mark.usefixtures("journalctl")
def test_the_journal_is_read_when_asked_for(mosha: Mosha, tmp_path: Path) -> None:
    said = mosha("logs", "--journal", "--since", "2025-11-01")
    assert said.status == 0
    assert [text[13:] for text in said.out.splitlines()[1:]] == [
        "             e1",
        "info         hi unit=mosha.service",
    ]
    assert "--unit=mosha.service --unit=mosha-clinit.service --since=@" in (
        (tmp_path / "asked").read_text()
    )


def test_a_journal_without_a_line_says_so(mosha: Mosha, journalctl: Path) -> None:
    journalctl.write_bytes(b"")
    said = mosha("logs", "--journal")
    assert (said.status, said.out) == (0, "")
    assert said.err == ("mosha: the journal has no line of mosha.service, mosha-clinit.service\n")
    assert "of x.service at that time" in mosha("logs", "--unit", "x.service", "--since", "1h").err
    assert mosha("logs", "--journal", "--level", "error").err == ""


def test_a_journalctl_that_fails_is_exit_status_1_with_its_words(
    mosha: Mosha, journalctl: Path
) -> None:
    journalctl.unlink()
    said = mosha("logs", "--unit", "x.service")
    assert said.status == 1
    assert "journalctl" in said.err


# --- what is read where nothing is named -------------------------------------------------------


def test_the_files_of_the_settings_are_read_whatever_stdin_is(mosha: Mosha, home: Home) -> None:
    with home.config.open("a") as file:
        file.write(f'log_file = "{home.base}/m.log"\n')
    write(home.base / "m.log.1", line(1))
    write(home.base / "m.log", line(4))
    write(home.base / "m-clinit.log", line(2))
    said = mosha("logs", "--json")
    assert events(said.out.encode().splitlines()) == ["e1", "e2", "e4"]
    words = [sys.executable, "-m", "mosha.cli.main", "logs", "--json", "--config", str(home.config)]
    silent, kept_open = socket.socketpair()  # as ssh gives it: nothing comes, and it does not end
    with silent, kept_open:
        for stdin in (silent.fileno(), subprocess.DEVNULL):
            done = subprocess.run(words, stdin=stdin, capture_output=True, timeout=60, check=True)
            assert events(done.stdout.splitlines()) == ["e1", "e2", "e4"]


def test_an_event_that_nobody_logs_is_wrong_usage_with_a_proposal(mosha: Mosha) -> None:
    said = mosha("logs", "--event", "claim_mad", "x")
    assert said.status == 2
    assert "claim_made" in said.err


# --- moments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("1.5h ago", NOW - timedelta(hours=1.5)),
        ("2d", NOW - timedelta(days=2)),
        ("10:30", NOW.replace(minute=30, second=0)),
        ("23:59:01", datetime(2025, 11, 21, 23, 59, 1, tzinfo=UTC)),
        ("today", NOW.replace(hour=0, minute=0, second=0)),
        ("Yesterday", datetime(2025, 11, 21, tzinfo=UTC)),
        ("2025-11-20", datetime(2025, 11, 20, tzinfo=UTC)),
        ("2025-11-20 10:15", datetime(2025, 11, 20, 10, 15, tzinfo=UTC)),
        ("2025-11-20T10:15:00+02:00", datetime(2025, 11, 20, 8, 15, tzinfo=UTC)),
    ],
)
def test_a_moment_is_said_as_people_say_it(text: str, found: datetime) -> None:
    assert moment(text, NOW) == found


@pytest.mark.parametrize("text", ["", "soon", "10", "25:00", "2025-13-01", "999999999w"])
def test_what_is_no_moment_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError):
        moment(text, NOW)
