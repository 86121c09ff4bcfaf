"""What a group that gave way to one of a higher priority is said to have done, by every node."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from mosha.core.cluster import gave_way
from mosha.core.cluster.own_status import differences
from mosha.core.explain.transitions import snapshot, transitions
from mosha.core.explain.verdicts import judge
from mosha.core.explain.why import why
from mosha.core.explain.why_not import why_not
from mosha.core.status import GaveWay, GroupLine, GroupState, NodeState
from mosha.core.tables import STOP_LEVEL, Wish
from tests.core.story import TIMING, Story, says
from tests.core.test_candidacy import state
from tests.core.test_capacity import crowd, told

T = TIMING.timeout_s
HIGH = Wish("high", "start", weight=3, priority=10)
LOW = Wish("low", "start", only=(1,), weight=2)


def given_way() -> Story:
    """Node 1 alone has room for `low`, which has given way there to `high` a few seconds ago."""
    story = crowd(LOW, n1=3, n2=0, n3=0)
    story.live(3.0)
    assert story.at_home("low") == [1]
    told(story, LOW, HIGH)
    story.live(3.0)
    assert (story.at_home("high"), story.at_home("low")) == ([1], [])
    return story


def said(story: Story, node: int) -> str:
    return gave_way.said(story.nodes[node].state, "low", story.now)


def age_in(text: str) -> int:
    """Return the age in a clause that says all the rest."""
    found = re.fullmatch(r"gave way to high \(priority 10\) on node 1 (\d+) s ago", text)
    assert found is not None, text
    return int(found[1])


def test_every_node_says_to_what_it_gave_way_where_and_when() -> None:
    story = given_way()
    story.live(20.0)
    for node in (1, 2, 3):
        its = story.nodes[node].state
        text = said(story, node)
        assert age_in(text) == pytest.approx(22, abs=2)
        assert judge(its, "low", story.now).why.endswith(f"; it {text}")
        (reason,) = [it for it in why(its, "low", story.now, 0.0).reasons if it.rule == "gave-way"]
        assert (reason.said, reason.said_by) == (text, 1)
        (reason,) = [
            it for it in why_not(its, "low", 1, story.now, 0.0).reasons if it.rule == "gave-way"
        ]
        assert (reason.said, reason.said_by) == (text, 1)
        other = why_not(its, "low", 2, story.now, 0.0).reasons
        assert all(it.rule != "gave-way" for it in other)
        assert gave_way.said(its, "high", story.now) == ""


def test_it_is_one_event_on_every_node_also_if_a_monitor_is_restarted() -> None:
    story = crowd(LOW, n1=3, n2=0, n3=0)
    story.live(3.0)
    before = {node: snapshot(monitor.state) for node, monitor in story.nodes.items()}
    told(story, LOW, HIGH)
    story.live(3.0)
    after = {node: snapshot(monitor.state) for node, monitor in story.nodes.items()}
    for node in (1, 2, 3):
        found = [it for it in transitions(before[node], after[node]) if it.kind == "gave-way"]
        (event,) = found
        assert (event.group, event.node) == ("low", 1)
        assert (event.before, event.after) == ("-", "gave way to high (priority 10)")
    story.start(1, inc=200)
    story.live(30.0)
    for node in (2, 3):
        later = transitions(after[node], snapshot(story.nodes[node].state))
        assert [it for it in later if it.kind == "gave-way"] == []


def test_a_monitor_that_is_restarted_goes_on_saying_it_with_the_right_age() -> None:
    story = given_way()
    told(story, LOW, Wish("high", "start", weight=3, priority=77))
    story.start(1, inc=200)
    story.nodes[1].state.capacity = 3
    story.live(30.0)
    for node in (1, 2, 3):
        assert age_in(said(story, node)) == pytest.approx(32, abs=3)


def test_a_node_that_has_left_begins_anew() -> None:
    story = given_way()
    story.files[1] = says(1, 10**6, state=NodeState.LEFT, gave_way=story.files[1].gave_way)
    story.start(1, inc=10**7)
    assert story.nodes[1].state.record("low").gave_way is None


def test_what_is_claimed_again_says_it_no_longer_and_elsewhere_only_why_does() -> None:
    story = given_way()
    told(story, LOW, Wish("high", STOP_LEVEL))
    story.live(3.0)
    assert story.at_home("low") == [1]
    assert [said(story, node) for node in (1, 2, 3)] == ["", "", ""]
    story = given_way()
    told(story, Wish("low", "start", only=(1, 2), weight=2), HIGH)
    story.nodes[2].state.capacity = 2
    story.live(3.0)
    assert story.at_home("low") == [2]
    assert age_in(said(story, 3)) == pytest.approx(5, abs=2)
    told(story, Wish("low", "start", only=(1,), weight=2), HIGH)
    story.live(3.0)
    assert "gave way" not in judge(story.nodes[3].state, "low", story.now).why
    told(story, Wish("low", STOP_LEVEL, weight=2), HIGH)
    story.live(3.0)
    assert said(story, 3) == ""
    assert story.files[1].gave_way == {}


def test_of_two_nodes_the_last_one_counts_and_only_one_that_is_heard() -> None:
    story = crowd(LOW, HIGH)
    story.write(1)
    gone = GroupLine(STOP_LEVEL, GroupState.PASSED)
    for node, age_s in ((2, 9), (3, 5)):
        ways = {"low": GaveWay(f"high{node}", -3, 4, age_s)}
        story.hear(1, says(node, groups={"low": gone}, gave_way=ways))
    story.now += 1.0
    told_of = gave_way.said(state(story), "low", story.now)
    assert told_of == "gave way to high3 (priority -3) on node 3 6 s ago"
    assert gave_way.there(state(story), "low", 2, story.now).endswith("on node 2 10 s ago")
    story.now += T + 1
    story.miss(1, 2)
    story.miss(1, 3)
    assert gave_way.said(state(story), "low", story.now) == ""


def test_only_a_new_giving_way_is_a_difference_of_two_statuses() -> None:
    way = GaveWay("high", 10, 4, 0)
    before, after = says(2), says(2, 3, gave_way={"low": way})
    assert differences(before, after) == {"low"}
    later = says(2, 4, gave_way={"low": replace(way, age_s=5)})
    assert differences(after, later) == set()
    assert differences(later, says(2, 5, gave_way={"low": replace(way, term=5)})) == {"low"}
