"""The metadata of resource agents: what is read, what agents get wrong, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.formats.agent_xml import METADATA_MAX_BYTES, MetadataError
from mosha.ocf.metadata import DEFAULT_LIMIT_S, OcfMetadata, parse_metadata, span_s
from tests.ocf.fake_agent import METADATA

BOMB = b"""<!DOCTYPE resource-agent [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>
<resource-agent name="&b;"/>"""


def sample() -> OcfMetadata:
    return parse_metadata(METADATA.encode())


def test_what_an_agent_says_of_itself_is_read() -> None:
    metadata = sample()
    assert (metadata.name, metadata.version, metadata.about) == ("Sleeper", "2.1", "Runs a sleep")
    assert metadata.description == "Sleeps,\nand that is all."
    state, rounds, loud = metadata.parameters.values()
    assert (state.name, state.required, state.unique, state.default) == (
        "state",
        True,
        True,
        "/run/s",
    )
    assert state.about == "State file"
    assert (rounds.name, rounds.kind, rounds.required, rounds.unique) == (
        *("rounds", "integer"),
        *(False, False),
    )
    assert (loud.kind, loud.deprecated, state.deprecated) == ("boolean", True, False)


def test_limits_and_intervals_are_those_of_the_action_and_its_depth() -> None:
    metadata = sample()
    assert [metadata.limit_s(name) for name in ("start", "stop", "monitor")] == [30.0, 40.0, 60.0]
    assert metadata.limit_s("monitor", 10) == 20.0
    assert metadata.limit_s("monitor", 20) == 60.0, "of depth 0"
    assert [metadata.interval_s(depth) for depth in (0, 10, 20)] == [5.0, 300.0, 0.0]
    assert metadata.depths() == [0, 10]


def test_an_action_without_a_time_out_that_can_be_read_has_twenty_seconds() -> None:
    assert sample().limit_s("validate-all") == sample().limit_s("reload") == DEFAULT_LIMIT_S == 20.0
    none = parse_metadata(b'<resource-agent><action name="stop" timeout="0"/></resource-agent>')
    assert none.limit_s("stop") == DEFAULT_LIMIT_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20", 20.0),
        (" 20s ", 20.0),
        ("2 min", 120.0),
        ("500ms", 0.5),
        ("1h", 3600.0),
        ("999999999h", 86400.0 * 31),
        *((text, -1.0) for text in ("", "s", "soon", "-3s", "1.5s", "9" * 5000, "٣s", "3 days")),
    ],
)
def test_times_are_read_as_agents_write_them(text: str, seconds: float) -> None:
    assert span_s(text, -1.0) == seconds


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no XML: no element found"),
        (b"usage: start|stop\n", "no XML: syntax error"),
        (b"<cluster/>", "the XML is of cluster, not of a resource-agent"),
        (BOMB, "its document type declares something, which no agent needs"),
        (b"<resource-agent/>" + b" " * METADATA_MAX_BYTES, f"more than {METADATA_MAX_BYTES} bytes"),
    ],
)
def test_what_is_no_metadata_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        parse_metadata(data)


def test_what_has_no_name_is_left_out() -> None:
    data = b"<resource-agent><parameter><content/></parameter><action depth='x'/></resource-agent>"
    metadata = parse_metadata(data)
    assert (metadata.parameters, metadata.actions) == ({}, [])


@given(st.binary(max_size=200) | st.text(alphabet='<>/="&; parmetresouc-agn', max_size=200))
def test_no_text_ends_the_reading_otherwise(data: bytes | str) -> None:
    found = OcfMetadata()
    with contextlib.suppress(MetadataError):
        found = parse_metadata(data if isinstance(data, bytes) else data.encode())
    assert "" not in found.parameters
