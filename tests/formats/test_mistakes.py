"""Mistakes: how they read, and that no bytes take long or crash."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.errors import UsageError
from mosha.formats.mistakes import (
    FILE_MAX_BYTES,
    LINE_MAX_BYTES,
    MISTAKES_MAX,
    Findings,
    Mistake,
    Mistakes,
    readable_lines,
)


def _read(data: bytes) -> tuple[list[tuple[int, str]], list[str]]:
    findings = Findings("f")
    lines = list(readable_lines(data, findings))
    return lines, [str(found) for found in findings.mistakes]


def test_a_mistake_reads_as_place_problem_text_and_remedy() -> None:
    mistake = Mistake("cltab", 3, 7, "wiat", "unknown mode", "write wait")
    assert str(mistake) == "cltab:3:7: unknown mode: 'wiat'; write wait"


def test_a_mistake_of_the_whole_file_has_no_line() -> None:
    assert str(Mistake("f", 0, 0, "", "is empty", "fill it")) == "f: is empty; fill it"


def test_control_characters_of_the_text_never_reach_a_terminal() -> None:
    assert "\x1b" not in str(Mistake("f", 1, 1, "\x1b[2J", "bad", "mend it"))


def test_mistakes_are_the_users_fault_and_tell_a_line_each() -> None:
    one = Mistake("f", 1, 1, "a", "bad", "mend it")
    error = Mistakes((one, one))
    assert isinstance(error, UsageError)
    assert str(error).splitlines() == [str(one), str(one)]
    assert error.mistakes == (one, one)


def test_many_mistakes_are_counted_and_not_listed() -> None:
    findings = Findings("f")
    for number in range(1, 100_001):
        findings.add(number, 1, "x", "bad", "mend it")
    with pytest.raises(Mistakes) as caught:
        findings.raise_if_any()
    assert len(caught.value.mistakes) == MISTAKES_MAX
    assert caught.value.total == 100_000
    assert str(caught.value).splitlines()[-1] == "and 99950 more"


def test_the_shown_text_is_shortened() -> None:
    findings = Findings("f")
    findings.add(1, 1, "x" * 10_000, "bad", "mend it")
    assert findings.mistakes[0].text == "x" * 59 + "…"


def test_mistakes_are_told_in_the_order_of_lines_and_columns() -> None:
    findings = Findings("f")
    for line, column in ((2, 1), (1, 9), (1, 2)):
        findings.add(line, column, "", "bad", "mend it")
    assert [(m.line, m.column) for m in findings.mistakes] == [(1, 2), (1, 9), (2, 1)]


def test_the_last_line_counts_without_its_line_feed() -> None:  # C1.3
    assert _read(b"a\n\nb") == ([(1, "a"), (2, ""), (3, "b")], [])
    assert _read(b"a\n") == ([(1, "a")], [])
    assert _read(b"") == ([], [])


def test_bytes_that_are_not_utf_8_are_shown_with_their_column() -> None:
    lines, told = _read("ok\nä\n".encode() + b"\xc3\xa4b\xff\xfec\n")
    assert lines == [(1, "ok"), (2, "ä")]
    assert told == [r"f:3:3: not UTF-8: '\\xff\\xfec'; save the file as UTF-8"]


def test_a_nul_byte_is_a_mistake() -> None:
    assert _read(b"ab\0c\nd")[0] == [(2, "d")]
    assert _read(b"ab\0c\nd")[1] == [r"f:1:3: a NUL byte: '\x00c'; remove it: this is a text file"]


def test_a_byte_order_mark_is_named_for_what_it_is() -> None:
    assert "a byte order mark" in _read(b"\xef\xbb\xbfg:t:1:wait:x\n")[1][0]


def test_a_line_that_is_too_long_is_refused_and_the_others_are_read() -> None:
    lines, told = _read(b"a\n" + b"x" * (LINE_MAX_BYTES + 1) + b"\nb\n")
    assert lines == [(1, "a"), (3, "b")]
    assert told[0].startswith("f:2:1: the line is too long: 65537 bytes: 'xxx")
    assert told[0].endswith("; a line has at most 65536 bytes")
    assert _read(b"x" * LINE_MAX_BYTES)[1] == []


def test_a_file_that_is_too_big_is_refused_with_the_line_where_it_became_so() -> None:
    lines, told = _read(b"a\n" * FILE_MAX_BYTES)
    assert lines == []
    assert told == [
        "f:524289:1: the file is too big: 2097152 bytes; at most 1048576 bytes are read"
    ]


@pytest.mark.parametrize("filling", [b"x", b"\xff", b"\0", b" ", b"\n", b":", b"#"])
def test_ten_megabytes_are_refused_quickly(filling: bytes) -> None:
    began = time.process_time()
    lines, told = _read(filling * (10 << 20))
    assert time.process_time() - began < 1.0
    assert lines == []
    assert len(told) == 1


@given(st.binary(max_size=500))
def test_every_line_is_either_read_or_a_mistake(data: bytes) -> None:
    findings = Findings("f")
    read = list(readable_lines(data, findings))
    count = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    assert len(read) + findings.total == count
