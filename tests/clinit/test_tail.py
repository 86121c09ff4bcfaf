"""The last lines that an entry printed: kept in little room, whole, and per run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mosha.clinit.tail import KEPT_BYTES, LINES_MAX, Tail
from mosha.formats.names import one_line


def tail(*chunks: tuple[str, bytes]) -> Tail:
    made = Tail()
    made.begin()
    for stream, chunk in chunks:
        made.take(stream, chunk)
    return made


def test_the_last_lines_are_kept_the_oldest_first_and_what_has_no_end_yet() -> None:
    found = tail(("stdout", b"one\ntwo\n"), ("stderr", b"thr"), ("stderr", b"ee"))
    assert found.lines() == ("one", "two", "three")
    assert found.last_line == "three"


def test_a_letter_of_which_a_part_is_kept_or_has_come_is_not_shown() -> None:
    letters = "\u00e9" * KEPT_BYTES
    assert tail(("stdout", f"x{letters}y".encode())).last_line[:9] == "\u00e9" * 9
    assert tail(("stdout", b"whole\nh\xc3")).lines() == ("whole", "h")
    assert tail(("stdout", b"h\xc3"), ("stdout", b"\xa9\n")).lines() == ("h\u00e9",)


def test_two_streams_are_never_joined_to_one_line() -> None:
    assert tail(("stdout", b"half"), ("stderr", b"whole\n")).lines() == ("half", "whole")


def test_a_run_that_printed_nothing_hides_no_other_but_has_said_nothing() -> None:
    found = tail(("stderr", b"bind: address in use\n"))
    found.begin()
    found.begin()
    assert found.lines() == ("bind: address in use",)
    assert found.last_line == ""


def test_the_lines_of_the_run_before_come_first() -> None:
    found = tail(("stderr", b"old\n"))
    found.begin()
    found.take("stderr", b"new\n")
    assert found.lines() == ("old", "new")
    assert found.lines(1) == ("new",)


def test_what_was_printed_under_an_earlier_claim_is_forgotten() -> None:
    found = Tail()
    for term, line in ((4, b"old"), (4, b"again"), (7, b"new"), (0, b"stop")):
        found.begin(term)
        found.take("stdout", line + b"\n")
        if term == 4:
            assert found.lines()[0] == "old"
    assert found.lines() == ("new", "stop")
    found.begin(9)
    assert found.lines() == ()


def test_a_line_whose_beginning_is_lost_is_left_out_unless_it_is_all_there_is() -> None:
    found = tail(("stdout", b"x" * KEPT_BYTES + b"\nlast\n"))
    assert found.lines() == ("last",)
    (line,) = tail(("stdout", b"x" * 2 * KEPT_BYTES)).lines()
    assert set(line) == {"x", "…"}


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=3000))))
def test_whatever_is_printed_the_lines_are_few_short_and_printable(
    chunks: list[tuple[str, bytes]],
) -> None:
    lines = tail(*chunks).lines()
    assert len(lines) <= LINES_MAX
    assert all(line and line == one_line(line) for line in lines)
