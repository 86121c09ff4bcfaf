"""What `mosha status`, `why` and `why-not` say of groups that relate."""

from __future__ import annotations

from msgspec.structs import replace

from mosha.core.explain.verdicts import GroupVerdict, judge
from mosha.core.explain.why import why
from mosha.core.explain.why_not import why_not
from mosha.core.status import GroupState
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import Wish
from tests.core.story import Story
from tests.core.test_relations import DB, ORDERED, SETTLED_S, TOGETHER, WEB, T, edit, told

WALL_S = 1_763_800_000.0


def verdict(story: Story, group: str, node: int = 3) -> GroupVerdict:
    return judge(story.nodes[node].state, group, story.now)


def refusal(story: Story, group: str, node: int, asked: int = 3) -> tuple[str, str]:
    found = why_not(story.nodes[asked].state, group, node, story.now, WALL_S)
    return found.verdict, found.next


def test_what_is_as_wanted_says_nothing() -> None:
    story = told(*ORDERED)
    assert [verdict(story, group) for group in (DB, WEB)] == [GroupVerdict(True)] * 2


def test_a_group_says_which_one_it_waits_for_and_what_to_do() -> None:
    story = told(Wish(DB, "stop"), ORDERED[1])
    step = "mosha set db start, or take db out of after= of web"
    assert (verdict(story, WEB).why, verdict(story, WEB).next) == (
        *("waits for db (after=): hactl says stop", step),
    )
    found = why(story.nodes[3].state, WEB, story.now, WALL_S)
    assert (found.verdict, found.next) == ("waits for db (after=): hactl says stop", step)
    assert [reason.holds for reason in found.reasons if reason.rule == "after"] == ["no"]
    assert refusal(story, WEB, 2) == ("waits for db (after=): hactl says stop", step)


def test_it_says_where_the_other_one_is() -> None:
    story = told(*ORDERED)
    story.show(1, GroupReport(DB, "start", GroupState.STARTING, "start", alive=1))
    story.live(SETTLED_S)
    assert verdict(story, WEB).why == "waits for db (after=): it is start STARTING on node 1"
    assert verdict(story, WEB).next == "mosha why db"


def test_it_says_which_node_may_run_the_other_one() -> None:
    story = told(Wish(DB, "start", only=(1,)), ORDERED[1])
    edit(story, replace(ORDERED[1], level="stop"))
    story.live(SETTLED_S)
    story.die(1)
    story.live(2 * T)
    edit(story, ORDERED[1])
    story.live(SETTLED_S)
    said = "waits for db (after=): node 1, which may run it, is stale"
    assert verdict(story, WEB).why == said


def test_what_is_held_back_says_who_has_to_stop_first() -> None:
    story = told(*ORDERED)
    story.slow.add(2)
    edit(story, replace(ORDERED[0], level="stop"))
    story.live(SETTLED_S)
    waits = "waits until web has stopped on node 2, at most 120 s"
    assert verdict(story, DB) == GroupVerdict(
        False, f"still start DONE on node 1; {waits}", "mosha why web"
    )
    edit(story, replace(ORDERED[0], only=(2, 3)))
    story.live(SETTLED_S)
    assert verdict(story, DB) == GroupVerdict(
        False, f"start DONE on node 1, to be stopped there: {waits}", "mosha why web"
    )
    assert verdict(story, WEB).why == (
        "start STOPPING on node 2, on its way; waits for db (after=): it is start DONE on node 1,"
        " and about to leave (not wanted there)"
    )


def test_what_has_failed_to_stop_is_not_said_to_be_about_to_leave() -> None:
    story = told(*ORDERED)
    story.fails[1, "stop"] = "umount: exit 1: target is busy"
    edit(story, replace(ORDERED[0], only=(2, 3)))
    story.live(3 * SETTLED_S)
    assert story.clinits[1][DB].state is GroupState.FAILED
    assert verdict(story, WEB).why == "waits for db (after=): it is stop FAILED on node 1"


def test_a_node_says_that_the_group_of_with_is_not_there() -> None:
    story = told(TOGETHER[0], Wish(WEB, "start", only=(2, 3), with_=(DB,)))
    assert refusal(story, WEB, 2) == ("db (with=) is not there", "see mosha why db")
    assert refusal(story, WEB, 3) == ("db (with=) is not here", "see mosha why db")
    assert "node 2: db (with=) is not there" in verdict(story, WEB).why


def test_a_node_says_which_group_it_has_that_is_apart() -> None:
    story = told(Wish(DB, "start", only=(1,)), Wish(WEB, "start", only=(1,), apart=(DB,)))
    said = "db is there, and they run apart (apart=)"
    assert refusal(story, WEB, 1) == (said, "move db to another node")
    assert f"node 1: {said}" in verdict(story, WEB).why
    assert verdict(story, WEB).next == "move db to another node"


def test_each_node_says_of_another_what_its_own_instance_of_the_one_before_is() -> None:
    story = told(Wish(DB, "start", on_all=True), Wish(WEB, "start", prefer=(1,), after=(DB,)))
    story.show(2, GroupReport(f"{DB}@2", "start", GroupState.STARTING, "start", alive=1))
    story.live(SETTLED_S)
    waits = "waits for db@2 (after=): it is start STARTING on node 2"
    for asked in (1, 2, 3):
        assert refusal(story, WEB, 2, asked) == (waits, "mosha why db@2")
    edit(story, Wish(WEB, "start", only=(2,), after=(DB,)))
    story.live(2 * T)
    said, step = verdict(story, WEB, 1).why, verdict(story, WEB, 1).next
    assert step == "mosha why db@2"
    assert said == (
        "no node can run it: node 1: only= leaves this node out; node 2: "
        f"{waits}; node 3: only= leaves this node out"
    )


def test_the_way_out_of_an_instance_that_a_node_shall_not_have_names_the_group_of_hactl() -> None:
    story = told(
        Wish(DB, "start", on_all=True, only=(1, 3)), Wish(WEB, "start", prefer=(1,), after=(DB,))
    )
    step = "change only= of db, or take db out of after= of web"
    assert refusal(story, WEB, 2)[1] == step
