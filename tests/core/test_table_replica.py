"""One table of one node: found, settled, judged, stored, in force, announced; and what fails."""

from __future__ import annotations

import pytest

from mosha.core.replication import table_events as events
from mosha.core.replication.judging import CLTAB, HACTL, SETTLE_GONE_S, SETTLE_HALF_S, SETTLE_S
from mosha.core.replication.table_effects import (
    JoinTables,
    KeepText,
    ReadOwnTable,
    ReadPeerTable,
    ShowTable,
    StoreTable,
    WriteOwnTable,
)
from mosha.core.replication.table_peers import FETCH_PAUSES_S
from mosha.core.replication.table_record import NOTICE_S
from mosha.core.replication.table_settling import TURNS_MAX
from mosha.core.replication.table_texts import Joined, Seen
from mosha.errors import BugError
from tests.core.table_desk import BAR, FOO, Desk, force, of, seen, version, with_foo

BOTH = FOO + BAR
PATH = "/mfs/1/hactl"


# --- loaded, found, settled -------------------------------------------------------------


def test_nothing_is_told_before_the_own_files_were_looked_at() -> None:
    desk = Desk(force(FOO))
    assert desk.first == [ReadOwnTable(HACTL)]
    assert (desk.tables.complete, desk.tables.now.versions) == (False, {})
    assert desk.found(seen(FOO)) == []
    assert desk.tables.complete
    assert desk.announced == version(FOO)


def test_what_cannot_be_loaded_is_refused_and_an_edit_comes_into_force() -> None:
    desk = Desk()
    other = Desk()
    other.tables = type(desk.tables)(1, desk.hactl.record.places)
    other.report(events.TableLoaded(CLTAB, other.wall_ns))
    other.report(events.OwnTableRead(CLTAB, other.wall_ns))
    other.report(events.TableLoaded(HACTL, other.wall_ns, error="/state/hactl:1:1: no"))
    assert of(StoreTable, other.settled(seen(FOO)))
    assert other.tables.now.refused == {}
    other.stored()
    assert other.in_force == version(FOO)


def test_an_edit_settles_is_stored_is_in_force_and_then_announced() -> None:
    desk = with_foo()
    (look,) = desk.look()
    assert look == ReadOwnTable(HACTL, seen(FOO))
    assert desk.found(seen(BOTH, 1)) == []
    assert desk.wait() == pytest.approx(SETTLE_S)
    assert desk.done() == [ReadOwnTable(HACTL, seen(BOTH, 1))]
    (store,) = desk.found(seen(BOTH, 1))
    assert isinstance(store, StoreTable)
    assert (store.text.version, store.text.past) == (version(BOTH, 1), (version(FOO),))
    assert desk.in_force == version(FOO), "it is not on the disk yet"
    (again,) = desk.stored()
    assert isinstance(again, ReadOwnTable)
    assert (desk.in_force, desk.logs) == (version(BOTH, 1), ["table_adopted"])
    desk.found(seen(BOTH, 1))
    assert desk.announced == version(BOTH, 1)
    assert desk.tables.idle


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        ("", SETTLE_GONE_S),
        ("# nothing\n", SETTLE_GONE_S),
        ("foo start\nbar st", SETTLE_HALF_S),
        (BAR, SETTLE_HALF_S),
        ("foo strat\n", SETTLE_HALF_S),
        (BOTH, SETTLE_S),
    ],
)
def test_what_looks_unfinished_settles_longer(text: str, pause_s: float) -> None:
    desk = with_foo()
    desk.look()
    desk.found(seen(text, 1))
    assert desk.wait() == pytest.approx(pause_s)


def test_a_file_that_changes_in_the_pause_pauses_again() -> None:
    desk = with_foo()
    desk.look()
    desk.found(seen("foo st", 3))
    desk.wait()
    desk.done()
    assert desk.found(seen(BOTH, 2)) == []
    desk.wait()
    desk.done()
    assert of(StoreTable, desk.found(seen(BOTH, 2)))


def test_a_file_that_never_rests_is_left_to_the_next_look() -> None:
    desk = with_foo()
    desk.look()
    for turn in range(TURNS_MAX):
        desk.found(seen(f"foo start # {turn}\n", 1))
        desk.wait()
        desk.done()
    assert desk.found(seen("foo start # last\n", 1)) == []
    assert desk.tables.idle


