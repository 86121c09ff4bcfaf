"""What status says of nodes that cannot end a group, and of shots that they ask for (F1)."""

from __future__ import annotations

from typing import Any

import pytest

from mosha.core.cluster.fencing import FencingRules, Shot
from mosha.core.cluster.shot_requests import FAILED, OUTLIVED
from mosha.core.cluster.state import Hold
from mosha.core.explain.problems import ProblemKind
from mosha.core.status import GroupLine, GroupState, ShotLine, Stamp, Status, Unended
from mosha.formats.clstat import parse_clstat, render_clstat
from mosha.formats.hastat import Problem
from mosha.monitor.report import HostFacts, make
from tests.core.story import INC, G, Story, one_of_three, status

STOPPING = {G: GroupLine("start", GroupState.STOPPING)}
STARTED = "this monitor has just started, and shoots nobody for 20s more"


def says(node: int, seq: int = 2, **more: Any) -> Status:
    return status(node, seq, **({"seen": {1: Stamp(INC, 1)}} | more))


def stuck(reason: str, *, asks: bool) -> Story:
    story = one_of_three()
    said = {G: Unended(reason, asks=asks)}
    story.hear(1, says(2, unended=said, groups=STOPPING, claims={G: 1}), says(3))
    return story


def unable(story: Story) -> list[Problem]:
    found = make(story.nodes[1], HostFacts(), story.now).problem_list
    return [problem for problem in found if problem.kind == ProblemKind.NODE_UNABLE]


@pytest.mark.parametrize(
    ("reason", "asks", "text"),
    [
        (OUTLIVED, False, f"node 2 cannot end g: {OUTLIVED}"),
        (OUTLIVED, True, f"node 2 cannot end g: {OUTLIVED}; it asks to be shot: {STARTED}"),
        (FAILED, True, f"node 2 cannot end g: {FAILED}; it asks to be shot: {STARTED}"),
    ],
)
def test_a_node_that_cannot_end_a_group_is_a_problem(reason: str, text: str, *, asks: bool) -> None:
    (problem,) = unable(stuck(reason, asks=asks))
    assert (problem.text, problem.subjects) == (text, ["2"])
    assert problem.next.endswith("mosha cleanup g 2")


def test_a_failed_stop_that_nobody_is_shot_for_is_a_problem_of_its_group_alone() -> None:
    assert unable(stuck(FAILED, asks=False)) == []


def test_who_shoots_is_told_with_it() -> None:
    story = stuck(OUTLIVED, asks=True)
    story.nodes[1].state.shots[2] = Shot(2, INC, story.now)
    story.hear(1, says(3, 3, shots={2: ShotLine(INC, "shot")}))
    (problem,) = unable(story)
    assert problem.text.endswith("; it asks to be shot: node 1 shoots it")


def test_the_group_says_that_a_shot_is_asked_for() -> None:
    story = stuck(OUTLIVED, asks=True)
    found = make(story.nodes[1], HostFacts(), story.now)
    (group,) = (group for group in found.groups if group.group == G)
    cannot = f"it cannot be ended there: {OUTLIVED}"
    assert group.why.endswith(f"; {cannot}; node 2 asks to be shot for it: {STARTED}")


def test_nodes_that_ask_together_are_said_to_be_spared() -> None:
    story = stuck(OUTLIVED, asks=True)
    story.nodes[1].state.holds = {2: Hold("asking", (2, 3))}
    texts = make(story.nodes[1], HostFacts(), story.now).problems
    assert any("node 2 is not shot: so many ask for it" in text for text in texts)
    story.nodes[1].state.fencing = FencingRules(switches=False)
    texts = make(story.nodes[1], HostFacts(), story.now).problems
    assert not any("is not shot" in text for text in texts), "there is no device"


def test_what_a_status_says_of_it_can_be_read_back() -> None:
    said = {"db": Unended(FAILED), "web": Unended(OUTLIVED, asks=True)}
    text = render_clstat(says(2, unended=said))
    assert f"Mosha::Unended web asks=yes {OUTLIVED}\n" in text
    found = parse_clstat(text.encode())
    assert (found.unended, found.asks_to_be_shot) == (said, True)


def test_what_a_status_says_of_groups_that_were_killed_too_late_can_be_read_back() -> None:
    text = render_clstat(says(2, late_kills={"db": 4000, "web": 351}))
    assert "Mosha::LateKill db 4000\nMosha::LateKill web 351\n" in text
    assert parse_clstat(text.encode()).late_kills == {"db": 4000, "web": 351}
