"""clstat: complete, torn, foreign or malformed; and the original's group lines (C7, H3)."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mosha.core.status import (
    Ban,
    Disarm,
    EntryAnswer,
    Grade,
    GroupLine,
    GroupState,
    NodeState,
    Order,
    Receipt,
    Stamp,
    Status,
    TableVersion,
    Term,
    Trouble,
    TroubleKind,
    Unended,
    Vote,
)
from mosha.formats.clstat import (
    ForeignStatus,
    MalformedStatus,
    TornStatus,
    UnreadableStatus,
    parse_clstat,
    parse_next,
    parse_original,
    render_clstat,
    render_groups,
)
from mosha.formats.clstat_words import COUNTED_MAX, NUMBER_MAX, WORD_MAX_CHARS
from tests.formats.strategies import damaged, group_lines, mappings, names, statuses

K = TypeVar("K")
V = TypeVar("V")

FULL = Status(
    node=2,
    inc=1763800000,
    run="5f0c91aa",
    boot="77de02c1",
    seq=1041,
    quorum=False,
    timeout_ms=60_000,
    voters="1c291ca3",
    seen={3: Stamp(1763700000, 12), 1: Stamp(1763790000, 884)},
    votes={"foo": Vote(17, 1, 1763790000, 880)},
    terms={"bar": Term(4), "foo": Term(17, 17)},
    claims={"baz": 9},
    groups={"baz": GroupLine("start", GroupState.DONE)},
    bans={"bad": Ban(240, "test entry bad1 exited 1")},
    fenced={3: Receipt(1763700000, "ipmi", Grade.OFF_CONFIRMED)},
    tables={"hactl": TableVersion(1763700000123456789, "0a1b2c")},
    refused={"cltab": "cltab:3:1: unknown mode: 'x'"},
    troubles={
        ("foo", "d"): Trouble("d", TroubleKind.PAUSING, 6, 3, "exit 1: bind: address in use"),
        ("foo", "c"): Trouble("c", TroubleKind.LATE, 0, 42),
    },
)

FULL_TEXT = """\
Mosha::Node 2 inc=1763800000 run=5f0c91aa boot=77de02c1 seq=1041 state=up version=1 quorum=no \
timeout_ms=60000 voters=1c291ca3
Mosha::Seen 1 inc=1763790000 seq=884
Mosha::Seen 3 inc=1763700000 seq=12
Mosha::Vote foo term=17 node=1 inc=1763790000 seq=880
Mosha::Term bar 4 voted=0
Mosha::Term foo 17 voted=17
Mosha::Claim baz term=9
Cluster::Init::Group baz start DONE
Mosha::Ban bad 240 test entry bad1 exited 1
Mosha::Fenced 3 inc=1763700000 method=ipmi grade=off-confirmed
Mosha::Table hactl mtime_ns=1763700000123456789 digest=0a1b2c
Mosha::Refused cltab cltab:3:1: unknown mode: 'x'
Mosha::Entry foo c late restarts=0 for_s=42
Mosha::Entry foo d pausing restarts=6 for_s=3 exit 1: bind: address in use
"""

NODE = "Mosha::Node 2 inc=5 run=aa boot=bb seq=7 state=up version=1 quorum=yes timeout_ms=0\n"


def sealed(text: str, seq: int = 7) -> bytes:
    return f"{text}Mosha::End seq={seq} crc32={zlib.crc32(text.encode()):08x}\n".encode()


def test_a_status_is_written_a_line_a_fact_and_sealed() -> None:
    assert render_clstat(FULL).encode() == sealed(FULL_TEXT, 1041)


def test_the_readers_of_the_original_take_the_group_lines() -> None:
    assert parse_original(render_clstat(FULL).encode()) == FULL.groups


@given(statuses)
def test_what_is_written_is_read_back(status: Status) -> None:
    assert parse_clstat(render_clstat(status).encode()) == status


@given(statuses, statuses, statuses)
def test_a_status_is_read_the_same_whatever_was_read_before_it(
    first: Status, second: Status, echoing: Status
) -> None:
    after = replace(first, seq=first.seq + 1, seen=echoing.seen)
    for later in (second, first, after):
        text = render_clstat(later).encode()
        read = parse_next(text, parse_next(render_clstat(first).encode())).status
        assert read == parse_clstat(text)
        assert dict(read.seen) == dict(later.seen)


def test_of_a_status_that_differs_in_its_echoes_alone_only_those_are_parsed() -> None:
    first = parse_next(render_clstat(FULL).encode())
    later = replace(FULL, seq=FULL.seq + 1, seen={1: Stamp(1763790000, 885)})
    read = parse_next(render_clstat(later).encode(), first).status
    assert read == later
    assert read.votes is first.status.votes


def test_what_is_above_the_echoes_of_another_writer_is_not_taken_for_what_is_below_them() -> None:
    echoes_and_rest = "Mosha::Seen 1 inc=3 seq=4\nMosha::Claim g term=5\n"
    first = parse_next(sealed(f"{NODE}Mosha::Term g 4\n{echoes_and_rest}"))
    read = parse_next(sealed(f"{NODE}{echoes_and_rest}"), first).status
    assert (read.claims, read.terms) == ({"g": 5}, {})


def test_what_another_writer_puts_above_the_line_of_the_node_counts_too() -> None:
    for first in ("Mosha::Term g 4\n", "Mosha::Seen 2 inc=1 seq=1\n"):
        read = parse_clstat(sealed(f"{first}Mosha::Seen 1 inc=3 seq=4\n{NODE}"))
        assert read.terms or read.seen[2] == Stamp(1, 1)
        assert read.seen[1] == Stamp(3, 4)


def _reversed(mapping: Mapping[K, V]) -> dict[K, V]:
    return dict(reversed(list(mapping.items())))


@given(statuses)
def test_equal_statuses_are_written_equally(status: Status) -> None:
    other = replace(
        status,
        seen=_reversed(status.seen),
        votes=_reversed(status.votes),
        terms=_reversed(status.terms),
        claims=_reversed(status.claims),
        groups=_reversed(status.groups),
        bans=_reversed(status.bans),
        fenced=_reversed(status.fenced),
        tables=_reversed(status.tables),
        refused=_reversed(status.refused),
        troubles=_reversed(status.troubles),
    )
    assert render_clstat(other) == render_clstat(status)


def test_the_text_of_an_answer_says_nothing_of_the_order_that_it_is_to() -> None:
    answers = {(3, 7): EntryAnswer(5, ok=True, text="ok=no inc=6 seq=8")}
    status = replace(FULL, answers=answers)
    assert parse_clstat(render_clstat(status).encode()).answers == answers


def test_an_answer_of_a_later_kind_is_not_taken_for_a_yes() -> None:
    read = parse_clstat(sealed(f"{NODE}Mosha::EntryAnswer 3 inc=5 seq=7 ok=partly half of it\n"))
    assert read.answers == {(3, 7): EntryAnswer(5, ok=False, text="half of it")}


def test_free_text_is_made_one_bounded_line() -> None:
    odd = "line 1\nMosha::Claim evil term=99\x00\x1b[2J" + "x" * 1000
    status = replace(FULL, bans={"g": Ban(1, odd)}, refused={"cltab": odd, "hactl": ""})
    read = parse_clstat(render_clstat(status).encode())
    assert read.claims == {"baz": 9}
    assert read.bans["g"].reason.startswith("line 1 Mosha::Claim evil term=99 [2Jxxx")
    assert len(read.bans["g"].reason) == 200
    assert read.refused["hactl"] == ""
    fencing = replace(FULL, disarms={7: Disarm(2, 60, odd)}, unended={"g": Unended(odd)})
    read = parse_clstat(render_clstat(fencing).encode())
    assert read.claims == {"baz": 9}
    assert {len(read.disarms[7].reason), len(read.unended["g"].reason)} == {200}


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("g d pausing", Trouble("d", TroubleKind.PAUSING)),
        ("g d melting restarts=1 for_s=2 hot", Trouble("d", TroubleKind.OTHER, 1, 2, "hot")),
        (
            "g d late restarts=1 for_s=2 later=3 x",
            Trouble("d", TroubleKind.LATE, 1, 2, "later=3 x"),
        ),
    ],
)
def test_an_entry_of_a_later_version_is_read_as_far_as_it_is_known(
    line: str, trouble: Trouble
) -> None:
    read = parse_clstat(sealed(f"{NODE}Mosha::Entry {line}\n"))
    assert read.troubles == {("g", "d"): trouble}


@pytest.mark.parametrize("line", ["g", "g d", "g:1 d late", "g ; late", ""])
def test_a_line_that_is_no_entry_is_malformed(line: str) -> None:
    with pytest.raises(MalformedStatus):
        parse_clstat(sealed(f"{NODE}Mosha::Entry {line}\n"))


def test_an_order_for_an_entry_is_no_line_that_an_older_version_takes_for_one_for_its_group() -> (
    None
):
    """It skips the word `tag=`, and acknowledges verbs that it does not know."""
    orders = {1: Order("restart", "g", tag="t"), 2: Order("restart", "g")}
    lines = render_clstat(replace(parse_clstat(sealed(NODE)), orders=orders)).splitlines()
    assert [line for line in lines if line.startswith("Mosha::Order ")] == [
        "Mosha::Order 2 verb=restart node=0 group=g"
    ]
    assert "Mosha::EntryOrder 1 verb=restart group=g tag=t" in lines


def test_an_older_version_skips_the_lines_about_instances_and_reads_the_others() -> None:
    status = replace(
        parse_clstat(sealed(NODE)),
        votes={"dns": Vote(4, 2, 1, 1), "dns@3": Vote(5, 3, 1, 1)},
        groups={"dns@1": DONE},
        bans={"dns": Ban(3, "said by a@b")},
        troubles={("dns@1", "d"): Trouble("d", TroubleKind.LATE, 0, 1)},
        orders={1: Order("restart", "dns@2"), 2: Order("start", "dns@2", tag="d")},
    )
    lines = render_clstat(status).splitlines()
    classes = {line.partition(" ")[0] for line in lines if "dns@" in line}
    expected = {"Vote", "Entry", "Order", "EntryOrder"}
    assert classes == {*(f"Mosha::{it}@" for it in expected), "Cluster::Init::Group@"}
    assert "Mosha::Vote dns term=4 node=2 inc=1 seq=1" in lines
    assert "Mosha::Ban dns 3 said by a@b" in lines
    assert parse_clstat(render_clstat(status).encode()) == status


def test_a_fencing_method_becomes_one_word() -> None:
    status = replace(FULL, fenced={3: Receipt(1, "rack power switch")})
    assert parse_clstat(render_clstat(status).encode()).fenced[3].method == "rack-power-switch"


def test_the_long_path_of_a_command_does_not_make_its_node_unreadable() -> None:
    path = "/opt/" + "x" * 2 * WORD_MAX_CHARS
    status = replace(FULL, fenced={3: Receipt(1, path)})
    read = parse_clstat(render_clstat(status).encode())
    assert read.fenced[3].method == path[:WORD_MAX_CHARS]


@pytest.mark.parametrize(
    ("words", "grade"),
    [
        ("method=ipmi", Grade.COMMAND_SAID_SO),
        ("method=operator", Grade.OPERATOR_SAID_SO),
        ("method=ipmi grade=off-confirmed later=yes", Grade.OFF_CONFIRMED),
        ("method=ipmi grade=lease-elapsed", Grade.LEASE_ELAPSED),
        ("method=ipmi grade=seen-to-burn", Grade.OPERATOR_SAID_SO),
    ],
)
def test_a_receipt_of_another_version_is_worth_no_more_than_it_says(
    words: str, grade: Grade
) -> None:
    status = parse_clstat(sealed(f"{NODE}Mosha::Fenced 3 inc=5 {words}\n"))
    assert status.fenced[3].grade is grade


def test_the_shortest_status_is_two_lines() -> None:
    status = parse_clstat(sealed(NODE))
    assert status == Status(node=2, inc=5, run="aa", boot="bb", seq=7)


def test_lines_and_words_of_later_versions_are_skipped() -> None:
    text = (
        NODE.replace("version=1", "version=999 mood=fine")
        + "Mosha::Mood 7 whatever=1\nRubbish\n\nMosha::Seen 1 inc=3 seq=4 more=5 words\n"
        + "Cluster::Init::Process g start DONE\nCluster::Init::Group g start DONE since=9\n"
        + "Mosha::Term g 4 voted=2 more\n"
    )
    status = parse_clstat(sealed(text))
    assert status.version == 999
    assert status.seen == {1: Stamp(3, 4)}
    assert status.groups == {"g": GroupLine("start", GroupState.DONE)}
    assert status.terms == {"g": Term(4, 2)}


@pytest.mark.parametrize(
    "line",
    [
        "Mosha::Seen 1 inc={} seq=1",
        "Mosha::Seen 1 inc=1 seq={}",
        "Mosha::Vote g term={} node=1 inc=1 seq=1",
        "Mosha::Vote g term=1 node=1 inc={} seq=1",
        "Mosha::Vote g term=1 node=1 inc=1 seq={}",
        "Mosha::Term g {}",
        "Mosha::Term g 1 voted={}",
        "Mosha::Claim g term={}",
        "Mosha::Fenced 1 inc={} method=x",
        "Mosha::Order {} verb=move node=1 group=g",
        "Mosha::EntryOrder {} verb=stop group=g tag=t",
        "Mosha::EntryAnswer 1 inc={} seq=1 ok=yes",
        "Mosha::EntryAnswer 1 inc=1 seq={} ok=no it is a test",
        "Mosha::Obeyed 1 inc={} seq=1",
    ],
)
def test_a_counter_that_nothing_counts_to_is_passed_over_so_that_it_does_not_spread(
    line: str,
) -> None:
    node = parse_clstat(sealed(NODE))
    for far in (COUNTED_MAX, 10**19, 10**20 - 1):
        assert parse_clstat(sealed(f"{NODE}{line.format(far)}\n")) == node
    assert parse_clstat(sealed(f"{NODE}{line.format(COUNTED_MAX - 1)}\n")) != node


def test_one_more_than_the_farthest_that_is_read_is_still_read_of_its_node() -> None:
    text = NODE.replace("inc=5", f"inc={COUNTED_MAX}")
    assert parse_clstat(sealed(text)).inc == COUNTED_MAX
    for far in ("inc=5", "seq=7"):
        beyond = NODE.replace(far, f"{far[:4]}{NUMBER_MAX + 1}")
        with pytest.raises(MalformedStatus, match="at most"):
            parse_clstat(sealed(beyond, NUMBER_MAX + 1 if far == "seq=7" else 7))


def test_of_two_echoes_of_a_node_the_last_counts() -> None:
    text = (
        f"{NODE}Mosha::Seen 1 inc=3 seq=4\nMosha::Seen 12 inc=2 seq=2\nMosha::Seen 1 inc=3 seq=9\n"
    )
    seen = parse_clstat(sealed(text)).seen
    assert (seen[1], list(seen), len(seen)) == (Stamp(3, 9), [1, 12], 2)


def test_the_form_without_later_words_is_read() -> None:
    text = (
        "Mosha::Node 2 inc=5 run=aa boot=bb seq=7 state=left version=1\n"
        "Mosha::Term bar 4\nMosha::Ban bad 240\n"
    )
    status = parse_clstat(sealed(text))
    assert status.state is NodeState.LEFT
    assert status.quorum
    assert status.terms == {"bar": Term(4)}
    assert status.bans == {"bad": Ban(240, "")}


def test_every_prefix_of_a_status_is_torn() -> None:
    data = render_clstat(FULL).encode()
    for length in range(len(data)):
        with pytest.raises(TornStatus):
            parse_clstat(data[:length])


def test_a_status_padded_with_zeros_is_torn() -> None:
    data = render_clstat(FULL).encode()
    for length in range(len(data)):
        with pytest.raises(TornStatus):
            parse_clstat(data[:length] + b"\0" * (len(data) - length))
    with pytest.raises(TornStatus):
        parse_clstat(data + b"\0\0")


def test_any_other_byte_anywhere_is_noticed() -> None:
    data = render_clstat(FULL).encode()
    for at in range(len(data)):
        with pytest.raises(UnreadableStatus):
            parse_clstat(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_the_mixture_of_two_writes_is_torn() -> None:
    one, two = render_clstat(FULL).encode(), render_clstat(replace(FULL, seq=1042)).encode()
    assert len(one) == len(two)
    half = len(one) // 2
    with pytest.raises(TornStatus):
        parse_clstat(one[:half] + two[half:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"Mosh",
        b"\n" * 9,
        NODE.encode(),
        sealed(NODE, 8),
        sealed(NODE) + b"Cluster::",
        sealed(NODE) + sealed(NODE)[:-1],
    ],
)
def test_what_has_no_matching_end_is_torn_or_foreign(data: bytes) -> None:
    with pytest.raises((TornStatus, ForeignStatus)):
        parse_clstat(data)


def test_the_clstat_of_the_original_is_foreign() -> None:
    with pytest.raises(ForeignStatus, match="another program"):
        parse_clstat(b"Cluster::Init::Group g start DONE\n")


def test_another_major_version_is_foreign_whatever_its_other_lines_mean() -> None:
    text = NODE.replace("version=1", "version=1000") + "Mosha::Seen changed completely\n"
    with pytest.raises(ForeignStatus, match="version 1000"):
        parse_clstat(sealed(text))


@pytest.mark.parametrize(
    "line",
    [
        "Mosha::Node 3 inc=5 run=aa boot=bb seq=7 state=up version=1",
        "Mosha::Seen",
        "Mosha::Seen 1",
        "Mosha::Seen x inc=1 seq=1",
        "Mosha::Seen 0 inc=1 seq=1",
        "Mosha::Seen 65536 inc=1 seq=1",
        "Mosha::Seen 1 inc=-1 seq=1",
        "Mosha::Seen 1 inc=1_0 seq=1",
        "Mosha::Seen 1 inc=٣ seq=1",
        "Mosha::Vote g term=1 node=1 inc=1",
        "Mosha::Vote g/h term=1 node=1 inc=1 seq=1",
        "Mosha::Term g",
        "Mosha::Term g x",
        "Mosha::Claim g",
        "Mosha::EntryOrder 1 verb=stop group=g",
        "Mosha::EntryOrder 1 verb=stop group=g tag=a/b",
        "Mosha::EntryAnswer 1 inc=1 seq=1",
        "Mosha::EntryAnswer x inc=1 seq=1 ok=yes",
        "Mosha::Claim g term=" + "9" * 5000,
        "Cluster::Init::Group g start",
        "Cluster::Init::Group g start DON",
        "Cluster::Init::Group g ö DONE",
        "Mosha::Ban g",
        "Mosha::Ban g soon it failed",
        "Mosha::Fenced 3 inc=1",
        "Mosha::Fenced 3 inc=1 method=" + "x" * 101,
        "Mosha::Table hactl mtime_ns=--1 digest=a",
        "Mosha::Refused",
    ],
)
def test_a_sealed_status_with_a_wrong_line_is_malformed(line: str) -> None:
    with pytest.raises(MalformedStatus, match=r"line 2: "):
        parse_clstat(sealed(f"{NODE}{line}\n"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NODE, "Mosha::Seen 1 inc=1 seq=1\n"),
        ("Node 2", "Node two"),
        ("inc=5", "inc="),
        ("run=aa", "ran=aa"),
        ("boot=bb", "boot=" + "b" * 101),
        ("state=up", "state=upside"),
        ("version=1", "version=one"),
        ("quorum=yes", "quorum=perhaps"),
    ],
)
def test_a_sealed_status_with_a_wrong_node_line_is_malformed(old: str, new: str) -> None:
    with pytest.raises(MalformedStatus, match=r"Mosha::Node|line 1"):
        parse_clstat(sealed(NODE.replace(old, new)))


@pytest.mark.parametrize(
    "before", ["", "Mosha::Seen 1 inc=3 seq=4\n", "Mosha::Term g 4\nMosha::Seen 1 inc=3 seq=4\n"]
)
def test_a_sealed_status_that_is_not_utf_8_is_malformed(before: str) -> None:
    text = f"{NODE}{before}Mosha::Refused cltab ".encode()
    body = text + b"\xff\n"
    data = body + f"Mosha::End seq=7 crc32={zlib.crc32(body):08x}\n".encode()
    with pytest.raises(MalformedStatus, match=f"not UTF-8 at byte {len(text)}$"):
        parse_clstat(data)


@pytest.mark.parametrize("filling", [b"\0", b"x", b"9", b"\n", b"Mosha::End ", b"Mosha::Seen 1 "])
def test_ten_megabytes_are_refused_quickly(filling: bytes) -> None:
    began = time.process_time()
    with pytest.raises(MalformedStatus, match="too big"):
        parse_clstat(NODE.encode() + (filling * (10 << 20))[: 10 << 20])
    assert parse_original(filling * (10 << 20)) == {}
    assert time.process_time() - began < 2.0


@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: sealed(NODE + text.replace("\0", "")))
    | damaged(statuses.map(lambda status: render_clstat(status).encode()))
    | damaged(statuses.map(lambda s: render_clstat(s).encode())).map(
        # sealed again, so that the damage reaches the readers of the lines
        lambda data: sealed(data.decode("utf-8", "replace").replace("\0", ""))
    )
)
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        status = parse_clstat(data)
    except UnreadableStatus as wrong:
        told = str(wrong)
        assert told
    else:
        assert parse_clstat(render_clstat(status).encode()) == status
    parse_original(data)


def test_a_status_of_sixty_lines_is_read_in_well_below_half_a_millisecond() -> None:
    groups = [f"group{i}" for i in range(20)]
    status = replace(
        FULL,
        votes={group: Vote(17, 1, 1763790000, 880) for group in groups},
        terms={group: Term(17, 4) for group in groups},
        groups={group: GroupLine("start", GroupState.DONE) for group in groups},
    )
    data = render_clstat(status).encode()
    best_s = 1.0
    for _ in range(50):
        began = time.perf_counter()
        parse_clstat(data)
        best_s = min(best_s, time.perf_counter() - began)
    # The fastest of many says what the code costs; 2 ms leaves room for a slow machine.
    assert best_s < 0.002


# --- the original's lines ------------------------------------------------------------

DONE = GroupLine("start", GroupState.DONE)


@pytest.mark.parametrize(
    ("text", "active"),
    [
        pytest.param("Cluster::Init::Group g start DONE\n", {"g": DONE}, id="HS-01"),
        pytest.param("Cluster::Init::Group g stop DONE\n", {}, id="HS-02 stop DONE is not active"),
        pytest.param(
            "Cluster::Init::Group g stop STOPPING\n",
            {"g": GroupLine("stop", GroupState.STOPPING)},
            id="HS-03 stop STOPPING is active",
        ),
        pytest.param(
            "Cluster::Init::Group g stop FAILED\n",
            {"g": GroupLine("stop", GroupState.FAILED)},
            id="HS-04 stop FAILED is active",
        ),
        pytest.param("Cluster::Init::Group g start CONFIGURED\n", {}, id="HS-05 CONFIGURED"),
        pytest.param("Cluster::Init::Process g start DONE\n", {}, id="HS-06 another class"),
        pytest.param("junk\n\n", {}, id="HS-07 junk"),
        pytest.param("Cluster::Init::Group g start\n", {}, id="HS-08 cut off is no state (H3.3)"),
        pytest.param("", {}, id="HS-09 empty"),
        pytest.param("Cluster::Init::Group g start DONE extra\n", {"g": DONE}, id="HS-10 (H3.2)"),
        pytest.param(
            "Cluster::Init::Group g plan DONE\nCluster::Init::Group g start DONE\n",
            {"g": DONE},
            id="HS-11 the last line wins (H3.2)",
        ),
        pytest.param("  Cluster::Init::Group g start DONE\n", {"g": DONE}, id="HS-12 (H3.2)"),
        pytest.param(
            "Cluster::Init::Group g start DONE\nCluster::Init::Group g start STOPP",
            {"g": DONE},
            id="a cut-off line says nothing (H3.3)",
        ),
        pytest.param("Cluster::Init::Group g start DONE\n\0\0\0", {"g": DONE}, id="zeros after"),
    ],
)
def test_the_originals_clstat_says_what_is_active(
    text: str, active: dict[str, GroupLine]
) -> None:  # H3.1
    groups = parse_original(text.encode())
    assert {group: line for group, line in groups.items() if line.active} == active


@given(mappings(group_lines))
def test_group_lines_are_written_as_the_original_does(groups: dict[str, GroupLine]) -> None:  # C7.1
    text = render_groups(groups)
    assert parse_original(text.encode()) == groups
    assert text.splitlines() == sorted(text.splitlines(), key=lambda line: line.split()[1])


@given(names, st.sampled_from(GroupState))
def test_a_group_line_has_class_name_level_and_state(group: str, state: GroupState) -> None:  # C7.2
    text = render_groups({group: GroupLine("start", state)})
    assert text == f"Cluster::Init::Group {group} start {state.value}\n"