def test_a_look_that_is_wanted_during_a_look_comes_after_it() -> None:
    desk = with_foo()
    desk.look()
    assert desk.look() == []
    assert desk.look() == []
    assert desk.found(seen(FOO)) == [ReadOwnTable(HACTL, seen(FOO))]
    assert desk.found(seen(FOO)) == []


def test_an_undo_within_a_second_counts() -> None:
    """The text of before, put back in the same second, is an edit and no old copy."""
    desk = with_foo()
    for text, age_s in ((BOTH, 0.9), (FOO, 0.5)):
        desk.look()
        desk.settled(seen(text, age_s))
        desk.stored()
        desk.found(seen(text, age_s))
        assert desk.in_force == version(text, age_s)


def test_who_puts_an_old_file_back_hears_that_it_was_put_aside() -> None:
    """With the time that it had: it was in force, but the file has shown a later text since."""
    desk = with_foo()
    for text, age_s in ((BOTH, 9), (FOO, 1)):
        desk.look()
        desk.settled(seen(text, age_s))
        desk.stored()
        desk.found(seen(text, age_s))
    desk.look()
    assert of(KeepText, desk.settled(seen(BOTH, 9)))


def test_a_copy_of_what_was_in_force_is_no_edit() -> None:
    desk = with_foo()
    desk.hears(2, version(BOTH, 1))
    desk.fetched(seen(BOTH, 1))
    desk.stored()
    (write,) = desk.found(seen(FOO))
    assert isinstance(write, WriteOwnTable)
    assert (write.expected, write.text.version) == (version(FOO), version(BOTH, 1))


# --- refused, put aside, kept -------------------------------------------------------------


def test_mistakes_are_refused_at_once_and_peers_are_shown_what_is_in_force() -> None:
    desk = with_foo()
    desk.look()
    wrong = seen("foo\n", 1)
    (show,) = desk.settled(wrong)
    assert show == ShowTable(HACTL, force(FOO).text)
    desk.report(events.TableShown(HACTL, desk.wall_ns))
    assert desk.logs == ["table_refused"]
    assert "group without level" in desk.tables.now.refused[HACTL]
    assert desk.announced == version(FOO)
    desk.look()
    assert desk.found(wrong) == [], "it is refused already"
    desk.look()
    (show,) = desk.settled(seen(BOTH, 0.5))
    assert show == ShowTable(HACTL, None)
    assert of(StoreTable, desk.report(events.TableShown(HACTL, desk.wall_ns)))
    assert HACTL not in desk.tables.now.refused


def test_an_older_edit_is_kept_in_the_history_before_it_is_written_over() -> None:
    desk = with_foo()
    desk.look()
    (keep,) = desk.settled(seen(BAR, 99))
    assert keep == KeepText(HACTL, seen(BAR, 99).text(version(BAR, 99)), "discarded")
    (write,) = desk.kept("/state/history/bar")
    assert isinstance(write, WriteOwnTable)
    assert desk.notices() == ()
    desk.written()
    assert desk.logs == ["table_written", "table_discarded"]
    (notice,) = desk.notices()
    assert notice.endswith("it was kept as /state/history/bar")
    assert desk.tables.due == pytest.approx(desk.now + NOTICE_S)
    desk.wait()
    desk.done()
    assert desk.notices() == ()


def test_the_notice_of_an_edit_put_aside_outlives_edits_on_other_nodes() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen(BAR, 99))
    desk.kept("/state/history/bar")
    desk.written()
    (notice,) = desk.notices()
    desk.hears(2, version(BOTH, 1))
    desk.fetched(seen(BOTH, 1))
    desk.stored()
    desk.settled(seen(FOO))
    desk.written()
    assert desk.in_force == version(BOTH, 1)
    assert desk.notices() == (notice,)
    desk.look()
    desk.settled(seen(BAR, 0.5))
    desk.stored()
    assert desk.notices() == ()


def test_a_file_with_what_is_in_force_is_no_old_text_when_only_its_time_is_older() -> None:
    """The same text came into force once more on another node; this node's file was not written."""
    desk = with_foo()
    desk.hears(2, version(FOO, 1))
    desk.stored()
    assert desk.found(seen(FOO)) == []
    assert desk.in_force == version(FOO, 1)
    desk.hears(2, version(BOTH, 0.5))
    desk.fetched(seen(BOTH, 0.5))
    desk.stored()
    (write,) = desk.found(seen(FOO))
    assert isinstance(write, WriteOwnTable)
    assert desk.notices() == ()


