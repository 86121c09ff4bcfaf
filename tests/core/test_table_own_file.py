"""This node's file of a table from one look to the next: what is refused, and who may read it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.replication import table_events as events
from mosha.core.replication.judging import CLTAB, HACTL
from mosha.core.replication.lineage import Past
from mosha.core.replication.table_effects import JoinTables, KeepText, ShowTable, WriteOwnTable
from mosha.core.replication.table_texts import Access, Joined, Seen
from mosha.core.tables import Wish, WishEdit
from tests.core.table_desk import BAR, ENTRIES, FOO, Desk, force, of, seen, version, with_foo

ODD = "foo start colour=red\n"


@pytest.mark.parametrize(
    "refusable",
    [seen(ODD, 1), replace(seen(BAR, 1), distrust="group can write it"), seen(BAR, -7200)],
    ids=["mistakes", "distrust", "future"],
)
def test_a_refused_text_is_left_there_as_long_as_nothing_else_comes_into_force(
    refusable: Seen,
) -> None:
    desk = with_foo()
    desk.look()
    (shown,) = desk.settled(refusable)
    assert isinstance(shown, ShowTable)
    desk.report(events.TableShown(HACTL, desk.wall_ns))
    refused = desk.tables.now.refused
    assert HACTL in refused
    for _ in range(2):
        desk.look()
        assert desk.found(refusable) == []
    assert desk.tables.now.refused == refused


def test_an_edit_by_a_program_may_be_read_by_whom_the_file_may_be_read() -> None:
    private = replace(seen(FOO), access=Access(0o640, (7, 7)))
    desk = Desk(force(FOO), private)
    desk.report(events.EditAsked(1, WishEdit(Wish("foo", "stop"), frozenset())))
    desk.report(events.OwnTableRead(CLTAB, desk.wall_ns, seen(ENTRIES, name=CLTAB)))
    desk.found(private)
    (write,) = of(
        WriteOwnTable, desk.report(events.TextEdited(1, desk.wall_ns, seen("foo stop\n")))
    )
    assert write.text.access == private.access


def overtaken(desk: Desk) -> Past:
    """Edit the own file anew while a peer's edit of what is in force comes into force.

    Returns the past of the new edit.
    """
    mine = desk.in_force
    assert mine is not None
    desk.hears(2, version(BAR, -20), (mine,))
    desk.fetched(seen(BAR, -20))
    desk.stored()
    (join,) = of(JoinTables, desk.settled(seen("foo start\nbar stop\n", -10)))
    return join.other.past


def test_an_edit_of_an_edit_by_hand_has_it_in_its_past() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen(FOO + BAR, 1))
    desk.stored()
    assert overtaken(desk) == (version(FOO + BAR, 1), version(FOO))


def test_an_edit_of_an_edit_by_a_program_has_it_in_its_past() -> None:
    desk = with_foo()
    desk.report(events.EditAsked(1, WishEdit(Wish("foo", "stop"), frozenset())))
    desk.report(events.OwnTableRead(CLTAB, desk.wall_ns, seen(ENTRIES, name=CLTAB)))
    desk.found(seen(FOO))
    desk.report(events.TextEdited(1, desk.wall_ns, seen("foo stop\n")))
    desk.written()
    desk.stored()
    new = desk.in_force
    assert overtaken(desk) == (new, version(FOO))


def test_what_is_lost_of_an_edit_by_hand_is_put_aside_and_told() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen(FOO + BAR, 1))
    desk.stored()
    overtaken(desk)
    in_force = desk.hactl.record.force
    assert in_force is not None
    joined = Joined(in_force, ("bar",), "/state/history/bar")
    (keep,) = desk.report(events.TablesJoined(HACTL, desk.wall_ns, joined))
    assert isinstance(keep, KeepText)
    assert (keep.text.data, keep.fate) == (b"foo start\nbar stop\n", "discarded")
    desk.kept()
    desk.written()
    (notice,) = desk.notices()
    assert "a concurrent edit is later; it was kept as /state/history/it" in notice
