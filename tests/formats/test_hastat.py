"""hastat: the report as JSON and in the original's form, and its schema (H3.4)."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.status import GroupState
from mosha.formats.hastat import (
    BanReport,
    EntryState,
    FencingReport,
    GroupView,
    Instance,
    Margin,
    NodeReport,
    Quorum,
    Refusal,
    Report,
    ShotReport,
    Standing,
    TableSeen,
    Throttle,
    Times,
    UnreadableReport,
    hastat_schema,
    parse_hastat,
    render_hastat,
)
from mosha.formats.hastat_perl import render_perl
from tests.formats.strategies import damaged

QUORUM = Quorum(has=True, policy="majority", seen=2, electorate=[1, 2, 3], needed=2)
TIMES = Times(timeout_s=60.0, heartbeat_s=5.0, lease_s=36.0, stop_budget_s=18.0)


def _instance(node: int, level: str = "start", state: GroupState = GroupState.DONE) -> Instance:
    return Instance(node=node, level=level, state=state, said_by=node)


def _report(groups: dict[str, list[Instance]]) -> Report:
    views = [
        GroupView(group=group, wanted="start", ok=True, instances=instances)
        for group, instances in groups.items()
    ]
    numbers = sorted({1, *(one.node for instances in groups.values() for one in instances)})
    nodes = [NodeReport(node=n, state="self" if n == 1 else "fresh") for n in numbers]
    return Report(
        node=1,
        time="2025-11-22T10:00:00Z",
        quorum=QUORUM,
        nodes=nodes,
        groups=views,
        timing=TIMES,
    )


FULL = Report(
    node=1,
    time="2025-11-22T10:00:00Z",
    quorum=QUORUM,
    nodes=[
        NodeReport(node=1, state="self", age_s=0.0, load=1),
        NodeReport(
            node=2,
            state="stale",
            age_s=61.5,
            inc=17,
            seq=4,
            boot="ab",
            run="cd",
            version=1,
            roundtrip_s=0.25,
            silent=True,
            error="EIO",
            refused={"hactl": "hactl:1:1: group without level: 'g'"},
            tables={"cltab": TableSeen(mtime_ns=1763700000123456789, digest="00ff")},
        ),
    ],
    groups=[
        GroupView(
            group="g",
            wanted="start",
            where=[1],
            ok=False,
            why="node 2 is stale",
            next="confirm node 2",
            instances=[
                Instance(
                    node=1, level="start", state=GroupState.DONE, age_s=1.5, claim_term=9, said_by=1
                )
            ],
            term=9,
            lease_s=30.0,
            votes={10: 1, 2: 1, 1: 1},
            bans=[BanReport(node=3, left_s=10.5, reason="test failed")],
            not_here={3: "banned"},
            throttled=[Throttle(tag="t", left_s=12.0)],
            entries=[
                EntryState(tag="t", mode="respawn", state="pausing", pid=1, starts=7, exit="")
            ],
            prefer=[1],
            only=[1, 2],
            failback=True,
        )
    ],
    fencing=[
        FencingReport(node=2, number=1, method="fence_x", good_at="2025-11-22T10:15:03+00:00"),
        FencingReport(node=3, number=2, method="x", failure="status: exit 1", overdue=True),
    ],
    shots=[ShotReport(node=2, inc=17, method="print", outcome="printed", detail="", age_s=3.0)],
    refused=[Refusal(file="hactl", node=2, text="hactl:1:1: group without level: 'g'")],
    margin=Margin(lease_margin=1.5, roundtrip_s=0.25, warning="below 2"),
    timing=TIMES,
    problems=["group g has no lease"],
)

ages = st.none() | st.floats(0, 1e9)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
reports = st.builds(
    Report,
    node=st.integers(1, 99),
    time=texts,
    quorum=st.builds(Quorum, reason=texts, electorate=st.lists(st.integers(1, 99), max_size=3)),
    nodes=st.lists(st.builds(NodeReport, age_s=ages, roundtrip_s=ages, error=texts), max_size=2),
    groups=st.lists(
        st.builds(
            GroupView,
            group=texts,
            instances=st.lists(st.builds(Instance, age_s=ages, level=texts), max_size=3),
            lease_s=ages,
            votes=st.dictionaries(st.integers(1, 99), st.integers(1, 99), max_size=3),
            not_here=st.dictionaries(st.integers(1, 99), texts, max_size=3),
        ),
        max_size=2,
    ),
    margin=st.builds(Margin, lease_margin=ages, roundtrip_s=ages),
    timing=st.just(TIMES),
    problems=st.lists(texts, max_size=2),
)


@given(reports)
def test_what_is_written_is_read_back(report: Report) -> None:
    assert parse_hastat(render_hastat(report)) == report


def test_a_full_report_is_read_back_and_has_every_field() -> None:
    data = render_hastat(FULL)
    assert parse_hastat(data) == FULL
    assert data.endswith(b"}\n")
    assert list(json.loads(data)) == list(Report.__struct_fields__)


def test_equal_reports_are_equal_bytes() -> None:
    group = FULL.groups[0]
    votes = dict(sorted(group.votes.items()))
    other = msgspec.structs.replace(FULL, groups=[msgspec.structs.replace(group, votes=votes)])
    assert render_hastat(other) == render_hastat(FULL)


def test_odd_file_names_do_not_keep_a_report_from_being_written() -> None:
    report = msgspec.structs.replace(FULL, problems=["cannot read /x/\udcff"])
    assert parse_hastat(render_hastat(report)).problems == ["cannot read /x/\\udcff"]


def test_the_schema_describes_real_output() -> None:
    schema = hastat_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(render_hastat(FULL)), schema)
    broken = json.loads(render_hastat(FULL))
    broken["nodes"][0]["state"] = "confused"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{}",
        b"null",
        b"[" * 1_000_000,
        b'{"later":' + b"[" * 1_000_000,
        render_hastat(FULL)[:-10],
        render_hastat(FULL).replace(b'"format": 1', b'"format": 2'),
        render_hastat(FULL).replace(b'"format": 1', b'"format": ' + b"9" * 100_000),
        b" " * (65 << 20),
    ],
    ids=range(10),
)
def test_what_is_no_report_is_told(data: bytes) -> None:
    with pytest.raises(UnreadableReport) as caught:
        parse_hastat(data)
    assert str(caught.value)


def test_fields_of_later_versions_are_skipped() -> None:
    data = render_hastat(FULL).replace(b'"format": 1,', b'"format": 1, "mood": {"a": [1]},')
    assert parse_hastat(data) == FULL


@given(st.binary(max_size=200) | damaged(reports.map(render_hastat)))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        report = parse_hastat(data)
    except UnreadableReport:
        return
    assert render_perl(report).startswith("{")


def test_the_originals_form_is_a_perl_hash() -> None:  # H3.4
    report = _report({"foo": [_instance(2)]})
    assert render_perl(report) == '{ foo => { 2 => { level => "start", state => "DONE" } } }\n'


def test_only_what_is_active_is_in_the_originals_form() -> None:  # H3.1
    report = _report(
        {
            "a": [_instance(1, "stop"), _instance(2, "stop", GroupState.STOPPING)],
            "b": [_instance(1, "start", GroupState.CONFIGURED)],
            "c": [],
        }
    )
    assert render_perl(report) == '{ a => { 2 => { level => "stop", state => "STOPPING" } } }\n'
    assert render_perl(_report({})) == "{}\n"


@pytest.mark.parametrize("state", ["stale", "fenced", "left", "never"])
def test_the_originals_form_has_no_group_of_a_node_that_is_not_there(state: Standing) -> None:
    report = _report({"a": [_instance(1), _instance(2)]})
    nodes = [NodeReport(node=1, state=state), NodeReport(node=2, state="self")]
    told = render_perl(msgspec.structs.replace(report, nodes=nodes))
    assert told == '{ a => { 2 => { level => "start", state => "DONE" } } }\n'


def test_numbers_are_bare_and_odd_names_are_quoted() -> None:
    report = _report({"a.c": [_instance(1, "0")], "b": [_instance(10, "007")]})
    assert render_perl(report) == (
        "{\n"
        '  "a.c" => { 1 => { level => 0, state => "DONE" } },\n'
        '  "b" => { 10 => { level => "007", state => "DONE" } },\n'
        "}\n"
    )


def test_long_hashes_are_broken_into_lines_in_the_order_of_nodes() -> None:
    report = _report({"g": [_instance(10), _instance(9)]})
    assert render_perl(report) == (
        "{\n"
        "  g => {\n"
        '    9 => { level => "start", state => "DONE" },\n'
        '    10 => { level => "start", state => "DONE" },\n'
        "  },\n"
        "}\n"
    )


def test_nothing_in_a_string_is_interpolated_by_perl() -> None:
    report = _report({'$x@y"\\': [_instance(1)]})
    assert render_perl(report).startswith(r'{ "\$x\@y\"\\" => {')
