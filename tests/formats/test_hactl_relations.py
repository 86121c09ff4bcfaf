"""hactl: the options that relate groups, and the contradictions between them."""

from __future__ import annotations

import time

import pytest

from mosha.core.tables import Wish
from mosha.formats.hactl import hactl_warnings, parse_change, parse_hactl, render_wish
from mosha.formats.mistakes import MISTAKES_MAX, Mistakes


def _told(text: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        parse_hactl(text.encode(), "hactl")
    return str(caught.value).splitlines()


def _warned(text: str) -> list[str]:
    parse_hactl(text.encode(), "hactl")
    return [str(warning) for warning in hactl_warnings(text.encode(), "hactl")]


def test_the_relations_of_a_group_are_read_and_written() -> None:
    line = "g start after=a,b with=c apart=d priority=-7 weight=2048"
    text = f"{line}\na start on=all\nb start on=one weight=1\nc start after=none\nd start\n"
    wishes = parse_hactl(text.encode(), "hactl").wishes
    assert wishes["g"] == Wish(
        "g",
        "start",
        line=1,
        after=("a", "b"),
        with_=("c",),
        apart=("d",),
        priority=-7,
        weight=2048,
    )
    assert (wishes["a"].on_all, wishes["b"]) == (True, Wish("b", "start", line=3))
    assert wishes["c"].after == ()
    assert [render_wish(wishes[group]) for group in "gabc"] == [
        line,
        "a start on=all",
        "b start",
        "c start",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "g start after=a,,a apart=b/c\n",
            [
                "hactl:1:17: not the name of a group: 'a,,a'; use letters",
                "hactl:1:18: the group is listed twice: 'a'; list it once",
                "hactl:1:26: not the name of a group: 'b/c'; use letters",
            ],
            id="names",
        ),
        pytest.param(
            f"g start after={','.join(map(str, range(101)))}\n",
            ["hactl:1:15: 101 groups: '0,1,2"],
            id="too many",
        ),
        pytest.param(
            "a start priority=1001\nb start priority=-1001 weight=-1\nc start weight=1000001\n"
            "d start weight=1.5 priority=\ne start priority=--1\nf start weight=٣\n",
            [
                "hactl:1:18: not a number in range: '1001'; write a whole number from -1000 to 10",
                "hactl:2:18: not a number in range: '-1001'; write a whole number from -1000 to",
                "hactl:2:31: not a number in range: '-1'; write a whole number from 0 to 1000000",
                "hactl:3:16: not a number in range: '1000001'; write a whole number from 0 to",
                "hactl:4:16: not a number in range: '1.5'; write",
                "hactl:4:29: not a number in range; write",
                "hactl:5:18: not a number in range: '--1'; write",
                "hactl:6:16: not a number in range: '٣'; write",
            ],
            id="numbers",
        ),
        pytest.param(
            "a start on=each\n",
            ["hactl:1:12: neither all nor one: 'each'; write all for one instance on each node"],
            id="where it has instances",
        ),
        pytest.param(
            "a start after=b,a with=a\nb start apart=b\n",
            [
                "hactl:1:17: the group names itself: 'a'; name other groups in after=",
                "hactl:1:24: the group names itself: 'a'; name other groups in with=",
                "hactl:2:15: the group names itself: 'b'; name other groups in apart=",
            ],
            id="itself",
        ),
        pytest.param(
            "a start after = b, c\n",
            ["hactl:1:9: blanks within an option: 'after = b, c'; write it without blanks: after="],
            id="blanks",
        ),
        pytest.param(
            "x start\nc start after=x,a\na start after=b\nb start with=c\n"
            "d start with=e\ne start with=d\n",
            [
                "hactl:2:17: groups that wait for each other, c after=a (line 2), a after=b (line",
                "hactl:5:14: groups that wait for each other, d with=e (line 5), e with=d (line 6)",
            ],
            id="circles",
        ),
        pytest.param(
            "a start with=b\nb start with=c\nc start\nd start with=c apart=a\n"
            "e start with=c apart=c\n",
            [
                "hactl:4:22: to be apart, and on one node by d with=c (line 4), b with=c (line 2),",
                "hactl:5:22: to be apart, and on one node by e with=c (line 5): 'c'; drop it",
            ],
            id="apart, and on one node",
        ),
        pytest.param(
            "a start with=b only=1,2\nb start with=c\nc start only=3,4\nd start with=c only=4,5\n",
            [
                "hactl:1:14: no node for both: a runs on 1,2, b on 3,4 (line 2): 'b'; name a node",
            ],
            id="no node for both",
        ),
        pytest.param(
            "a start on=all prefer=1 failback=yes apart=b\nb start on=all apart=c\n"
            "c start\nd start apart=e\ne start on=all with=c\n",
            [
                "hactl:1:23: prefer= beside on=all: a group on each node prefers none: '1'; drop",
                "hactl:1:34: failback= beside on=all: a group on each node has nowhere to go",
                "hactl:1:44: apart= beside on=all: a group on each node leaves no node to others:",
                "hactl:2:22: apart= beside on=all: a group on each node leaves no node to others:",
                "hactl:4:15: apart from a group that runs on each node (line 5): 'e'; drop it",
                "hactl:5:21: on=all, with a group that runs on one node (line 3): 'c'; drop on=all",
            ],
            id="on each node, and not",
        ),
    ],
)
def test_a_relation_that_cannot_hold_is_a_mistake(text: str, told: list[str]) -> None:
    found = _told(text)
    assert len(found) == len(told)
    for line, expected in zip(found, told, strict=True):
        assert line.startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a start after=b,c with=b,c\nb start\nc start after=b\n", id="no circle"),
        pytest.param("a start with=b\nb start\nc start apart=a,b\n", id="apart from a pair"),
        pytest.param(
            "a start with=b\nb start on=all\nc start with=b apart=a\n", id="on different nodes of b"
        ),
        pytest.param("a start with=b only=1,2\nb start only=2,3\n", id="one common node"),
        pytest.param("a start with=b\nb start only=2,3\n", id="any node"),
        pytest.param("a start on=all only=1,2\nb start with=a,c\nc start on=all\n", id="on all"),
        pytest.param("a start on=all failback=no after=b\nb start\n", id="nothing to go back"),
        pytest.param("a start apart=b only=1\nb start only=1,2 apart=a\n", id="room for both"),
        pytest.param("a stop after=b\nb stop\nc start apart=b\n", id="stopped together"),
    ],
)
def test_relations_that_can_hold_are_neither_mistakes_nor_warned_about(text: str) -> None:
    assert _warned(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "a start after=b,webb with=c\nb stop\nweb start apart=x\nc stop\n",
            [
                "hactl:1:15: the group is at stop (line 2), and a never starts: 'b'; mosha set b",
                "hactl:1:17: hactl does not name the group, and a never starts: 'webb'; did you me",
                "hactl:1:27: the group is at stop (line 4), and a never starts: 'c'; mosha set c",
                "hactl:3:17: hactl does not name the group: 'x'; add a line for it, or drop it",
            ],
            id="groups that do not run",
        ),
        pytest.param(
            "a start with=c apart=b\nb start only=1\nc start only=1\n",
            ["hactl:1:22: only node 1 may run either: one of them never runs: 'b'; name more nod"],
            id="one node for two that are apart",
        ),
        pytest.param(
            "a start on=all on-failure=restart:1/9m,move,stop\n",
            ["hactl:1:27: with on=all there is no other node to move to: 'restart:1/9m,move,stop'"],
            id="a move from each node",
        ),
    ],
)
def test_a_relation_that_does_not_hold_now_is_warned_about(text: str, told: list[str]) -> None:
    found = _warned(text)
    assert len(found) == len(told)
    for line, expected in zip(found, told, strict=True):
        assert line.startswith(expected)


