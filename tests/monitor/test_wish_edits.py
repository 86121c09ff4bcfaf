"""What comes of an edit by a program: in force, refused, or overtaken by another one."""

from __future__ import annotations

import pytest

from mosha.core.replication.judging import HACTL
from mosha.core.replication.table_effects import AnswerEdit, EditText
from mosha.core.replication.table_texts import Text
from mosha.core.status import TableVersion
from mosha.core.tables import Wish
from mosha.errors import HostError, UsageError
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import parse_change
from mosha.formats.mistakes import Mistakes
from mosha.formats.table_kinds import in_force_of
from mosha.monitor.tables.wish_edits import Done, done, edited

START, STOP = Wish("g", "start"), Wish("g", "stop")


def test_an_edit_that_holds_says_its_line_and_where_it_is_in_force() -> None:
    answer = AnswerEdit(1, START, START, (1, 3), changed=False)
    assert done(answer) == Done("g start", (1, 3), changed=False)


def test_an_edit_that_did_not_last_is_no_success() -> None:
    with pytest.raises(HostError, match="'g start' was in force for a moment"):
        done(AnswerEdit(1, START, STOP, (1,)))
    with pytest.raises(HostError, match="another edit holds: ''"):
        done(AnswerEdit(1, START, None, (1,)))


@pytest.mark.parametrize(("usage", "kind"), [(True, UsageError), (False, HostError)])
def test_an_error_is_the_fault_of_whom_it_names(usage: bool, kind: type[Exception]) -> None:  # noqa: FBT001
    with pytest.raises(kind, match="no such level"):
        done(AnswerEdit(1, error="no such level", usage=usage))


def _edit(words: str, *, force: bool = False) -> str:
    """Return the hactl after an edit of one with two groups, which cltab has both."""
    text = Text(TableVersion(1, "1"), b"web start after=db\ndb start\n")
    cltab = parse_cltab(b"web:w:start:once:true\ndb:d:start:once:true\n", "cltab")
    change = parse_change(words.split())
    return edited(EditText(1, in_force_of(HACTL, text), cltab, change, force)).data.decode()


def test_an_edit_that_names_a_group_which_hactl_lacks_is_refused_unless_it_is_forced() -> None:
    with pytest.raises(UsageError, match="with= of web names dbb, which hactl does not have; did"):
        _edit("web start with=dbb")
    assert _edit("web start with=dbb", force=True) == "web start after=db with=dbb\ndb start\n"
    assert _edit("web start apart=db after=none") == "web start apart=db\ndb start\n"


def test_an_edit_that_contradicts_another_line_is_refused_with_that_line() -> None:
    circle = (
        "hactl:1:17: groups that wait for each other, web after=db .line 1., db with=web .line 2"
    )
    with pytest.raises(Mistakes, match=circle):
        _edit("db start with=web", force=True)
