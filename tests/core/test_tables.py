"""What a level field means (catalogue C2), and what cltab and hactl say as data."""

from __future__ import annotations

import pytest

from mosha.core.tables import Cltab, Entry, Hactl, Mode, Wish, level_matches

# Every told level that the originals were asked about.
DIGITS = ["0", "1", "2", "12", "21", "5"]
WORDS = ["start", "long", "long1", "long2", "long1,long2,5", "long3", "long3,"]
LETTERS = ["s", "t", "x", "a", "b", " b", "."]
TOLD = [*DIGITS, *WORDS, *LETTERS]


@pytest.mark.parametrize(
    ("level_field", "matching"),
    [
        pytest.param("1", {"1"}, id="CL-01 one digit, and '.' is no pattern (C2.6)"),
        pytest.param("12", {"1", "2", "12"}, id="CL-02 digits are single levels (C2.2)"),
        pytest.param("123", {"1", "2"}, id="CL-03 part of the digits is no level"),
        pytest.param("start", {"start"}, id="CL-04 a word is not split into letters (C2.3)"),
        pytest.param("s", {"s"}, id="CL-05 one letter"),
        pytest.param(
            "long1,long2,5", {"long1", "long2", "5", "long1,long2,5"}, id="CL-06 a list (C2.4)"
        ),
        pytest.param("long3,", {"long3", "long3,"}, id="CL-07 a list of one (C2.4)"),
        pytest.param("a, b", {"a", "b"}, id="CL-08 blanks in a list do not count (C2.5)"),
        pytest.param("0", {"0"}, id="CL-09 level 0 is a level (C2.7)"),
        pytest.param("01", {"0", "1"}, id="CL-10 0 among digits"),
        pytest.param("0,1", {"0", "1"}, id="CL-11 0 in a list"),
        pytest.param("", set(), id="CL-12 no level"),
    ],
)
def test_a_level_field_matches_exactly_these_levels(level_field: str, matching: set[str]) -> None:
    assert {told for told in TOLD if level_matches(level_field, told)} == matching  # C2.1


def test_an_empty_level_is_in_no_list() -> None:
    assert not level_matches("long3,", "")


def test_digits_of_other_scripts_are_one_word() -> None:
    assert not level_matches("start", "٣")


def _entry(tag: str, level: str, mode: Mode = Mode.ONCE, group: str = "g") -> Entry:
    return Entry(group, tag, level, mode, "true")


def test_an_entry_that_is_off_runs_at_no_level() -> None:  # C3.12
    assert _entry("a", "1").runs_at("1")
    assert not _entry("a", "1", Mode.OFF).runs_at("1")


def test_a_level_that_no_entry_has_runs_nothing() -> None:  # C2.9
    table = Cltab((_entry("a", "1"), _entry("b", "start")))
    assert not [entry for entry in table.entries if entry.runs_at("stop")]


def test_groups_and_entries_keep_the_order_of_the_file() -> None:  # C1.18
    table = Cltab((_entry("a", "1", group="z"), _entry("b", "1"), _entry("c", "1", group="z")))
    assert table.groups() == ("z", "g")
    assert [entry.tag for entry in table.entries_of("z")] == ["a", "c"]
    assert table.entries_of("none") == ()


def test_a_group_without_a_wish_shall_be_stopped() -> None:  # H5.17
    table = Hactl({"g": Wish("g", "start")})
    assert table.level_of("g") == "start"
    assert table.level_of("h") == "stop"


def test_only_leaves_out_all_other_nodes() -> None:
    assert Wish("g", "start").allows(7)
    assert Wish("g", "start", only=(1, 2)).allows(2)
    assert not Wish("g", "start", only=(1, 2)).allows(7)
