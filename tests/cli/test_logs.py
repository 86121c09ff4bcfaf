from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.cli.logs.lines import Filter
from mosha.host.log_printer import Printer
from tests.cli.conftest import Home, Mosha
from tests.cli.terminal import Terminal
from tests.waiting import wait_until


def line(event: str, **fields: object) -> bytes:
    """Return a line as mosha writes it."""
    plain = {"event": event, "level": "info", "timestamp": "2025-11-22T10:31:02.123456Z"}
    return json.dumps(plain | fields).encode()


def shown(*lines: bytes) -> list[str]:
    """Return what people see, without the line of the day."""
    printer = Printer(colours=False)
    return "".join(map(printer.line, lines)).splitlines()[1:]


LINES = [
    (
        line("group_changed", node=1, group="web", **{"from": "stop", "to": "plan"}, cause="free"),
        "info       1 web: group changed stop -> plan (free)",
    ),
    (line("monitor_started", node=12, inc=7), "info      12 monitor started inc=7"),
    (
        line("output", node=1, group="web", tag="webd", pid=77, stream="stdout", text="hello"),
        "info       1 web/webd[77] | hello",
    ),
    (
        line("output", node=1, group="web", tag="webd", pid=77, stream="stderr", text="oh"),
        "info       1 web/webd[77] ! oh",
    ),
    (line("quorum_changed", level="critical", to="no"), "CRITICAL     quorum changed to no"),
    (line("odd", text="a\x1b[2J\nb"), "info         odd text=a\\x1b[2J\\x0ab"),
]


@pytest.mark.parametrize(("raw", "text"), LINES)
def test_a_line_reads_as_a_sentence(raw: bytes, text: str) -> None:
    (told,) = shown(raw)
    assert told[13:] == text


def test_the_day_is_not_told_again_where_another_daemon_has_told_it() -> None:
    line = b'{"timestamp":"2025-11-22T10:31:00Z","event":"x"}'
    day = datetime.fromisoformat("2025-11-22T10:31:00+00:00").astimezone()
    printer = Printer(colours=False, day=f"{day:%Y-%m-%d}")
    assert "---" not in printer.line(line)
    assert "---" in printer.line(line.replace(b"11-22", b"11-25"))


def test_the_day_is_told_when_it_changes() -> None:
    printer = Printer(colours=False)
    days = ["2025-11-22T12:00:00Z", "2025-11-22T12:00:01Z", "2025-11-24T12:00:00Z"]
    told = "".join(printer.line(line("x", timestamp=day)) for day in days)
    assert [text for text in told.splitlines() if text.startswith("---")] == [
        "--- 2025-11-22",
        "--- 2025-11-24",
    ]


def test_warnings_and_worse_are_coloured_on_a_terminal_only() -> None:
    raw = line("group_banned", level="error")
    assert "\033[31m" in Printer(colours=True).line(raw)
    assert "\033" not in Printer(colours=False).line(raw)


@pytest.mark.parametrize("raw", [b"plain text", b"{torn", b"[1]", b'"x"', b"\xff\xfe", b""])
def test_a_line_that_is_no_json_object_is_shown_as_it_is(raw: bytes) -> None:
    assert Printer(colours=False).line(raw) == raw.decode("utf-8", "replace") + "\n"


@given(st.binary())
def test_no_line_stops_the_printer_or_gets_past_it_with_control_characters(raw: bytes) -> None:
    told = Printer(colours=False).line(raw.replace(b"\n", b" "))
    assert told.endswith("\n")
    assert not any(ord(c) < 32 and c not in "\t\n" for c in told)


@pytest.mark.parametrize(
    ("sieve", "events"),
    [
        (Filter(), ["a", "b", "c", "plain"]),
        (Filter(groups=["web"]), ["a"]),
        (Filter(groups=["we"]), []),
        (Filter(nodes=[2]), ["b"]),
        (Filter(level="warning"), ["b", "c"]),
        (Filter(level="warning", nodes=[2]), ["b"]),
        (Filter(groups=["web", "db"]), ["a", "b"]),
        (Filter(events=["a", "c"]), ["a", "c"]),
        (Filter(events=["?"], nodes=[1, 2]), ["a", "b"]),
        (Filter(events=["x*"]), []),
    ],
)
def test_only_what_is_asked_for_passes(sieve: Filter, events: list[str]) -> None:
    lines = {
        "a": line("a", group="web", node=1),
        "b": line("b", group="db", node=2, level="error"),
        "c": line("c", level="critical"),
        "plain": b"no json",
    }
    assert [name for name, raw in lines.items() if sieve.lets_through(raw)] == events


