"""Transitions are remembered and handed on; a real monitor answers why, and tells its events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import msgspec
import pytest
from structlog.testing import capture_logs

from mosha.control.protocol import AskEvents, Explain, MonitorReply, SetWish
from mosha.formats.events import ClusterEvent, cluster_event_schema, parse_happenings
from mosha.formats.explanation import explanation_schema, parse_explanation
from mosha.monitor import event_history
from mosha.monitor.event_file import HISTORY_FILE, EventFile
from mosha.monitor.event_history import EventHistory
from tests.core.story import G, one_of_three, says
from tests.core.test_verdicts import at, state
from tests.monitor.house import House, at_home
from tests.waiting import until


def kept(found: EventHistory) -> list[ClusterEvent]:
    return parse_happenings(found.kept())


def test_the_first_look_is_no_event_and_later_ones_are_numbered() -> None:
    story, made = one_of_three(), EventHistory()
    made.look(state(story))
    assert kept(made) == []
    story.hear(1, says(2, 3, groups=at("plan")), says(3, 3, groups=at("start")))
    made.look(state(story))
    made.look(state(story))
    assert [(one.seq, one.node, one.group, one.after, one.said_by) for one in kept(made)] == [
        (1, 2, G, "plan DONE", 1),
        (2, 3, G, "start DONE", 1),
    ]


def test_no_more_is_kept_than_a_bound() -> None:
    story, made = one_of_three(), EventHistory()
    made.look(state(story))
    for number in range(event_history.KEPT_MAX + 10):
        story.hear(1, says(2, 10 + number, groups=at(f"l{number}")))
        made.look(state(story))
    assert len(kept(made)) == event_history.KEPT_MAX
    assert kept(made)[-1].seq == event_history.KEPT_MAX + 10


def test_followers_hear_what_is_new_until_they_are_gone() -> None:
    story, made = one_of_three(), EventHistory()
    made.look(state(story))
    heard: list[bytes] = []

    def hear(data: bytes) -> bool:
        heard.append(data)
        return len(heard) < 2

    made.follow(hear)
    for number in range(4):
        story.hear(1, says(2, 10 + number, groups=at(f"l{number}")))
        made.look(state(story))
    assert [parse_happenings(data)[0].after for data in heard] == ["l0 DONE", "l1 DONE"]


def test_a_clinit_that_is_another_process_was_started_again() -> None:
    story, made = one_of_three(), EventHistory()
    for pid in (0, 7, 7, 0, 9):
        made.look(state(story), pid)
    assert [(one.kind, one.before, one.after) for one in kept(made)] == [
        ("clinit", "process 7", "process 9")
    ]


def test_a_clinit_that_answers_again_is_an_event_only_if_it_is_the_same() -> None:
    for pid, after in ((7, "-"), (9, "process 9")):
        story, made = one_of_three(), EventHistory()
        story.hear(1, says(2, 3), says(3, 3))
        story.step(1)
        story.write(1)
        state(story).clinit_known = True
        made.look(state(story), 7)
        state(story).clinit_known = False
        made.look(state(story), 0)
        state(story).clinit_known = True
        made.look(state(story), pid)
        told = [one.after for one in kept(made) if one.kind == "clinit"]
        assert told == ["does not answer", after]


def test_a_move_is_an_event_with_its_time() -> None:
    story, made = one_of_three(), EventHistory()
    story.hear(1, says(2, 3, groups=at("start")), says(3, 3))
    made.look(state(story))
    story.hear(1, says(2, 4), says(3, 4, groups=at("start")))
    made.look(state(story))
    (moved,) = [one for one in kept(made) if one.kind == "move"]
    assert (moved.group, moved.node, moved.before, moved.after) == (G, 3, "2", "3")
    assert moved.away_s == 0.0


# --- kept over a restart ---------------------------------------------------------------------


def test_a_monitor_goes_on_after_what_the_one_before_has_seen() -> None:
    story, made = one_of_three(), EventHistory()
    made.look(state(story))
    story.hear(1, says(2, 3, groups=at("plan")))
    made.look(state(story))
    later = EventHistory()
    later.go_on(1, kept(made))
    later.look(state(story))
    story.hear(1, says(2, 4, groups=at("start")))
    later.look(state(story))
    assert [(one.seq, one.kind, one.after) for one in kept(later)] == [
        (1, "group", "plan DONE"),
        (2, "monitor", "started"),
        (3, "group", "start DONE"),
    ]


async def test_what_is_kept_is_found_again_and_spoilt_files_are_nothing(tmp_path: Path) -> None:
    story, made = one_of_three(), EventHistory()
    made.look(state(story))
    story.hear(1, says(2, 3, groups=at("plan")))
    made.look(state(story))
    history = EventFile(tmp_path)
    assert await history.load() == []
    assert await history.keep(made.kept())
    assert await history.load() == kept(made)
    with capture_logs() as logs:
        for spoilt in (b"", b"[", b'[{"seq": 1}]', b"[" * 5000, b"\xff"):
            (tmp_path / HISTORY_FILE).write_bytes(spoilt)
            assert await history.load() == []
    assert {line["event"] for line in logs} == {"memory_failed"}


async def test_a_disk_that_takes_nothing_is_told_once_and_costs_nothing_else(
    tmp_path: Path,
) -> None:
    history = EventFile(tmp_path / "gone")
    with capture_logs() as logs:
        assert not await history.keep(b"[]")
        assert not await history.keep(b"[]")
        (tmp_path / "gone").mkdir()
        assert await history.keep(b"[]")
        (tmp_path / "gone").rename(tmp_path / "there")
        assert not await history.keep(b"[]")
    assert [line["event"] for line in logs] == ["memory_failed"] * 2


async def test_the_events_of_a_monitor_outlive_it(short_dir: Path) -> None:
    def started(house: House) -> bool:
        known = parse_happenings(house._service._event_history.kept())
        return ("group", "g", "start DONE") in {(e.kind, e.group, e.after) for e in known}

    async with at_home(short_dir) as house:
        await until(lambda: started(house))
        await house._service.flush()
        before = parse_happenings(house._service._event_history.kept())
    async with at_home(short_dir) as house:
        await until(lambda: house._service._event_history.seq > len(before))
        after = parse_happenings(house._service._event_history.kept())
    assert after[: len(before)] == before
    assert [event.seq for event in after] == list(range(1, len(after) + 1))
    starts = [event.seq for event in after if event.kind == "monitor"]
    assert starts[0] == 1
    assert starts[1] > len(before)


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
    assert reply.text == "no node knows group gg; did you mean 'g'?"


async def test_events_are_remembered_and_pushed_to_those_who_follow(house: House) -> None:
    def started() -> bool:
        known = parse_happenings(house._service._event_history.kept())
        return ("group", "g", "start DONE") in {(e.kind, e.group, e.after) for e in known}

    await until(started)
    async with await house.connection() as connection:
        first = parse_happenings(json_of(await connection.request(AskEvents(follow=True))))
        assert ("group", "g", "start DONE") in {(e.kind, e.group, e.after) for e in first}
        assert (await house.ask(SetWish("h", "start"))).ok
        seen: list[ClusterEvent] = []
        while ("h", "start DONE") not in {(event.group, event.after) for event in seen}:
            line = await connection._reader.readuntil(b"\n")
            seen += parse_happenings(
                json_of(msgspec.json.decode(line, type=MonitorReply)),
            )
    assert [event.seq for event in seen] == list(
        range(first[-1].seq + 1, first[-1].seq + 1 + len(seen))
    )
    for event in seen:
        jsonschema.validate(json.loads(msgspec.json.encode(event)), cluster_event_schema())
    await until(
        lambda: seen[-1] in parse_happenings(house._service._event_history.kept()),
    )
