"""cltab: entries, variables, and every mistake with its place (catalogue C1, C2)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.tables import Cltab, Entry, Mode
from mosha.formats.cltab import parse_cltab, parse_variables, render_cltab
from mosha.formats.mistakes import Mistakes
from tests.formats.strategies import cltabs, damaged


def _told(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(Mistakes) as caught:
        parse_cltab(data, "cltab")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "entries", "variables"),
    [
        pytest.param(
            "g:t:1:wait:echo a:b\n",
            [Entry("g", "t", "1", Mode.WAIT, "echo a:b", 1)],
            {},
            id="CP-01 the command keeps its colons (C1.1)",
        ),
        pytest.param(
            "#c\n\n   \ng:t:1:wait:x\n",
            [Entry("g", "t", "1", Mode.WAIT, "x", 4)],
            {},
            id="CP-02 comments and empty lines (C1.2, C1.3)",
        ),
        pytest.param(" #c:t:1:wait:x\n", [], {}, id="CP-03 a comment may begin with blanks (C1.2)"),
        pytest.param(
            ":::socket:/x/y\n:::clstat:/c:d\n",
            [],
            {"socket": "/x/y", "clstat": "/c:d"},
            id="CP-04 variables, and colons in their values (C1.6)",
        ),
        pytest.param(
            "g:t:1:wait:x\ng:u:1:wait:y",
            [Entry("g", "t", "1", Mode.WAIT, "x", 1), Entry("g", "u", "1", Mode.WAIT, "y", 2)],
            {},
            id="CP-09 a last line without line feed (C1.3)",
        ),
        pytest.param(
            " g : t:\t1 : wait : x  y \n",
            [Entry("g", "t", "1", Mode.WAIT, "x  y", 1)],
            {},
            id="CP-12 blanks around fields do not count (C1.4)",
        ),
        pytest.param(
            ":::log:1\n:::log:2\n", [], {"log": "2"}, id="CP-13 the last value wins (C1.6)"
        ),
        pytest.param(
            "0:t:0:once:x\r\n",
            [Entry("0", "t", "0", Mode.ONCE, "x", 1)],
            {},
            id="group 0 and level 0 (C2.7, C2.8)",
        ),
        pytest.param(
            "g:t:a , b,:off:x\n",
            [Entry("g", "t", "a,b,", Mode.OFF, "x", 1)],
            {},
            id="a list of levels, blanks and a last comma (C2.4, C2.5)",
        ),
        pytest.param(
            "g:a.c:1:wait:x\ng:abc:1:wait:x\n",
            [Entry("g", "a.c", "1", Mode.WAIT, "x", 1), Entry("g", "abc", "1", Mode.WAIT, "x", 2)],
            {},
            id="tags are compared as text (C1.12)",
        ),
    ],
)
def test_a_table_reads_as(text: str, entries: list[Entry], variables: dict[str, str]) -> None:
    table = parse_cltab(text.encode(), "cltab")
    assert list(table.entries) == entries
    assert dict(table.variables) == variables


_FORM = "write group:tag:level:mode:command"
_VARIABLE_FORM = "write :::NAME:VALUE, where NAME is socket, clstat or log"
_OWN_TAG = "give each entry its own tag"
_MODES = "the modes are wait, once, respawn, test, ocf, systemd, address, monitor, off"
_NAMES = "use letters, digits, '_', '.' and '-' only"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "::: foo:bar\n",
            [f"cltab:1:4: unknown variable: 'foo'; {_VARIABLE_FORM}"],
            id="CP-05 an unknown variable (C1.7)",
        ),
        pytest.param(
            ":::sockt:/x\n",
            [f"cltab:1:4: unknown variable: 'sockt'; did you mean 'socket'? {_VARIABLE_FORM}"],
            id="a misspelt variable (C1.7)",
        ),
        pytest.param(
            ":::log:\n:::clstat\n",
            [
                f"cltab:1:4: variable log has no value: ':::log:'; {_VARIABLE_FORM}",
                f"cltab:2:4: variable clstat has no value: ':::clstat'; {_VARIABLE_FORM}",
            ],
            id="CP-06 a variable without value (C1.9)",
        ),
        pytest.param(
            "::override:x:y\n",
            [f"cltab:1:1: neither an entry nor a variable: '::override:x:y'; {_VARIABLE_FORM}"],
            id="CP-07 two colons (C1.9)",
        ),
        pytest.param(
            "g:t:1:wait:x\nh: t:1:wait:y\n",
            [f"cltab:2:4: entry has duplicate tag: t (first in line 1): 't'; {_OWN_TAG}"],
            id="CP-08 a tag used by another group (C1.11, C1.13)",
        ),
        pytest.param(
            "g\n",
            [f"cltab:1:2: tag and level and mode and command missing: 'g'; {_FORM}"],
            id="CP-10 one field (C1.5)",
        ),
        pytest.param(
            "g:t\n",
            [f"cltab:1:4: level and mode and command missing: 'g:t'; {_FORM}"],
            id="CP-11 two fields (C1.5)",
        ),
        pytest.param(
            "g:t:1:echo hello\n",
            [
                f"cltab:1:7: unknown mode: 'echo hello'; {_MODES}",
                f"cltab:1:17: command missing: 'g:t:1:echo hello'; {_FORM}",
            ],
            id="a forgotten mode (C1.5, C3.13)",
        ),
        pytest.param(
            "g:t:1:repsawn:x\n",
            [f"cltab:1:7: unknown mode: 'repsawn'; did you mean 'respawn'? {_MODES}"],
            id="an unknown mode (C3.13)",
        ),
        pytest.param(
            "g:t:start, stop:respawn:x\n",
            [
                (
                    "cltab:1:17: a respawn entry at level stop would never end: 'respawn';"
                    " use wait, once or test there"
                )
            ],
            id="a respawn entry at stop",
        ),
        pytest.param(
            "g:t:1:wait:  \n",
            [f"cltab:1:14: the command is empty; {_FORM}"],
            id="an empty command (C3.15)",
        ),
        pytest.param(
            "g h:t u:1 2:wait:x\n",
            [
                f"cltab:1:1: not the name of a group: 'g h'; {_NAMES}",
                f"cltab:1:5: not the name of a tag: 't u'; {_NAMES}",
                f"cltab:1:9: not the name of a level: '1 2'; {_NAMES}, with commas between levels",
            ],
            id="names with blanks (C7.9)",
        ),
        pytest.param(
            " :t: :wait:x\n",
            [
                f"cltab:1:2: the group is empty; {_FORM}",
                f"cltab:1:6: the level is empty; {_FORM}",
            ],
            id="empty fields",
        ),
        pytest.param(
            "g:t:a,,b:wait:x\n",
            [
                f"cltab:1:5: not the name of a level: 'a,,b'; {_NAMES}, with commas between levels",
            ],
            id="an empty level in a list",
        ),
        pytest.param(
            "g:t:.*:wait:x\n",
            [f"cltab:1:5: not the name of a level: '.*'; {_NAMES}, with commas between levels"],
            id="a level that looks like a pattern (C2.6)",
        ),
    ],
)
def test_a_mistake_is_told_with_place_text_and_remedy(text: str, told: list[str]) -> None:
    assert _told(text) == told


def test_columns_count_from_the_beginning_of_the_line() -> None:
    told = _told(" ::a:b\n  ::: foo:bar\ng:t:1: test(tiemout=1s):x\n")
    places = ["cltab:1:2", "cltab:2:6", "cltab:3:13"]
    assert [line.partition(": ")[0] for line in told] == places


def test_a_list_of_levels_may_be_longer_than_a_name() -> None:
    told = _told(f"g:t:{'a,' * 100}a b:wait:x\n")
    assert told[0].startswith("cltab:1:5: not the name of a level: ")


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    told = _told(b"g:t:1:wiat:x\nok:ok:1:wait:x\n\xff\n:::foo:x\ng:t:1:wait:x\nshort\n")
    assert [line.split(": ", 1)[0] for line in told] == [
        "cltab:1:7",
        "cltab:3:1",
        "cltab:4:4",
        "cltab:5:3",
        "cltab:6:6",
    ]


def test_a_name_that_is_too_long_says_so() -> None:
    assert "the group is too long" in _told(f"{'g' * 201}:t:1:wait:x\n")[0]


def test_a_tag_used_three_times_names_the_first_line_each_time() -> None:  # C1.13
    told = _told("a:t:1:wait:x\nb:t:1:wait:x\nc:t:1:wait:x\n")
    assert len(told) == 2
    assert all("entry has duplicate tag: t (first in line 1)" in line for line in told)


def test_a_hundred_thousand_mistakes_are_bounded() -> None:
    began = time.process_time()
    told = _told(b"x\n" * 100_000)
    assert time.process_time() - began < 5.0
    assert told[-1] == "and 99950 more"
    assert len(told) == 51


@pytest.mark.parametrize("filling", [b"x", b":", b"g:t:1:wait:", b"\xff", b"\0", b":::"])
def test_a_line_of_ten_megabytes_is_refused_quickly(filling: bytes) -> None:
    began = time.process_time()
    told = _told((filling * (10 << 20))[: 10 << 20])
    assert time.process_time() - began < 1.0
    assert told == [
        "cltab:1:1: the file is too big: 10485760 bytes; at most 1048576 bytes are read"
    ]


@given(cltabs())
def test_what_is_written_is_read_back(table: Cltab) -> None:
    assert parse_cltab(render_cltab(table).encode(), "cltab") == table


@given(st.binary(max_size=300) | damaged(cltabs().map(lambda table: render_cltab(table).encode())))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        table = parse_cltab(data, "cltab")
    except Mistakes as wrong:
        found = wrong.mistakes
        assert all(m.remedy and m.problem and m.line >= 1 for m in found)
    else:
        again = parse_cltab(render_cltab(table).encode(), "cltab")
        assert [e.tag for e in again.entries] == [e.tag for e in table.entries]
    parse_variables(data)


def test_clients_read_the_variables_of_a_wrong_table() -> None:  # C1.10
    data = b"short\n:::socket: /run/x.s \n\xff\n:::foo:1\n:::log:\ng:t:1:nomode:x\n"
    assert parse_variables(data) == {"socket": "/run/x.s"}


def test_the_example_is_valid() -> None:
    example = Path(__file__).parents[2] / "conf" / "cltab"
    table = parse_cltab(example.read_bytes(), str(example))
    assert table.groups() == ("web", "worker")