def test_a_line_that_another_one_overrides_relates_to_nothing() -> None:
    text = "a start after=b\nb start after=a\nb start\n"
    assert [line.partition(": ")[2] for line in _warned(text)] == [
        "this line wins over line 2 of the same group: 'b'; keep one line for each group"
    ]


def test_relations_are_dropped_by_a_change_that_says_so() -> None:
    wish = Wish("g", "start", after=("a",), with_=("b",), priority=3, weight=9, on_all=True)
    words = ["g", "start", "after=none", "with=c", "priority=0", "on=one"]
    assert render_wish(parse_change(words).applied(wish)) == "g start with=c weight=9"
    for option in ("after", "with", "apart"):
        with pytest.raises(Mistakes, match=f"names no group: '{option}='; write {option}=none to"):
            parse_change(["g", "start", f"{option}="])


def test_a_table_full_of_contradictions_is_refused_quickly() -> None:
    groups = range(3000)
    rows = [f"g{n} start with=g{(n + 1) % 3000} apart=g{(n + 9) % 3000}" for n in groups]
    rows += [f"h{n} start with=h{n // 2 * 2 + 1 - n % 2} after=x{n}" for n in groups]
    rows += [f"i{n} start with=j" for n in range(90)]
    others = ",".join(f"i{n}" for n in range(90))
    rows += [f"i{n} start with=j apart={others}" for n in groups[90:2000]]
    began = time.process_time()
    for part in (rows[:6000], ["j start", *rows[6000:]]):
        assert len(_told("".join(f"{row}\n" for row in part))) >= MISTAKES_MAX
    hactl_warnings("".join(f"{row}\n" for row in rows).encode(), "hactl")
    assert time.process_time() - began < 10.0
