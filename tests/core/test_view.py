"""The index of a view: which statuses are about a group."""

from __future__ import annotations

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
