"""This node's file of a table from one look to the next: what is refused, and who may read it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.replication import table_events as events
from mosha.core.replication.judging import CLTAB, HACTL
from mosha.core.replication.table_effects import ShowTable, WriteOwnTable
from mosha.core.replication.table_texts import Access, Seen
from mosha.core.tables import Wish, WishEdit
from tests.core.table_desk import BAR, ENTRIES, FOO, Desk, force, of, seen, with_foo

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
