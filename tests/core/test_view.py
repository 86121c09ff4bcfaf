"""The index of a view: which statuses are about a group."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.view import View
from mosha.core.status import Ban, GroupLine, GroupState, Status, Trouble, TroubleKind

NODES = (2, 3, 4)
GROUPS = ("a", "b", "c")

groups = st.sets(st.sampled_from(GROUPS))


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    """A status of any age, about any groups in any way."""
    line, trouble = GroupLine("start", GroupState.DONE), Trouble("tag", TroubleKind.PAUSING)
    return Status(
        node=draw(st.sampled_from(NODES)),
        inc=draw(st.integers(1, 3)),
        run="r",
        boot="b",
        seq=draw(st.integers(1, 5)),
        claims=dict.fromkeys(draw(groups), 1),
        groups=dict.fromkeys(draw(groups), line),
        bans=dict.fromkeys(draw(groups), Ban(3, "")),
        troubles={(group, "tag"): trouble for group in draw(groups)},
    )


@given(st.lists(statuses(), max_size=12))
def test_the_statuses_that_mention_a_group_are_found_however_they_have_changed(
    heard: list[Status],
) -> None:
    view = View(1, Electorate(Policy.MAJORITY, frozenset((1, *NODES))), frozenset(NODES))
    for number, status in enumerate(heard):
        view.heard(status, float(number))
    for group in GROUPS:
        mentioning = [
            status
            for status in sorted(view.known(), key=lambda status: status.node)
            if group in {*status.claims, *status.groups, *status.bans} or status.troubles_of(group)
        ]
        assert view.mentioning(group) == mentioning


LINE, TROUBLE = GroupLine("start", GroupState.DONE), Trouble("tag", TroubleKind.PAUSING)
ABOUT: dict[str, dict[Any, Any]] = {
    "claims": {"a": 1, "b": 1},
    "groups": {"a": LINE, "b": LINE},
    "bans": {"a": Ban(3, ""), "b": Ban(3, "")},
    "troubles": {("a", "tag"): TROUBLE, ("b", "tag"): TROUBLE},
}


@pytest.mark.parametrize("table", ABOUT)
def test_a_status_that_is_about_another_group_than_before_mentions_that_one(table: str) -> None:
    view = View(1, Electorate(Policy.MAJORITY, frozenset((1, *NODES))), frozenset(NODES))
    for seq, (key, value) in enumerate(ABOUT[table].items(), 1):
        about: dict[str, Any] = {table: {key: value}}
        status = Status(node=2, inc=1, run="r", boot="b", seq=seq, **about)
        view.heard(status, float(seq))
    assert (view.mentioning("a"), view.mentioning("b")) == ([], [status])


def test_the_statuses_that_mention_a_group_come_by_node() -> None:
    view = View(1, Electorate(Policy.MAJORITY, frozenset((1, 2, 8))), frozenset((2, 8)))
    for node in (8, 2):
        view.heard(Status(node=node, inc=1, run="r", boot="b", seq=1, claims={"a": 1}), 1.0)
    assert [status.node for status in view.mentioning("a")] == [2, 8]