def test_what_cannot_be_kept_is_not_written_over() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen(BAR, 99))
    assert desk.kept(error="No space left on device") == []
    (notice,) = desk.notices()
    problem = "its text cannot be kept in /state/history: No space left on device"
    assert notice == f"{PATH}: {problem}; so it is left there"
    desk.look()
    assert of(KeepText, desk.found(seen(BAR, 99)))


def test_an_edit_that_comes_during_a_write_is_looked_at() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(Seen())
    (look,) = desk.written(changed=True)
    assert isinstance(look, ReadOwnTable)
    assert desk.logs == []


def test_a_failed_write_is_told_once_and_tried_at_each_look() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(Seen())
    told = []
    for _heartbeat in range(3):
        desk.written("Read-only file system")
        told += desk.logs
        desk.look()
        assert of(WriteOwnTable, desk.found(Seen()))
    assert told == ["table_write_failed"]
    assert desk.notices() == (f"{PATH}: cannot be written: Read-only file system",)
    desk.written()
    assert desk.notices() == ()


def test_a_file_that_cannot_be_read_is_noticed_and_what_is_in_force_stays() -> None:
    desk = with_foo()
    desk.look()
    assert desk.report(events.OwnTableRead(HACTL, desk.wall_ns, error="EIO")) == []
    assert desk.notices() == (f"{PATH}: cannot be read: EIO",)
    assert desk.announced == version(FOO)
    desk.look()
    desk.found(seen(FOO))
    assert desk.notices() == ()


def test_what_lies_on_another_mount_is_not_this_nodes_file() -> None:
    desk = with_foo()
    desk.look()
    assert desk.found(Seen(), mount="tmpfs") == []
    assert "its mount has changed: it was ext4, it is tmpfs" in desk.notices()[0]
    assert desk.in_force == version(FOO)


def test_an_empty_table_is_what_it_says_and_is_noticed() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen("# nothing\n", 1))
    desk.stored()
    assert desk.logs == ["table_adopted", "table_emptied"]
    assert desk.notices() == ("hactl is empty now; what it said is in /state/history",)


def test_a_version_that_cannot_be_stored_is_not_in_force() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen(BOTH, 1))
    desk.stored("No space left on device")
    assert desk.in_force == version(FOO)
    problem = "/state/hactl: cannot be written: No space left on device"
    assert desk.tables.now.refused == {HACTL: f"{problem}; a newer version waits for that"}
    desk.look()
    (store,) = desk.found(seen(BOTH, 1))
    assert isinstance(store, StoreTable)
    desk.stored()
    assert (desk.in_force, desk.tables.now.refused) == (version(BOTH, 1), {})


def test_tables_that_were_removed_from_the_disk_are_stored_again() -> None:
    desk = with_foo()
    stored = of(StoreTable, desk.report(events.StoredTablesLost()))
    assert [store.table for store in stored] == [CLTAB, HACTL]
    assert desk.stored() == []
    assert desk.logs == []


# --- peers ----------------------------------------------------------------------------------


def test_the_newest_version_of_the_peers_is_read_stored_and_written_into_the_own_file() -> None:
    desk = with_foo()
    (read,) = desk.hears(2, version(BOTH, 5))
    assert read == ReadPeerTable(HACTL, 2, version(BOTH, 5))
    assert desk.hears(3, version(BAR, 1)) == [], "one after the other"
    assert of(StoreTable, desk.fetched(seen(BOTH, 5)))
    done = desk.stored()
    assert ReadPeerTable(HACTL, 3, version(BAR, 1)) in done
    assert of(ReadOwnTable, done)
    assert (desk.in_force, desk.announced) == (version(BOTH, 5), version(FOO))
    assert of(WriteOwnTable, desk.found(seen(FOO)))
    desk.written()
    assert desk.announced == version(BOTH, 5)


