"""`mosha status --watch` on a real pseudo-terminal, read by an emulator."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from rich.console import Console

from mosha.cli.status.keys import Key, KeyReader
from mosha.cli.status.watch_page import ScreenView, body, screen
from mosha.formats.hastat import BanReport, Problem, Quorum, Report
from tests.cli.conftest import Home
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, on, report
from tests.cli.terminal import Terminal
from tests.waiting import wait_until

GREY = "90"
UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = (
    f"\x1b[{code}" for code in ("A", "B", "5~", "6~", "H", "F")
)


@contextmanager
def watching(
    home: Home, *, size: tuple[int, int] = (80, 24), script: str = ""
) -> Iterator[Terminal]:
    """Run the command in a terminal; it is ended in any case."""
    words = ("status", "--watch", "--config", str(home.config))
    terminal = Terminal(*words, size=size, script=script)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.end(signal.SIGKILL)


def cluster(nodes: int, groups: int, failing: Sequence[str] = ()) -> Report:
    """Return a report of a cluster in which some groups have failed and are banned somewhere."""
    views = []
    for number in range(groups):
        name = f"group{number:03d}"
        if name in failing:
            ban = BanReport(node=2, left_s=40.0, reason="test entry t: exit 1")
            views.append(group(name, on(1, state="FAILED"), ok=False, why="a", bans=[ban]))
        else:
            views.append(group(name, on(number % nodes + 1)))
    problems = [Problem(kind="group", subjects=[n], text=f"{n} has failed") for n in failing]
    return report(
        nodes=[node(n, "self" if n == 1 else "fresh") for n in range(1, nodes + 1)],
        groups=views,
        problem_list=problems,
        problems=[problem.text for problem in problems],
    )


def styles_from(terminal: Terminal, text: str) -> set[str]:
    """Return how the lines are written from that on that has a text to the last but one."""
    terminal.reads()
    first = next(n for n, line in enumerate(terminal.screen.text()) if text in line)
    return set().union(*map(terminal.screen.styles, range(first, terminal.screen.lines - 1)))


def drawn(shown: Report, view: ScreenView, size: tuple[int, int] = (80, 24)) -> list[str]:
    console = Console(width=size[0], height=size[1])
    lines = screen(shown, body(shown, console, view.filter), view, console)
    return [line.plain for line in lines]


# --- what is on it ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (60, 12), (40, 8), (200, 60), (80, 5)])
@pytest.mark.parametrize(("nodes", "groups"), [(3, 20), (10, 100), (300, 300)])
def test_verdict_nodes_quorum_and_lease_are_always_on_the_screen(
    size: tuple[int, int], nodes: int, groups: int
) -> None:
    shown = cluster(nodes, groups, failing=["group019"])
    for offset in (0, 50, 10_000):
        lines = drawn(shown, ScreenView(offset=offset), size)
        assert len(lines) == size[1]
        assert max(map(len, lines)) <= size[0]
        text = "\n".join(lines)
        assert lines[0].startswith("NOT OK: 1 problem")
        assert "Quorum: yes" in text
        assert "Lease:" in text
        assert re.search(r"^(NODE  STATE|Nodes:)", text, re.MULTILINE)


def test_what_is_wrong_is_first_and_so_are_groups_that_are() -> None:
    lines = drawn(cluster(10, 100, failing=["group042", "group099"]), ScreenView())
    assert "group042 has failed" in lines[1]
    rows = [line.split()[0] for line in lines if line.startswith("group")]
    assert rows[:4] == ["group042", "group099", "group000", "group001"]


def test_of_many_nodes_those_that_are_not_well_are_named_first() -> None:
    nodes = [node(n, "stale" if n == 77 else "fresh") for n in range(2, 100)]
    text = "\n".join(drawn(report(nodes=[node(1, "self"), *nodes]), ScreenView()))
    assert re.search(r"Nodes:  77 stale 0\.4s, 1 this node", text)
    assert re.search(r"and \d+ more, fresh", text)
    nodes = [node(n, silent=n == 88) for n in range(2, 100)]
    text = "\n".join(drawn(report(nodes=[node(1, "self"), *nodes]), ScreenView()))
    assert "Nodes:  88 fresh 0.4s (does not vote yet" in text
    nodes = [node(n, "stale") for n in range(2, 100)]
    text = "\n".join(drawn(report(nodes=[node(1, "self"), *nodes]), ScreenView()))
    assert re.search(r"and \d+ more, not all fresh", text)


def test_a_long_reason_of_quorum_takes_no_more_than_two_lines() -> None:
    reason = "1 of 9 nodes fresh, 5 needed; not fresh: " + ", ".join(["node 123"] * 60)
    shown = report(
        quorum=Quorum(has=False, policy="majority", seen=1, electorate=[1], needed=5, reason=reason)
    )
    lines = drawn(shown, ScreenView())
    assert "Lease:" in lines[-2]
    assert "Quorum: NO" in lines[-4]


def test_the_heads_of_the_table_stay_while_its_rows_are_shown() -> None:
    lines = drawn(cluster(3, 100), ScreenView(offset=40))
    assert lines[2 if lines[1].startswith("seen") else 1].startswith("GROUP")


# --- keys ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"\x1b[A\x1bOB", [Key.UP, Key.DOWN]),
        (b"\x1b[5~\x1b[6~", [Key.PAGE_UP, Key.PAGE_DOWN]),
        (b"\x1b[1~\x1b[4~\x1bOH\x1bOF", [Key.HOME, Key.END, Key.HOME, Key.END]),
        (b"\x1b\x1b[A", [Key.ESCAPE, Key.UP]),
        (b"\x1bq", [Key.ESCAPE, "q"]),
        (b"\x1b[1;5Cx", ["x"]),
        ("é\r\x7f".encode(), ["é", Key.ENTER, Key.BACKSPACE]),
    ],
)
def test_bytes_become_keys_however_they_are_cut(typed: bytes, keys: list[Key | str]) -> None:
    assert KeyReader().keys(typed) == keys
    reader = KeyReader()
    assert [key for byte in typed for key in reader.keys(bytes([byte]))] == keys


def test_an_escape_that_nothing_follows_is_the_key() -> None:
    reader = KeyReader()
    assert reader.keys(b"\x1b") == []
    assert reader.pending
    assert reader.late() == [Key.ESCAPE]
    assert not reader.pending


def test_keys_scroll_filter_and_quit(home: Home) -> None:
    with FakeMonitor(home.rundir, cluster(10, 100)), watching(home) as terminal:
        wait_until(lambda: terminal.has("group000", "?: keys"))
        terminal.type(DOWN + DOWN)
        wait_until(lambda: not terminal.has("group000") and terminal.has("group003"))
        terminal.type(UP + UP)
        wait_until(lambda: terminal.has("group000"))
        terminal.type(PAGE_DOWN)
        wait_until(lambda: terminal.has("group015") and not terminal.has("group001"))
        terminal.type(END)
        wait_until(lambda: terminal.has("group099"))
        terminal.type(PAGE_UP)
        wait_until(lambda: not terminal.has("group099"))
        terminal.type(HOME)
        wait_until(lambda: terminal.has("group000"))
        terminal.type("?")
        wait_until(lambda: terminal.has("Home End: scroll"))
        terminal.type("/")
        wait_until(lambda: terminal.has("/_"))
        terminal.type("P07q\x7f")
        wait_until(lambda: terminal.has("/P07_", "group070", "group079", "OK: 100 of 100"))
        assert not terminal.has("group000")
        terminal.type("\r")
        wait_until(lambda: terminal.has("10 of 100 groups have 'P07'"))
        terminal.type("\x1b")
        wait_until(lambda: terminal.has("group000"))
        assert terminal.has("Quorum: yes", "Lease:", "Nodes:")
        terminal.type("q")
        assert terminal.process.wait(10) == 0
        assert terminal.restored()


# --- what changes -------------------------------------------------------------------------


def test_a_change_is_drawn_and_nothing_is_cleared(home: Home) -> None:
    with FakeMonitor(home.rundir, cluster(3, 20)) as monitor, watching(home) as terminal:
        wait_until(lambda: terminal.has("OK: 20 of 20", "group010"))
        monitor.report = cluster(3, 20, failing=["group010"])
        wait_until(lambda: terminal.has("NOT OK: 1 problem", "group010 has failed"))
        monitor.report = cluster(3, 20)
        wait_until(lambda: terminal.has("OK: 20 of 20") and not terminal.has("has failed"))
        assert terminal.screen.cleared == 0
        assert terminal.end() == 0


def test_what_nobody_vouches_for_any_more_is_grey_and_has_its_age(home: Home) -> None:
    with watching(home) as terminal:
        with FakeMonitor(home.rundir, report()):
            wait_until(lambda: terminal.has("2 of 2 groups as wanted"))
        wait_until(lambda: terminal.has("what follows is", "no daemon answers"))
        wait_until(lambda: styles_from(terminal, "OK:") == {GREY})
        assert re.search(r"what follows is \d+\.\ds old", terminal.screen.text()[0])
        assert terminal.has("Quorum: yes", "Lease:")
        with FakeMonitor(home.rundir, report()):
            wait_until(lambda: terminal.has("OK: 2 of 2") and not terminal.has("what follows"))
            assert terminal.end() == 0


def test_a_monitor_that_hangs_holds_up_no_key(home: Home) -> None:
    with watching(home) as terminal:
        with FakeMonitor(home.rundir, cluster(10, 100)):
            wait_until(lambda: terminal.has("group000"))
        path = home.rundir / "mosha.s"
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(str(path))
            deaf.listen()
            wait_until(lambda: select.select([deaf], [], [], 0)[0])
            terminal.type(END)
            wait_until(lambda: terminal.has("group099"))
            assert not terminal.has("did not answer")
            wait_until(lambda: terminal.has("did not answer in time"))
            assert terminal.end() == 1, "all was well, and nobody knows whether it still is"


def test_another_size_is_drawn_anew(home: Home) -> None:
    with FakeMonitor(home.rundir, cluster(10, 100)), watching(home) as terminal:
        wait_until(lambda: terminal.has("group000", "?: keys"))
        for size in ((120, 40), (50, 10), (80, 24)):
            terminal.resize(*size)
            wait_until(lambda: terminal.has("Lease:") and "q: quit" in terminal.screen.text()[-1])
            assert terminal.has("OK: 100 of 100", "Nodes:", "Quorum:")


# --- how it ends --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_gives_the_terminal_back(home: Home, number: int) -> None:
    with FakeMonitor(home.rundir, report()), watching(home) as terminal:
        wait_until(lambda: terminal.has("OK: 2 of 2"))
        assert not terminal.restored()
        terminal.process.send_signal(number)
        wait_until(terminal.restored)
        assert terminal.process.wait(10) == (0 if number == signal.SIGINT else -number)


def test_a_command_ends_when_its_terminal_is_closed(home: Home) -> None:
    with FakeMonitor(home.rundir, report()), watching(home) as terminal:
        wait_until(lambda: terminal.has("OK: 2 of 2"))
        os.close(terminal.own)
        assert terminal.process.wait(10) == -signal.SIGHUP


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(home: Home) -> None:
    script = 'set -m; "$@"; echo in the shell; read word; fg; echo "it ended with $?"'
    with (
        FakeMonitor(home.rundir, report()),
        watching(home, script=script) as terminal,
    ):
        wait_until(lambda: terminal.has("OK: 2 of 2"))
        terminal.type("\x1a")
        wait_until(lambda: terminal.has("in the shell"))
        assert terminal.restored()
        terminal.type("go on\n")
        wait_until(lambda: terminal.has("OK: 2 of 2", "Lease:") and terminal.screen.other)
        terminal.type("q")
        wait_until(lambda: terminal.has("it ended with 0"))
        assert terminal.restored()


def test_a_terminal_that_takes_nothing_keeps_no_command_from_its_end(home: Home) -> None:
    with FakeMonitor(home.rundir, cluster(10, 100)), watching(home) as terminal:
        wait_until(lambda: terminal.has("OK: 100 of 100"))
        terminal.type("\x13")  # Ctrl-S
        terminal.type(END + HOME)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(10) == -signal.SIGTERM


def test_in_a_pipe_a_page_is_printed_at_each_change(home: Home) -> None:
    words = [sys.executable, "-m", "mosha.cli.main", "status", "--watch"]
    command = [*words, "--config", str(home.config)]
    with (
        FakeMonitor(home.rundir, cluster(3, 3)) as monitor,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            pages = (line for line in process.stdout or () if "as wanted" in line)
            assert next(pages).startswith("OK: 3 of 3")
            monitor.report = cluster(3, 3, failing=["group001"])
            assert next(pages).startswith("NOT OK: 1 problem")
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 1
