"""Edits that a program asks for: of the newest text, one after the other, until others have it."""

from __future__ import annotations

import pytest

from mosha.core.replication import table_events as events
from mosha.core.replication.judging import CLTAB, HACTL, spread_limit_s
from mosha.core.replication.table_edits import TRIES_MAX
from mosha.core.replication.table_effects import (
    AnswerEdit,
    EditText,
    ReadOwnTable,
    ReadPeerTable,
    StoreTable,
    TableEffect,
    WriteOwnTable,
)
from mosha.core.replication.table_texts import Seen
from mosha.core.tables import Wish, WishEdit
from tests.core.table_desk import BAR, ENTRIES, FOO, Desk, of, seen, version, with_foo

STOP = WishEdit(Wish("foo", "stop"), frozenset())
STOPPED = "foo stop\n"
SPREAD_S = spread_limit_s(1.0)


def asked(desk: Desk, number: int = 1) -> list[TableEffect]:
    return desk.report(events.EditAsked(number, STOP))


def looked(desk: Desk, file: Seen) -> list[TableEffect]:
    """Let both looks that were ordered find what is there."""
    entries = seen(ENTRIES, name=CLTAB)
    desk.report(events.OwnTableRead(CLTAB, desk.wall_ns, entries))
    return desk.found(file)


def edited(desk: Desk, text: str = STOPPED, number: int = 1) -> list[TableEffect]:
    return desk.report(events.TextEdited(number, desk.wall_ns, seen(text)))


def in_force(desk: Desk) -> list[TableEffect]:
    """Ask for an edit and let all go well until it is in force here."""
    asked(desk)
    looked(desk, seen(FOO))
    edited(desk)
    desk.written()
    return desk.stored()


def test_the_newest_text_is_edited_written_stored_and_in_force() -> None:
    desk = with_foo()
    reads = of(ReadOwnTable, asked(desk))
    assert [read.table for read in reads] == [CLTAB, HACTL]
    (edit,) = looked(desk, seen(FOO))
    assert isinstance(edit, EditText)
    assert edit.hactl is not None
    assert (edit.hactl.version, edit.change) == (version(FOO), STOP)
    (write,) = edited(desk)
    assert isinstance(write, WriteOwnTable)
    assert (write.expected, write.text.data) == (version(FOO), STOPPED.encode())
    assert write.text.version.mtime_ns == desk.wall_ns
    assert write.text.past == (version(FOO),)
    (store,) = desk.written()
    assert isinstance(store, StoreTable)
    (answer,) = of(AnswerEdit, desk.stored())
    assert answer == AnswerEdit(1, Wish("foo", "stop"), Wish("foo", "stop"), (1,))
    assert desk.announced == desk.in_force == write.text.version


def test_what_a_peer_has_that_is_newer_is_fetched_first() -> None:
    desk = with_foo()
    assert of(ReadPeerTable, desk.hears(2, version(BAR, 1)))
    asked(desk)
    assert looked(desk, seen(FOO)) == [], "it is being fetched"
    desk.fetched(seen(BAR, 1))
    (edit,) = of(EditText, desk.stored())
    assert edit.hactl is not None
    assert edit.hactl.version == version(BAR, 1)


def test_an_edit_wins_against_all_that_is_known() -> None:
    desk = with_foo()
    soon = version(BAR, -30)  # the clock of its node is ahead
    asked(desk)
    desk.hears(2, soon)
    looked(desk, seen(FOO))
    desk.fetched(Seen(), "EIO")
    (write,) = edited(desk)
    assert isinstance(write, WriteOwnTable)
    assert write.text.version.mtime_ns == soon.mtime_ns + 1


def test_what_is_said_already_is_not_written() -> None:
    desk = with_foo()
    asked(desk)
    looked(desk, seen(FOO))
    (answer,) = edited(desk, FOO)
    assert answer == AnswerEdit(1, Wish("foo", "start"), Wish("foo", "start"), (1,), changed=False)


def test_a_wish_that_is_refused_is_answered_and_nothing_is_written() -> None:
    desk = with_foo()
    asked(desk)
    looked(desk, seen(FOO))
    event = events.TextEdited(1, desk.wall_ns, error="cltab has no group", usage=True)
    assert desk.report(event) == [AnswerEdit(1, error="cltab has no group", usage=True)]


def test_an_edit_is_not_written_over_what_has_come_into_force_meanwhile() -> None:
    desk = with_foo()
    asked(desk)
    looked(desk, seen(FOO))
    desk.hears(2, version(BAR, 1))
    desk.fetched(seen(BAR, 1))
    (look,) = desk.stored()
    assert isinstance(look, ReadOwnTable)
    done = edited(desk)
    assert of(WriteOwnTable, done) == []
    desk.report(events.OwnTableRead(CLTAB, desk.wall_ns, seen(ENTRIES, name=CLTAB)))
    desk.found(seen(FOO))
    desk.written()
    edits = of(EditText, desk.found(seen(BAR, 1)))
    assert [edit.hactl.version for edit in edits if edit.hactl] == [version(BAR, 1)]


def test_an_edit_by_hand_between_look_and_write_is_not_written_over() -> None:
    desk = with_foo()
    asked(desk)
    for _turn in range(TRIES_MAX):
        looked(desk, seen(FOO))
        edited(desk)
        done = desk.written(changed=True)
    (answer,) = done
    assert answer == AnswerEdit(1, error="/mfs/1/hactl: it is being edited meanwhile; try again")


