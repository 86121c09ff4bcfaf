from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.cli.demo import witness
from mosha.cli.demo.overlaps import Ran, UnreadableWitness, overlaps, read_witness
from tests.waiting import wait_until


def noted(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


MOVED = noted(
    "10.0 web 1 1 100 start",
    "10.1 db 1 1 101 start",
    "10.5 web 1 1 100 alive",
    "11.0 web 1 1 100 stop",
    "11.1 web 2 2 200 start",
    "12.0 db 1 1 101 alive",
    "12.0 web 2 2 200 alive",
)


def test_processes_are_read_with_their_first_and_last_sign_of_life() -> None:
    assert read_witness(MOVED) == [
        Ran("web", "1", 1, 100, 10.0, 11.0),
        Ran("db", "1", 1, 101, 10.1, 12.0),
        Ran("web", "2", 2, 200, 11.1, 12.0),
    ]


def test_a_group_that_moves_after_it_has_stopped_does_not_overlap() -> None:
    assert overlaps(read_witness(MOVED)) == []


@pytest.mark.parametrize(
    ("later", "why"),
    [
        ("10.9 web 2 2 200 start", "starts before the other has stopped"),
        ("11.0 web 2 2 200 start", "starts at the moment the other stops"),
        ("10.9 web 1 1 100 start", "a pid that is used again"),
        ("10.9 web 1 1 101 start", "a second one on the same node"),
        ("10.2 web 2 2 200 start\n10.3 web 2 2 200 stop", "lives while the other lives"),
        ("9.9 web 2 2 200 alive\n10.0 web 2 2 200 alive", "without a start"),
    ],
)
def test_two_processes_of_one_group_at_one_moment_are_found(later: str, why: str) -> None:
    first = noted("10.0 web 1 1 100 start", "11.0 web 1 1 100 stop")
    ran = read_witness(first + noted(later))
    if "used again" in why:
        ran = [Ran("web", "1", 1, 100, 10.0, 11.0), ran[-1]]
    (found,) = overlaps(ran)
    assert "web: node" in str(found)
    assert "together for" in str(found)


def test_processes_of_different_groups_may_run_together() -> None:
    text = noted("10.0 web 1 1 1 start", "10.0 db 1 1 2 start", "11.0 web 1 1 1 alive")
    assert overlaps(read_witness(text)) == []


def test_three_at_once_are_three_pairs() -> None:
    ran = [Ran("web", str(n), n, n, 1.0, 2.0) for n in (1, 2, 3)]
    assert len(overlaps(ran)) == 3


def test_a_last_line_that_was_cut_off_is_left_out() -> None:
    assert len(read_witness(MOVED + "12.1 web 2 2 200 al")) == 3


@pytest.mark.parametrize(
    "line", ["", "x web 1 1 1 start", "1.0 web 1 1 1 gone", "1.0 web 1 - 1 start", "1.0 web start"]
)
def test_a_line_of_another_kind_makes_the_file_worthless(line: str) -> None:
    with pytest.raises(UnreadableWitness, match="line 2"):
        read_witness(noted("1.0 web 1 1 1 start", line))


@given(st.lists(st.floats(0.001, 100), min_size=2, max_size=20))
def test_processes_one_after_the_other_never_overlap_and_a_stretched_one_always_does(
    gaps: list[float],
) -> None:
    at, ran = 0.0, []
    for number, gap in enumerate(gaps):
        ran.append(Ran("web", str(number % 3), number, number, at, at + gap / 2))
        at += gap
    assert overlaps(ran) == []
    ran[0] = Ran("web", "0", 0, 0, 0.0, ran[1].since)
    assert len(overlaps(ran)) >= 1


# --- the process that notes ------------------------------------------------------------


@contextmanager
def running_witness(path: Path, node: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo's process as clinit would, until the context ends."""
    variables = {"MOSHA_GROUP": "web", "MOSHA_NODE": node, "MOSHA_TOKEN": node}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(witness.__file__), str(path)],
        env=os.environ | variables,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def words(path: Path, pid: int) -> list[str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split()[5] for line in lines if line.split()[4] == str(pid)]


def test_it_notes_start_alive_and_stop_when_it_is_asked_to_end(tmp_path: Path) -> None:
    path = tmp_path / "witness"
    with running_witness(path, "1") as process:
        wait_until(lambda: words(path, process.pid)[:2] == ["start", "alive"])
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert words(path, process.pid)[-1] == "stop"


def test_two_that_really_run_together_are_found_even_if_both_are_killed(tmp_path: Path) -> None:
    path = tmp_path / "witness"
    with ExitStack() as stack:
        both = [stack.enter_context(running_witness(path, node)) for node in ("1", "2")]
        for process in both:
            wait_until(lambda pid=process.pid: len(words(path, pid)) > 2)  # type: ignore[misc]
    (found,) = overlaps(read_witness(path.read_text()))
    assert {found.first.pid, found.second.pid} == {process.pid for process in both}