def test_a_group_stands_for_its_instances_and_an_instance_for_itself() -> None:
    lines = [line("a", group=name) for name in ("dns", "dns@1", "dns@2", "dnsx")]

    def found(name: str) -> list[bool]:
        return [Filter(groups=[name]).lets_through(raw) for raw in lines]

    assert found("dns") == [True, True, True, False]
    assert found("dns@1") == [False, True, False, False]


# --- the command -----------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(b"\n".join([line("one", group="web"), b"not json", line("two")]) + b"\n")
    return path


def test_a_file_is_printed_for_people_and_what_is_no_json_as_it_is(mosha: Mosha, log: Path) -> None:
    said = mosha.bare("logs", str(log))
    assert said.status == 0
    told = said.out.splitlines()
    assert told[1].endswith("web: one")
    assert told[2] == "not json"
    assert told[3].endswith("two")


def test_json_passes_the_lines_through(mosha: Mosha, log: Path) -> None:
    assert mosha.bare("logs", "--json", str(log)).out.encode() == log.read_bytes()
    said = mosha.bare("logs", "--json", "--group", "web", str(log))
    assert [json.loads(text)["event"] for text in said.out.splitlines()] == ["one"]


def test_a_last_line_without_end_counts(mosha: Mosha, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(line("one") + b"\n" + line("two"))
    assert mosha.bare("logs", str(tmp_path / "log")).out.count("\n") == 3


def test_a_missing_file_is_wrong_usage(mosha: Mosha, tmp_path: Path) -> None:
    said = mosha.bare("logs", str(tmp_path / "gone"))
    assert said.status == 2
    assert str(tmp_path / "gone") in said.err


class Logs:
    """`mosha logs` as a process; `told` is what it has printed."""

    def __init__(self, out: Path, *words: str) -> None:
        self.out = out
        with out.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mosha.cli.main", "logs", *words],
                stdin=subprocess.PIPE,
                stdout=file,
            )

    @property
    def events(self) -> list[str]:
        return [text.rpartition(" ")[2] for text in self.out.read_text().splitlines()[1:]]


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Logs]:
    (tmp_path / "log").write_bytes(line("one") + b"\n")
    logs = Logs(tmp_path / "out", "-f", str(tmp_path / "log"))
    wait_until(lambda: logs.events == ["one"])
    yield logs
    logs.process.kill()
    logs.process.communicate()


def append(path: Path, raw: bytes) -> None:
    with path.open("ab") as file:
        file.write(raw)


def test_follow_prints_what_is_appended_when_its_line_is_whole(
    follower: Logs, tmp_path: Path
) -> None:
    append(tmp_path / "log", line("two")[:20])
    append(tmp_path / "log", line("two")[20:] + b"\n" + line("three") + b"\n")
    wait_until(lambda: follower.events == ["one", "two", "three"])


def test_follow_goes_on_after_a_rotation_and_loses_nothing(follower: Logs, tmp_path: Path) -> None:
    log = tmp_path / "log"
    append(log, line("two") + b"\n")
    log.rename(tmp_path / "log.1")
    append(tmp_path / "log.1", line("three") + b"\n")
    append(log, line("four") + b"\n")
    wait_until(lambda: follower.events == ["one", "two", "three", "four"])


def test_follow_goes_on_after_a_truncation(follower: Logs, tmp_path: Path) -> None:
    os.truncate(tmp_path / "log", 0)
    append(tmp_path / "log", b"")
    wait_until(lambda: follower.process.poll() is None)
    append(tmp_path / "log", line("x") + b"\n")
    wait_until(lambda: "x" in follower.events)


