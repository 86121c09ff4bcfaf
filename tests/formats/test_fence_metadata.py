"""The metadata of fence agents: what is read, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.formats.agent_xml import METADATA_MAX_BYTES, MetadataError
from mosha.formats.fence_metadata import parse_metadata
from tests import fence_switch

BOMB = """<?xml version="1.0"?>
<!DOCTYPE resource-agent [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<resource-agent name="&b;"/>"""


def test_options_and_actions_are_read() -> None:
    metadata = parse_metadata(fence_switch.METADATA.encode())
    assert metadata.actions == {"on", "off", "reboot", "status", "monitor", "list", "metadata"}
    options = metadata.options
    assert (options["room"].required, options["mode"].required) == (True, False)
    assert (options["login"].deprecated, options["username"].deprecated) == (True, False)
    assert options["ssl"].kind == "select"
    assert options["ssl"].choices == {"yes", "no"}
    assert options["power_wait"].kind == "second"
    assert metadata.newer("login") == "username"
    assert metadata.newer("room") == ""


@pytest.mark.parametrize(
    ("action", "unfences"),
    [
        ('name="on" on_target="1" automatic="1"', True),
        ('name="on" automatic="1"', True),
        ('name="on" automatic="0"', False),
        ('name="on"', False),
        ('name="off" automatic="1"', False),
    ],
)
def test_an_agent_says_whether_it_has_to_let_nodes_in(action: str, *, unfences: bool) -> None:
    text = f"<resource-agent><actions><action {action}/></actions></resource-agent>"
    assert parse_metadata(text.encode()).unfences is unfences


def test_names_with_a_hyphen_are_those_with_an_underscore() -> None:
    text = (
        '<resource-agent><parameter name="auth-url" deprecated="1"/>'
        '<parameter name="auth_url" obsoletes="auth-url"/>'
        '<parameter name="key_file" obsoletes="identity"/></resource-agent>'
    )
    metadata = parse_metadata(text.encode())
    assert set(metadata.options) == {"auth_url", "key_file"}
    assert metadata.newer("auth-url") == ""
    assert metadata.newer("identity") == "key_file"


def test_each_option_has_its_own_type_and_choices() -> None:
    metadata = parse_metadata(
        b'<resource-agent><parameter name="a"><content type="select"><option value="x"/></content>'
        b'</parameter><parameter name="b"><content type="select"><option value="y"/></content>'
        b'</parameter><parameter name="c"/></resource-agent>'
    )
    assert [metadata.options[name].choices for name in "abc"] == [{"x"}, {"y"}, set()]
    assert [metadata.options[name].kind for name in "abc"] == ["select", "select", "string"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no XML: no element found"),
        (b"unavailable\n", "no XML: syntax error"),
        (b"<resource-agent>", "no XML: no element found"),
        (b"<html></html>", "the XML is of html, not of a resource-agent"),
        (BOMB.encode(), "its document type declares something, which no agent needs"),
        (BOMB.encode("utf-16"), "its document type declares something, which no agent needs"),
        (b"<resource-agent/>" + b" " * METADATA_MAX_BYTES, f"more than {METADATA_MAX_BYTES} bytes"),
    ],
)
def test_what_is_no_metadata_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        parse_metadata(data)


def test_a_document_type_may_be_named() -> None:
    data = b'<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd"><resource-agent>&x;</resource-agent>'
    assert parse_metadata(data).options == {}


@given(st.binary(max_size=200) | st.text(alphabet='<>/="&; parmetresouc-agn', max_size=200))
def test_no_text_ends_the_reading_otherwise(data: bytes | str) -> None:
    actions: frozenset[str] = frozenset()
    with contextlib.suppress(MetadataError):
        actions = parse_metadata(data if isinstance(data, bytes) else data.encode()).actions
    assert "" not in actions or b"action" in (data if isinstance(data, bytes) else data.encode())