def test_a_peer_that_cannot_be_read_is_asked_again_after_pauses_and_then_no_more() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, 1))
    for pause_s in FETCH_PAUSES_S:
        assert desk.fetched(Seen(), "EIO") == []
        assert desk.wait() == pytest.approx(pause_s)
        assert of(ReadPeerTable, desk.done())
    assert desk.fetched(Seen(), "EIO") == []
    assert desk.tables.due > desk.now + NOTICE_S
    assert of(ReadPeerTable, desk.hears(2, version(BAR, 1))), "its next status asks again"


def test_a_peer_that_failed_is_asked_last() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, 2))
    desk.hears(3, version(BAR, 2))
    (read,) = desk.fetched(Seen(), "EIO")
    assert read == ReadPeerTable(HACTL, 3, version(BAR, 2))
    desk.fetched(seen(BAR, 2))
    desk.stored()
    desk.hears(2, version(BOTH, 1))
    assert desk.tables.idle is False


def test_a_version_that_is_no_table_here_is_refused_and_not_read_again() -> None:
    desk = with_foo()
    odd = "foo start colour=red\n"
    desk.hears(2, version(odd, 1))
    assert desk.fetched(seen(odd, 1)) == []
    assert "unknown option" in desk.tables.now.refused[HACTL]
    assert desk.hears(2, version(odd, 1)) == []
    desk.hears(2, version(FOO))
    assert desk.tables.now.refused == {}


def test_the_same_text_of_a_later_time_is_not_read() -> None:
    desk = with_foo()
    (store,) = desk.hears(2, version(FOO, 1), past=(version(FOO),))
    assert isinstance(store, StoreTable)
    assert store.text.version == version(FOO, 1)


def test_a_version_from_the_future_is_refused() -> None:
    desk = with_foo()
    assert desk.hears(2, version(BAR, -7200)) == []
    refused = desk.tables.now.refused[HACTL]
    assert refused.startswith("/mfs/2/hactl: its time lies 7200 s ahead of this node's clock")


# --- edits of one moment ----------------------------------------------------------------------


def test_versions_that_were_made_beside_each_other_are_joined() -> None:
    former = (version("# before\n", 99),)
    desk = Desk(force(FOO, 10, former), seen(FOO, 10))
    desk.hears(2, version(BAR, 5), former)
    (join,) = desk.fetched(seen(BAR, 5))
    assert join == JoinTables(HACTL, force(FOO, 10, former), force(BAR, 5, former))
    both = force(BOTH, 4, (version(BAR, 5), version(FOO, 10)))
    event = events.TablesJoined(HACTL, desk.wall_ns, Joined(both, ("foo",), "/state/history/f"))
    assert of(StoreTable, desk.report(event))
    desk.stored()
    assert desk.logs == ["table_joined", "table_adopted"]
    assert desk.in_force == version(BOTH, 4)
    (notice,) = desk.notices()
    assert "foo was edited on two nodes at once; the later edit holds" in notice


def test_where_nothing_can_be_joined_the_later_version_holds() -> None:
    former = (version("# before\n", 99),)
    desk = Desk(force(FOO, 10, former), seen(FOO, 10))
    desk.hears(2, version(BAR, 5), former)
    desk.fetched(seen(BAR, 5))
    (store,) = desk.report(events.TablesJoined(HACTL, desk.wall_ns, error="EIO"))
    assert isinstance(store, StoreTable)
    assert store.text.version == version(BAR, 5)
    assert desk.logs == ["table_join_failed"]


def test_two_versions_that_come_at_once_come_into_force_one_after_the_other() -> None:
    desk = with_foo()
    desk.hears(2, version(BAR, 5))
    desk.look()
    desk.settled(seen(BOTH, 3))
    assert desk.fetched(seen(BAR, 5)) == [], "the own edit is being stored"
    desk.stored()
    assert desk.in_force == version(BOTH, 3)


def test_an_answer_that_nobody_waits_for_is_a_bug() -> None:
    desk = with_foo()
    for event in (
        events.OwnTableRead(HACTL, desk.wall_ns),
        events.OwnTableWritten(HACTL, desk.wall_ns),
        events.TableShown(HACTL, desk.wall_ns),
        events.TextKept(HACTL, desk.wall_ns),
        events.PeerTableRead(HACTL, desk.wall_ns),
        events.TablesJoined(HACTL, desk.wall_ns),
        events.TableStored(HACTL, desk.wall_ns),
    ):
        with pytest.raises(BugError):
            desk.report(event)
