"""What comes of an edit by a program: in force, refused, or overtaken by another one."""

from __future__ import annotations

import pytest

from mosha.core.replication.table_effects import AnswerEdit
from mosha.core.tables import Wish
from mosha.errors import HostError, UsageError
from mosha.monitor.tables.wish_edits import Done, done

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
