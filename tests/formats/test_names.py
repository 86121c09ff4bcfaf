"""Names, node numbers and free text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.formats.names import (
    FREE_TEXT_MAX_CHARS,
    NAME_MAX_CHARS,
    is_group_name,
    is_name,
    nearest,
    node_number,
    one_line,
)


@pytest.mark.parametrize("name", ["g", "0", "a.c", "A-b_9", "-x", "...", "a" * NAME_MAX_CHARS])
def test_a_name_has_letters_digits_and_three_signs(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "a\n", "a:b", "a/b", "ä", "٣", ".", "..", "a" * (NAME_MAX_CHARS + 1)]
)
def test_anything_else_is_no_name(text: str) -> None:  # C7.9
    assert not is_name(text)


def test_a_group_or_an_instance_of_it_on_a_node_can_be_named() -> None:
    assert all(map(is_group_name, ("dns", "dns@3", "a.c@65535")))
    assert not any(map(is_group_name, ("@3", "dns@", "dns@x", "dns@0", "dns@03", "dns@1@2")))


@pytest.mark.parametrize(("text", "node"), [("1", 1), ("65535", 65_535), ("42", 42)])
def test_a_node_is_a_plain_decimal_number(text: str, node: int) -> None:
    assert node_number(text) == node


@pytest.mark.parametrize(
    "text", ["", "0", "01", "-1", "+1", "65536", "1.0", " 1", "1_0", "٣", "9" * 10_000_000]
)
def test_anything_else_is_no_node(text: str) -> None:
    assert node_number(text) is None


@given(st.text(max_size=400))
def test_free_text_becomes_one_short_printable_line_once_and_for_all(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= FREE_TEXT_MAX_CHARS
    assert one_line(line) == line
    assert line.encode("utf-8").decode("utf-8") == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("\x1b[31mred", "[31mred"),
        ("bad name \udcff", "bad name"),
        ("x" * 10_000_000, "x" * 199 + "…"),
        ("  plain  text ", "plain text"),
        ("", ""),
    ],
)
def test_free_text_loses_what_breaks_lines(text: str, line: str) -> None:
    assert one_line(text) == line


def test_the_nearest_known_word_is_suggested() -> None:
    assert nearest("respwan", ["wait", "respawn"]) == "did you mean 'respawn'? "
    assert nearest("WAIT", ["wait", "respawn"]) == "did you mean 'wait'? "
    assert nearest("zzz", ["wait", "respawn"]) == ""