@pytest.mark.parametrize("wrong", [seen("foo\n", 1), seen(BAR, -999)])
def test_nothing_is_written_over_a_refused_text_that_its_author_has_not_corrected_yet(
    wrong: Seen,
) -> None:
    desk = with_foo()
    desk.look()
    desk.settled(wrong)
    desk.report(events.TableShown(HACTL, desk.wall_ns))
    asked(desk)
    looked(desk, wrong)
    (answer,) = edited(desk)
    assert isinstance(answer, AnswerEdit)
    assert answer.error.startswith("/mfs/1/hactl is refused: ")
    assert answer.error.endswith("written over it: correct it, or do this on another node")
    assert desk.in_force == version(FOO)
    assert desk.tables.now.refused


@pytest.mark.parametrize("step", ["read", "write", "store"])
def test_whatever_fails_is_the_answer(step: str) -> None:
    desk = with_foo()
    asked(desk)
    if step == "read":
        desk.report(events.OwnTableRead(CLTAB, desk.wall_ns, seen(ENTRIES, name=CLTAB)))
        desk.report(events.OwnTableRead(HACTL, desk.wall_ns, error="EIO"))
        done = edited(desk)
    else:
        looked(desk, seen(FOO))
        edited(desk)
        done = desk.written("EIO") if step == "write" else [*desk.written(), *desk.stored("EIO")]
    (answer,) = of(AnswerEdit, done)
    assert "EIO" in answer.error
    assert answer.usage is False
    assert desk.in_force == version(FOO)


def test_nothing_is_written_over_an_edit_that_waits_for_the_local_disk() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen(BAR, 1))
    desk.stored("No space left on device")
    asked(desk)
    looked(desk, seen(BAR, 1))
    edits = [*desk.stored("No space left on device"), *edited(desk)]
    (answer,) = of(AnswerEdit, edits)
    assert "No space left on device" in answer.error
    assert "nothing is written over it" in answer.error
    assert of(WriteOwnTable, edits) == []


def test_nothing_is_written_over_an_old_text_that_cannot_be_put_aside() -> None:
    desk = with_foo()
    desk.look()
    desk.settled(seen(BAR, 99))
    desk.kept(error="No space left on device")
    asked(desk)
    looked(desk, seen(BAR, 99))
    edits = [*desk.kept(error="No space left on device"), *edited(desk)]
    (answer,) = of(AnswerEdit, edits)
    assert "older than the version in force; nothing is written over it" in answer.error
    assert of(WriteOwnTable, edits) == []


def test_an_edit_whose_write_hangs_is_answered_with_that_it_may_still_come_into_force() -> None:
    desk = with_foo()
    asked(desk)
    looked(desk, seen(FOO))
    edited(desk)
    hung = events.OwnTableWritten(HACTL, desk.wall_ns, error="no answer", hung=True)
    (answer,) = of(AnswerEdit, desk.report(hung))
    assert answer.error == (
        "/mfs/1/hactl: cannot be written: no answer; when that answers, the edit may still come"
        " into force: see mosha status"
    )


def test_one_edit_begins_when_the_one_before_is_in_force() -> None:
    desk = with_foo()
    desk.hears(2, version(FOO))
    asked(desk, 1)
    assert asked(desk, 2) == []
    looked(desk, seen(FOO))
    edited(desk)
    desk.written()
    assert of(ReadOwnTable, desk.stored()), "while the first one spreads"


def test_it_is_waited_for_all_and_then_for_one_of_the_others() -> None:
    desk = with_foo()
    for node in (2, 3):
        desk.hears(node, version(FOO))
    assert of(AnswerEdit, in_force(desk)) == []
    new = desk.in_force
    assert new is not None
    assert of(AnswerEdit, desk.hears(2, new)) == []
    assert desk.wait() == pytest.approx(SPREAD_S / 2)
    (answer,) = of(AnswerEdit, desk.done())
    assert answer.nodes == (1, 2)


def test_after_the_limit_it_is_known_to_be_here_alone() -> None:
    desk = with_foo()
    desk.hears(2, version(FOO))
    in_force(desk)
    waited_s = desk.wait() + desk.wait()
    assert waited_s == pytest.approx(SPREAD_S)
    (answer,) = of(AnswerEdit, desk.done())
    assert answer.nodes == (1,)


def test_a_node_that_has_what_came_from_the_edit_has_the_edit() -> None:
    desk = with_foo()
    desk.hears(2, version(FOO))
    in_force(desk)
    new = desk.in_force
    assert new is not None
    later = version(BAR, -5)
    (answer,) = of(AnswerEdit, desk.hears(2, later, (new, version(FOO))))
    assert answer.nodes == (1, 2)


def test_a_node_that_has_what_is_in_force_here_by_now_has_the_edit() -> None:
    """Its past may not reach back to the edit: older versions of mosha tell none."""
    desk = with_foo()
    desk.hears(2, version(FOO))
    in_force(desk)
    desk.hears(2, version(BAR, -5))
    desk.fetched(seen(BAR, -5))
    (answer,) = of(AnswerEdit, desk.stored())
    assert (answer.nodes, answer.said) == ((1, 2), None)


def test_a_node_that_is_not_heard_any_more_is_not_waited_for() -> None:
    desk = with_foo()
    for node in (2, 3):
        desk.hears(node, version(FOO))
    in_force(desk)
    new = desk.in_force
    assert new is not None
    desk.tables.peer_has(3, {HACTL: version(FOO)}, {}, desk.now, fresh=False)
    (answer,) = of(AnswerEdit, desk.hears(2, new))
    assert answer.nodes == (1, 2)
