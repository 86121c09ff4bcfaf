"""Transitions are remembered and handed on; a real monitor answers why, and tells its events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import msgspec
import pytest

from mosha.control.protocol import AskEvents, Explain, MonitorReply, SetWish
from mosha.formats.explanation import explanation_schema, parse_explanation
from mosha.formats.happenings import Happening, happening_schema, parse_happenings
from mosha.monitor import chronicle
from mosha.monitor.chronicle import Chronicle
from tests.core.story import G, one_of_three
from tests.core.test_explain import at, mind, says
from tests.monitor.house import House, at_home
from tests.waiting import until


def kept(found: Chronicle) -> list[Happening]:
    return parse_happenings(found.kept())


def test_the_first_look_is_no_event_and_later_ones_are_numbered() -> None:
    story, made = one_of_three(), Chronicle()
    made.look(mind(story))
    assert kept(made) == []
    story.hear(1, says(2, 3, groups=at("plan")), says(3, 3, groups=at("start")))
    made.look(mind(story))
    made.look(mind(story))
    assert [(one.seq, one.node, one.group, one.after, one.said_by) for one in kept(made)] == [
        (1, 2, G, "plan DONE", 1),
        (2, 3, G, "start DONE", 1),
    ]


def test_no_more_is_kept_than_a_bound() -> None:
    story, made = one_of_three(), Chronicle()
    made.look(mind(story))
    for number in range(chronicle.KEPT_MAX + 10):
        story.hear(1, says(2, 10 + number, groups=at(f"l{number}")))
        made.look(mind(story))
    assert len(kept(made)) == chronicle.KEPT_MAX
    assert kept(made)[-1].seq == chronicle.KEPT_MAX + 10


def test_followers_hear_what_is_new_until_they_are_gone() -> None:
    story, made = one_of_three(), Chronicle()
    made.look(mind(story))
    heard: list[bytes] = []

    def hear(data: bytes) -> bool:
        heard.append(data)
        return len(heard) < 2

    made.follow(hear)
    for number in range(4):
        story.hear(1, says(2, 10 + number, groups=at(f"l{number}")))
        made.look(mind(story))
    assert [parse_happenings(data)[0].after for data in heard] == ["l0 DONE", "l1 DONE"]


# --- a real one ------------------------------------------------------------------------------


@pytest.fixture
async def house(short_dir: Path) -> AsyncIterator[House]:
    async with at_home(short_dir) as made:
        yield made


def json_of(reply: MonitorReply) -> bytes:
    assert reply.ok, reply.text
    return bytes(reply.report)


async def test_a_monitor_explains_where_a_group_is(house: House) -> None:
    data = json_of(await house.ask(Explain("g")))
    jsonschema.validate(json.loads(data), explanation_schema())
    found = parse_explanation(data)
    assert (found.ok, found.verdict) == (True, "as hactl wants it: start DONE on node 1")
    assert {"cltab", "hactl", "wish", "quorum", "place", "votes", "lease", "turn"} <= {
        reason.rule for reason in found.reasons
    }
    tables = [reason for reason in found.reasons if reason.rule in ("cltab", "hactl")]
    assert all(reason.age_s is not None and 0 <= reason.age_s < 60 for reason in tables)


async def test_a_monitor_explains_why_a_group_is_not_on_a_node(house: House) -> None:
    found = parse_explanation(json_of(await house.ask(Explain("h", node=1))))
    assert (found.ok, found.verdict, found.next) == (False, "hactl says stop", "mosha set h start")


async def test_a_group_that_nobody_knows_is_refused_with_a_proposal(house: House) -> None:
    reply = await house.ask(Explain("gg"))
    assert not reply.ok
    assert reply.text == "nobody knows a group gg; did you mean 'g'?"


async def test_events_are_remembered_and_pushed_to_those_who_follow(house: House) -> None:
    def started() -> bool:
        known = parse_happenings(house._service._chronicle.kept())
        return ("group", "g", "start DONE") in {(e.kind, e.group, e.after) for e in known}

    await until(started)
    async with await house.connection() as connection:
        first = parse_happenings(json_of(await connection.request(AskEvents(follow=True))))
        assert ("group", "g", "start DONE") in {(e.kind, e.group, e.after) for e in first}
        assert (await house.ask(SetWish("h", "start"))).ok
        seen: list[Happening] = []
        while ("h", "start DONE") not in {(event.group, event.after) for event in seen}:
            line = await connection._reader.readuntil(b"\n")
            seen += parse_happenings(
                json_of(msgspec.json.decode(line, type=MonitorReply)),
            )
    assert [event.seq for event in seen] == list(
        range(first[-1].seq + 1, first[-1].seq + 1 + len(seen))
    )
    for event in seen:
        jsonschema.validate(json.loads(msgspec.json.encode(event)), happening_schema())
    await until(
        lambda: seen[-1] in parse_happenings(house._service._chronicle.kept()),
    )
