"""hactl: wishes, their options, and changing one line without touching the others (H4.3)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mosha.core.ladder import Ladder, move_after
from mosha.core.status import Grade
from mosha.core.tables import Hactl, Wish
from mosha.errors import UsageError
from mosha.formats.hactl import (
    hactl_warnings,
    parse_change,
    parse_hactl,
    parse_wish,
    render_hactl,
    render_wish,
    set_wish,
)
from mosha.formats.mistakes import Mistakes
from tests.formats.strategies import damaged, hactls, names, wishes


def _levels(text: str) -> dict[str, str]:
    table = parse_hactl(text.encode(), "hactl")
    return {group: wish.level for group, wish in table.wishes.items()}


def _told(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(Mistakes) as caught:
        parse_hactl(data, "hactl")
    return str(caught.value).splitlines()


def _warned(text: str) -> list[str]:
    return [str(warning) for warning in hactl_warnings(text.encode(), "hactl")]


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        pytest.param("g start\n", {"g": "start"}, id="HC-01"),
        pytest.param("  g   start  \n", {"g": "start"}, id="HC-02 white space apart"),
        pytest.param("# g start\n", {}, id="HC-03 a comment"),
        pytest.param("  # g start\n", {}, id="HC-04 blanks before a comment"),
        pytest.param("\n\ng start\n", {"g": "start"}, id="HC-05 empty lines"),
        pytest.param("g start extra\n", {"g": "start"}, id="HC-07 further words are ignored"),
        pytest.param("g start\ng stop\n", {"g": "stop"}, id="HC-08 the last line wins"),
        pytest.param("g start # c\n", {"g": "start"}, id="HC-09 a comment after the level"),
        pytest.param("", {}, id="HC-11 an empty file (H4.5)"),
        pytest.param("g start", {"g": "start"}, id="a last line without line feed"),
        pytest.param("g\tstart\r\n", {"g": "start"}, id="tabs, and lines from Windows"),
        pytest.param("a.c start\nabc stop\n", {"a.c": "start", "abc": "stop"}, id="text (H5.23)"),
    ],
)
def test_a_hactl_reads_as(text: str, levels: dict[str, str]) -> None:
    assert _levels(text) == levels


def test_options_say_where_a_group_shall_run() -> None:
    text = b"g start prefer=2,3 only=1,2,3 failback=yes # note = this\nh start failback=no\n"
    table = parse_hactl(text, "hactl")
    assert table.wishes["g"] == Wish("g", "start", (2, 3), (1, 2, 3), failback=True, line=1)
    assert table.wishes["h"] == Wish("h", "start", line=2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "g\n",
            ["hactl:1:1: group without level: 'g'; write 'g start', or 'g stop', with a blank"],
            id="HC-06 no level (H4.4)",
        ),
        pytest.param(
            " g # start\n",
            ["hactl:1:2: group without level: 'g'; write 'g start', or 'g stop', with a blank"],
            id="the level is in the comment (H4.4)",
        ),
        pytest.param(
            "g:start\n",
            ["hactl:1:1: group without level: 'g:start'; write 'g start', or 'g stop', with"],
            id="HC-10 a colon instead of a blank",
        ),
        pytest.param(
            "g=start\nh=stop\ni=\n",
            [
                "hactl:1:1: group without level: 'g=start'; write 'g start', or 'g stop', with",
                "hactl:2:1: group without level: 'h=stop'; write 'h stop', with a blank",
                "hactl:3:1: group without level: 'i='; write 'i start', or 'i stop', with a blank",
            ],
            id="an equals sign instead of a blank",
        ),
        pytest.param(
            "a start prefer = 2\nb start only= 1, 2 ,3 failback =yes\nc start prefer=2, 3 x\n"
            "d start prefer = only=1\ne start prefer=\n",
            [
                "hactl:1:9: blanks within an option: 'prefer = 2'; write it without blanks: prefer",
                "hactl:2:9: blanks within an option: 'only= 1, 2 ,3'; write it without blanks: onl",
                "hactl:2:23: blanks within an option: 'failback =yes'; write it without blanks: fa",
                "hactl:3:9: blanks within an option: 'prefer=2, 3'; write it without blanks: pref",
                "hactl:4:9: blanks within an option: 'prefer ='; write it without blanks: prefer=",
                "hactl:5:16: not a node number; a node is a number from 1 to 65535",
            ],
            id="blanks around = and ,",
        ),
        pytest.param(
            "g start foo=1 prefr=2\n",
            [
                "hactl:1:9: unknown option: 'foo=1'; the options are prefer, only, failback, on-",
                "hactl:1:15: unknown option: 'prefr=2'; did you mean 'prefer'? the options are",
            ],
            id="unknown options",
        ),
        pytest.param(
            "g start prefer=1,x,,70000 only= failback=maybe\n",
            [
                "hactl:1:18: not a node number: 'x'; a node is a number from 1 to 65535",
                "hactl:1:20: not a node number: '1,x,,70000'; a node is",
                "hactl:1:21: not a node number: '70000'; a node is",
                "hactl:1:32: not a node number; a node is a number",
                "hactl:1:42: neither yes nor no: 'maybe'; write yes or no",
            ],
            id="bad values",
        ),
        pytest.param(
            "a start on-failure=move\nb start on-failure=move:0/9m on-failure=stay\n"
            "c start on-failure=move:21/9m\nd start on-failure=move:3/0\ne start on-failure=stop\n",
            [
                "hactl:1:20: neither stay, move:N/TIME nor restart:N/TIME: 'move'; write stay, or",
                "hactl:2:20: neither stay, move:N/TIME nor restart:N/TIME: 'move:0/9m'; write",
                "hactl:2:30: on-failure is given twice: 'on-failure=stay'; keep one",
                "hactl:3:20: neither stay, move:N/TIME nor restart:N/TIME: 'move:21/9m'; write",
                "hactl:4:20: neither stay, move:N/TIME nor restart:N/TIME: 'move:3/0'; write",
                "hactl:5:20: neither stay, move:N/TIME nor restart:N/TIME: 'stop'; write stay",
            ],
            id="what is no answer to failures",
        ),
        pytest.param(
            "a start on-failure=restart:20/9m\nb start on-failure=restart:1/9m,move:0/1h\n"
            "c start on-failure=restart:1/9m,stop,move\nd start on-failure=move:3/9m,stop\n"
            "e start on-failure=restart:1/9m,move,move:1/1h\nf start on-failure=restart:1/9m,\n"
            "g start on-failure=restart:1/9m,restart:2/9m\n"
            "h start on-failure=restart:1/9m, stop\ni start on-failure=restart:1/9m,move,halt\n",
            [
                "hactl:1:20: neither stay, move:N/TIME nor restart:N/TIME: 'restart:20/9m'; write",
                "hactl:2:33: neither move, move:N/TIME nor stop: 'move:0/1h'; write stay, or",
                "hactl:3:33: a rung in the wrong place: 'stop'; the rungs are restart:N/TIME, then",
                "hactl:4:30: nothing may follow move:N/TIME at the beginning: 'stop'; write resta",
                "hactl:5:38: a rung in the wrong place: 'move:1/1h'; the rungs are",
                "hactl:6:33: neither move, move:N/TIME nor stop; write stay",
                "hactl:7:33: a rung in the wrong place: 'restart:2/9m'; the rungs are",
                "hactl:8:9: blanks within an option: 'on-failure=restart:1/9m, stop'; write it",
                "hactl:9:38: neither move, move:N/TIME nor stop: 'halt'; write stay",
            ],
            id="what is no ladder",
        ),
        pytest.param(
            "a start fence=off\nb start fence=\n",
            [
                "hactl:1:15: not the evidence of a death: 'off'; write one of lease-elapsed, oper",
                "hactl:2:15: not the evidence of a death; write one of lease-elapsed",
            ],
            id="what is no evidence of a death",
        ),
        pytest.param(
            "g start only=2,2 prefer=1 prefer=3\n",
            [
                "hactl:1:16: the node is listed twice: '2'; list it once",
                "hactl:1:27: prefer is given twice: 'prefer=3'; keep one",
            ],
            id="things twice",
        ),
        pytest.param(
            "g/h a,b\n",
            [
                "hactl:1:1: not the name of a group: 'g/h'; use letters",
                "hactl:1:5: not the name of a level: 'a,b'; use letters",
            ],
            id="bad names",
        ),
    ],
)
def test_a_mistake_is_told_with_place_text_and_remedy(text: str, told: list[str]) -> None:
    found = _told(text)
    assert len(found) == len(told)
    for line, expected in zip(found, told, strict=True):
        assert line.startswith(expected)


def test_a_mistake_in_an_overridden_line_is_told_too() -> None:
    assert _told("g start foo=1\ng stop\nh\n\xff\n".encode("latin-1"))[1].startswith("hactl:3:1:")


def test_too_many_nodes_are_refused() -> None:
    many = ",".join(map(str, range(1, 1026)))
    assert "1025 nodes" in _told(f"g start only={many}\n")[0]
    most = tuple(range(1, 1025))
    text = f"g start only={','.join(map(str, most))}\n"
    assert parse_hactl(text.encode(), "hactl").wishes["g"].only == most


def test_ignored_words_and_doubled_groups_are_warned_about() -> None:  # HC-07, HC-08
    assert _warned("g start extra\n") == [
        "hactl:1:9: a word that is ignored: 'extra'; remove it, or put a '#' before it"
    ]
    assert _warned("g start\nh start\ng stop\n") == [
        "hactl:3:1: this line wins over line 1 of the same group: 'g'; keep one line for each group"
    ]
    outside = "hactl:1:16: prefer names a node that only leaves out: '4'"
    assert _warned("g start prefer=4 only=1,2\n") == [
        f"{outside}; name it in only=, too, or in neither"
    ]
    alone = "hactl:1:27: only= leaves no other node to move to: 'move:3/10m'"
    assert _warned("g start only=1 on-failure=move:3/10m\n") == [
        f"{alone}; name another node in only=, or drop one"
    ]
    assert _warned("g start only=1,2 on-failure=move:3/10m\n") == []
    assert _warned("g start only=1 on-failure=restart:3/10m,stop\n") == []
    nothing = "hactl:1:20: nothing follows the restarts: the group stays, as with stay"
    assert _warned("g start on-failure=restart:3/10m\n") == [
        f"{nothing}: 'restart:3/10m'; add move, stop or both"
    ]
    assert _warned("g start # c\n") == []


def test_what_shall_follow_on_failures_is_read() -> None:
    table = parse_hactl(b"g start on-failure=move:3/10m\nh start on-failure=stay\n", "hactl")
    assert table.wishes["g"].on_failure == move_after(3, 600.0)
    assert table.wishes["h"].on_failure is None


@pytest.mark.parametrize(
    ("text", "ladder", "written"),
    [
        ("restart:3/10m,move:2/1h,stop", Ladder(3, 600.0, 2, 3600.0, stops=True), None),
        ("restart:3/10m,move,stop", Ladder(3, 600.0, None, stops=True), None),
        ("restart:3/10m,move:2/90s", Ladder(3, 600.0, 2, 90.0), None),
        ("restart:0/600,stop", Ladder(0, 600.0, 0, stops=True), "restart:0/10m,stop"),
        ("restart:3/10m", Ladder(3, 600.0, 0), None),
        ("restart:2/10m,move", move_after(3, 600.0), "move:3/10m"),
        ("move:1/9s", Ladder(0, 9.0), None),
    ],
)
def test_a_ladder_is_read_and_written(text: str, ladder: Ladder, written: str | None) -> None:
    table = parse_hactl(f"g start on-failure={text}\n".encode(), "hactl")
    assert table.wishes["g"].on_failure == ladder
    assert str(ladder) == (written or text)


def test_the_evidence_that_a_group_asks_for_is_read() -> None:
    table = parse_hactl(b"g start fence=off-confirmed\nh start fence=as-set\n", "hactl")
    assert (table.wishes["g"].fence, table.wishes["h"].fence) == (Grade.OFF_CONFIRMED, None)


def test_a_command_line_is_read_as_a_line_but_without_leniency() -> None:
    assert parse_wish(["g", "start", "only=1,2"]) == Wish("g", "start", only=(1, 2), line=1)
    for words in ([], ["g"], ["g", "start", "extra"], ["#g", "start"], ["g", "start", "x=1"], [""]):
        with pytest.raises(UsageError):
            parse_wish(words)


@pytest.mark.parametrize(
    ("before", "wish", "after"),
    [
        ("", Wish("g", "start"), "g start\n"),
        ("# c\n\nh  stop", Wish("g", "start"), "# c\n\nh  stop\ng start\n"),
        ("g stop\n", Wish("g", "start", prefer=(2,)), "g start prefer=2\n"),
        ("  g stop   # why\nh on\n", Wish("g", "start"), "  g start # why\nh on\n"),
        ("g a\nh b\ng c\n", Wish("g", "d"), "g a\nh b\ng d\n"),
        ("g start only=1\n", Wish("g", "start"), "g start\n"),
        ("g   start\t# same\n", Wish("g", "start"), "g   start\t# same\n"),
        ("h a\r\ng b\r\n", Wish("g", "c"), "h a\r\ng c\r\n"),
        ("h a\r\n", Wish("g", "c"), "h a\r\ng c\r\n"),
        ("# g stop\n", Wish("g", "start"), "# g stop\ng start\n"),
        ("g\n", Wish("g", "start"), "g start\n"),
        ("gg stop\n", Wish("g", "start"), "gg stop\ng start\n"),
        ("g", Wish("g", "start"), "g start"),
        ("g start failback=yes\n", Wish("g", "start", failback=True), "g start failback=yes\n"),
    ],
)
def test_setting_a_wish_changes_that_line_and_nothing_else(
    before: str, wish: Wish, after: str
) -> None:
    assert set_wish(before, wish) == after


@given(st.lists(names, max_size=4), st.text(max_size=80), names.flatmap(wishes))
def test_after_setting_a_wish_it_is_what_holds(groups: list[str], noise: str, wish: Wish) -> None:
    junk = "note " + "".join(c for c in noise if c.isprintable()).strip()
    text = "".join(f"# {junk}\n{group} stop # {junk}\n\n" for group in groups)
    changed = set_wish(text, wish)
    said = parse_hactl(changed.encode(), "hactl").wishes
    held = said[wish.group]
    assert replace(held, line=0) == replace(wish, line=0)
    assert {g: w.level for g, w in said.items() if g != wish.group} == dict.fromkeys(
        (group for group in groups if group != wish.group), "stop"
    )
    assert changed.count(junk.strip()) == text.count(junk.strip())
    assert set_wish(changed, wish) == changed


@given(st.text(max_size=200), names.flatmap(wishes))
def test_setting_a_wish_leaves_all_other_lines_of_any_text(text: str, wish: Wish) -> None:
    before, after = text.split("\n"), set_wish(text, wish).split("\n")
    changed = [i for i, line in enumerate(before) if i >= len(after) or after[i] != line]
    assert len(changed) <= 1
    assert len(after) <= len(before) + 2


def test_a_wish_that_could_not_be_read_back_is_refused() -> None:
    for wish in (Wish("g h", "start"), Wish("g", "a\nb start"), Wish("", "start")):
        with pytest.raises(UsageError):
            set_wish("", wish)


@given(hactls())
def test_what_is_written_is_read_back(table: Hactl) -> None:
    assert parse_hactl(render_hactl(table).encode(), "hactl") == table


@given(st.binary(max_size=300) | damaged(hactls().map(lambda table: render_hactl(table).encode())))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        parse_hactl(data, "hactl")
    except Mistakes as wrong:
        found = wrong.mistakes
        assert all(m.remedy and m.problem and m.line >= 1 for m in found)
    hactl_warnings(data, "hactl")


@pytest.mark.parametrize("filling", [b"g start ", b"x", b"1,", b"\xff", b"#"])
def test_a_line_of_ten_megabytes_is_refused_quickly(filling: bytes) -> None:
    began = time.process_time()
    told = _told((filling * (10 << 20))[: 10 << 20])
    assert time.process_time() - began < 1.0
    assert told[0].startswith("hactl:1:1: the file is too big")


def test_the_example_is_valid_and_has_no_warnings() -> None:
    data = (Path(__file__).parents[2] / "conf" / "hactl").read_bytes()
    assert set(parse_hactl(data, "hactl").wishes) == {"web", "worker"}
    assert hactl_warnings(data, "hactl") == ()


@pytest.mark.parametrize(
    ("words", "before", "after"),
    [
        (
            "g start",
            "g stop prefer=2 only=1,2 failback=yes",
            "g start prefer=2 only=1,2 failback=yes",
        ),
        ("g start only=3", "g start prefer=2", "g start prefer=2 only=3"),
        (
            "g start prefer=any only=any failback=no",
            "g stop prefer=2 only=2 failback=yes",
            "g start",
        ),
        ("g start prefer=any only=any", "g stop prefer=2 only=2", "g start"),
        ("g start prefer=2", "", "g start prefer=2"),
        ("g stop", "g start on-failure=move:3/600", "g stop on-failure=move:3/10m"),
        ("g start on-failure=stay", "g start on-failure=move:3/9s", "g start"),
        ("g stop", "g start fence=off-confirmed", "g stop fence=off-confirmed"),
        ("g start fence=as-set", "g start fence=off-confirmed", "g start"),
        (
            "g start on-failure=move:1/90s",
            "g stop only=1,2",
            "g start only=1,2 on-failure=move:1/90s",
        ),
    ],
)
def test_a_change_keeps_what_it_does_not_name(words: str, before: str, after: str) -> None:
    wish = parse_wish(before.split()) if before else None
    assert render_wish(parse_change(words.split()).applied(wish)) == after


@pytest.mark.parametrize("option", ["prefer", "only"])
def test_an_option_without_nodes_is_a_mistake_that_names_any(option: str) -> None:
    with pytest.raises(Mistakes, match=f"names no node: '{option}='; write {option}=any to drop"):
        parse_change(["g", "start", f"{option}="])


def test_any_node_is_a_word_of_the_command_line_and_not_of_the_file() -> None:
    with pytest.raises(Mistakes, match="not a node number: 'any'"):
        parse_hactl(b"g start prefer=any\n", "hactl")
