"""What a node takes from the statuses of its peers: whose text is read, and what becomes of it."""

from __future__ import annotations

import math

import pytest

from mosha.core.replication.judging import HACTL, Found, TableAction, Verdict, judge_local
from mosha.core.replication.table_effects import JoinTables, ReadPeerTable, StoreTable
from mosha.core.replication.table_peers import FETCH_PAUSES_S
from mosha.core.replication.table_record import NOTICE_S, Notice, TableRecord
from mosha.core.replication.table_texts import Seen
from tests.core.story import PLACES
from tests.core.table_desk import BAR, FOO, WALL_S, Desk, force, of, seen, version, with_foo

BOTH = FOO + BAR
NOW_NS = WALL_S * 10**9
OTHER = {HACTL: version(BAR, 5)}


def test_a_peer_that_has_been_read_is_not_asked_last_any_more() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, 5))
    desk.fetched(Seen(), "EIO")
    desk.wait()
    assert desk.done() == [ReadPeerTable(HACTL, 2, version(BAR, 5))]
    for node in (2, 3):
        desk.hears(node, version(BOTH, 1))
    desk.fetched(seen(BAR, 5))
    assert of(ReadPeerTable, desk.stored()) == [ReadPeerTable(HACTL, 2, version(BOTH, 1))]


def test_only_a_peer_with_another_version_is_thought_about_again_when_it_says_the_same() -> None:
    desk = with_foo()
    for versions, again in (({}, False), (desk.tables.now.versions, False), (OTHER, True)):
        news = [desk.tables.peer_has(2, versions, {}, desk.now, fresh=True) for _ in range(2)]
        assert news == [True, again]


def test_a_text_does_not_get_the_past_of_the_next_one() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, 5), (version(FOO),))
    desk.hears(2, version(BOTH, 1), (version(BAR, 5), version(FOO)))
    (store,) = of(StoreTable, desk.fetched(seen(BAR, 5)))
    assert (store.text.version, store.text.past) == (version(BAR, 5), ())


def test_the_same_text_of_a_later_time_has_the_past_of_the_peer() -> None:
    desk = with_foo()
    (store,) = of(StoreTable, desk.hears(2, version(FOO, 1), (version(BAR, 30), version(FOO))))
    assert store.text.past == (version(BAR, 30), version(FOO))


def test_what_a_peer_has_no_more_is_not_refused_any_more() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, -7200))
    assert HACTL in desk.tables.now.refused
    desk.hears(2, None)
    assert desk.tables.now.refused == {}


def test_a_refusal_is_told_once_with_its_first_words() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, -7200))
    refused = desk.tables.now.refused[HACTL]
    assert desk.logs == ["table_refused"]
    desk.now += 60
    desk.hears(2, version(BAR, -7200), (version(FOO),))
    assert (desk.tables.now.refused[HACTL], desk.logs) == (refused, [])


def test_nothing_is_read_of_a_peer_that_is_not_heard() -> None:
    desk = with_foo()
    desk.tables.peer_has(2, {HACTL: version(BAR, 1)}, {}, desk.now, fresh=False)
    assert desk.done() == []


def test_a_version_from_the_future_is_replaced_and_joined_with_nothing() -> None:
    former = (version("# before\n", 99),)
    desk = Desk(force(FOO, -7200, former), seen(FOO, -7200))
    desk.hears(2, version(BAR, 5), former)
    effects = desk.fetched(seen(BAR, 5))
    assert of(JoinTables, effects) == []
    (store,) = of(StoreTable, effects)
    assert store.text.version == version(BAR, 5)


def test_only_an_edit_of_what_the_file_had_last_is_merged() -> None:
    in_force, held = version(BOTH, 10), version(FOO, 20)
    edit, older = version(BAR, 15), version(BAR, 25)

    def judged(found: Found) -> Verdict:
        return judge_local(in_force, found, NOW_NS, held=held)

    assert judged(Found(edit)).do is TableAction.ADOPT
    assert judged(Found(older)).do is TableAction.DISCARD
    assert judged(Found(edit, mistakes="no")) == Verdict(TableAction.DISCARD, "no")
    assert judged(Found(version(FOO, 15))).do is TableAction.WRITE


def test_a_peer_whose_version_cannot_be_stored_is_not_asked_again_at_once() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, 5))
    assert of(StoreTable, desk.fetched(seen(BAR, 5)))
    assert desk.stored("No space left on device") == []
    assert desk.wait() == pytest.approx(FETCH_PAUSES_S[0])
    assert desk.done() == [ReadPeerTable(HACTL, 2, version(BAR, 5))]


def test_a_notice_that_was_taken_back_ends_no_more() -> None:
    record = TableRecord(HACTL, 1, PLACES)
    record.at(10.0)
    record.notice(Notice.ASIDE, "an edit was set aside")
    assert record.due == 10.0 + NOTICE_S
    record.notice(Notice.ASIDE, "")
    assert record.due == math.inf