def test_what_is_written_late_into_a_file_that_was_moved_away_is_not_lost(
    follower: Logs, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.rename(tmp_path / "log.1")
    append(log, line("two") + b"\n")
    wait_until(lambda: follower.events == ["one", "two"])
    append(tmp_path / "log.1", line("late") + b"\n")
    wait_until(lambda: follower.events == ["one", "two", "late"])


def test_follow_goes_on_after_a_truncation_that_was_filled_up_again(
    follower: Logs, tmp_path: Path
) -> None:
    raw = b"".join(line(f"new{number}") + b"\n" for number in range(20))
    with (tmp_path / "log").open("r+b") as file:  # the same file, at no moment shorter
        file.write(raw)
    wait_until(lambda: follower.events[1:] == [f"new{number}" for number in range(20)])


def test_stdin_is_read_where_it_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mosha.cli.main", "logs", "--json", "-"],
        input=line("one") + b"\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == line("one") + b"\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes((line("x") + b"\n") * 20_000)
    with subprocess.Popen(
        [sys.executable, "-m", "mosha.cli.main", "logs", str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_nothing_to_read_on_a_terminal_is_wrong_usage_and_not_a_long_wait() -> None:
    screen = Terminal("logs")
    assert screen.exit_status() == 2
    assert "mosha logs FILE" in screen.seen


def test_a_log_file_that_is_not_there_yet_is_named(mosha: Mosha, home: Home) -> None:
    with home.config.open("a", encoding="utf-8") as file:
        file.write(f'log_file = "{home.rundir}/none.log"\n')
    said = mosha("logs")
    assert said.status == 2
    assert f"nothing to read: {home.rundir}/none.log (log_file) is not there yet" in said.err


# --- what and how much is asked for ----------------------------------------------------------


@pytest.fixture
def a_log(tmp_path: Path) -> Path:
    """Ten lines, a second apart, of two groups."""
    path = tmp_path / "mosha.log"
    lines = (
        line(
            "group_changed",
            group="web" if second % 2 else "db",
            level="warning",
            timestamp=f"2025-11-22T10:31:0{second}.000000Z",
            number=second,
        )
        for second in range(10)
    )
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def _numbers(out: str) -> list[int]:
    return [json.loads(each)["number"] for each in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["-n", "2"], [8, 9]),
        (["-n", "0"], []),
        (["-n", "2", "--group", "web"], [7, 9]),
        (["--until", "2025-11-22T10:31:02Z"], [0, 1, 2]),
        (["--since", "2025-11-22T10:31:02Z", "--until", "2025-11-22T10:31:04Z"], [2, 3, 4]),
        (["--until", "2025-11-22T10:31:05Z", "-n", "1"], [5]),
    ],
)
def test_the_last_lines_and_a_span_of_time_can_be_asked_for(
    mosha: Mosha, a_log: Path, words: list[str], numbers: list[int]
) -> None:
    assert _numbers(mosha("logs", "--json", *words, str(a_log)).out) == numbers


@pytest.mark.parametrize("words", [["-n", "2"], ["--until", "10m"]])
def test_what_follows_has_no_end(mosha: Mosha, a_log: Path, words: list[str]) -> None:
    assert mosha("logs", "-f", *words, str(a_log)).status == 2


def test_a_span_of_time_with_its_ends_swapped_is_a_mistake(mosha: Mosha, a_log: Path) -> None:
    said = mosha("logs", "--since", "10s", "--until", "1m", str(a_log))
    assert said.status == 2
    assert "nothing lies between --since 10s and --until 1m" in said.err


def test_a_group_that_nobody_knows_is_a_mistake(mosha: Mosha, home: Home, a_log: Path) -> None:
    (home.rundir / "state").mkdir()
    (home.rundir / "state" / "cltab").write_text("web:w:start:wait:true\nnew:n:start:wait:true\n")
    said = mosha("logs", "--group", "wbe", str(a_log))
    assert said.status == 2
    assert "no line is about a group 'wbe'; did you mean 'web'?" in said.err
    assert mosha("logs", "--group", "new", str(a_log)).status == 0
    assert mosha("logs", "--group", "db", str(a_log)).status == 0


def test_a_node_that_does_not_exist_is_a_mistake(mosha: Mosha, home: Home, a_log: Path) -> None:
    assert home.rundir.exists()
    said = mosha("logs", "--node", "9", str(a_log))
    assert (said.status, "no line is about node 9; nodes are " in said.err) == (2, True)
    assert mosha("logs", "--node", "9", "--group", "web", str(a_log)).status == 2
    assert mosha("logs", "--node", "1", str(a_log)).status == 0


@pytest.mark.parametrize(
    ("color", "variables", "terminal", "coloured"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {}, True, False),
    ],
)
def test_colours_are_for_terminals_and_for_those_who_want_them(
    a_log: Path, color: str, variables: dict[str, str], *, terminal: bool, coloured: bool
) -> None:
    words = ("logs", "--color", color, str(a_log))
    if terminal:
        screen = Terminal(*words, variables={"NO_COLOR": ""} | variables)
        try:
            wait_until(lambda: screen.shows("number=9"))
        finally:
            screen.end()
        told = screen.seen
    else:
        done = subprocess.run(
            [sys.executable, "-m", "mosha", *words],
            env=os.environ | variables,
            capture_output=True,
            check=True,
            text=True,
        )
        told = done.stdout
    assert ("\x1b[" in told) == coloured


def test_an_interrupt_ends_well_only_what_was_followed(
    mosha: Mosha, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("mosha.cli.commands.logs._print", interrupted)
    path = tmp_path / "log"
    path.write_text("")
    assert [mosha("logs", *words, str(path)).status for words in ((), ("-f",))] == [1, 0]
