"""Where groups run, and for how long they were away when they moved."""

from __future__ import annotations

from mosha.core.explain.homes import Arrival, Home, follow
from mosha.core.explain.transitions import snapshot
from mosha.core.status import GroupLine, GroupState
from mosha.core.tables import Wish
from tests.core.story import TIMING, G, Story, hactl, one_of_three, report, says
from tests.core.test_verdicts import at, state


class Follower:
    """Looks at a story now and then, as a monitor does."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.homes: dict[str, Home] = {}

    def look(self) -> list[Arrival]:
        seen = snapshot(state(self.story))
        self.homes, found = follow(self.homes, state(self.story), seen, self.story.now)
        return found


def at_two() -> Follower:
    """Return a follower that has seen the group at home on node 2."""
    made = Follower(one_of_three())
    made.story.hear(1, says(2, 3, groups=at("start")), says(3, 3))
    assert made.look() == []
    assert made.homes == {G: Home(2)}
    return made


def test_a_move_is_from_the_last_home_to_the_next_and_has_its_time() -> None:
    made = at_two()
    made.story.now += 1
    made.story.hear(1, says(2, 4, groups=at("start", GroupState.STOPPING)))
    assert made.look() == []
    made.story.now += 4
    made.story.hear(1, says(2, 5), says(3, 5, groups=at("test")))
    assert made.look() == []
    made.story.now += 1.25
    made.story.hear(1, says(3, 6, groups=at("start")))
    assert made.look() == [Arrival(G, 2, 3, 5.25)]
    assert made.look() == []


def test_a_group_that_is_started_again_where_it_was_is_back() -> None:
    made = at_two()
    made.story.hear(1, says(2, 4, groups=at("stop", GroupState.STARTING)))
    made.look()
    made.story.now += 3
    made.story.hear(1, says(2, 5, groups=at("start", GroupState.PASSED)))
    assert made.look() == [Arrival(G, 2, 2, 3.0)]


def test_a_group_of_a_dead_node_was_away_since_its_last_word() -> None:
    made = at_two()
    made.story.now += TIMING.timeout_s + 1
    made.story.miss(1, 2)
    made.story.hear(1, says(3, 9))
    assert made.look() == []
    made.story.now += 2
    made.story.hear(1, says(3, 10, groups=at("start")))
    assert made.look() == [Arrival(G, 2, 3, TIMING.timeout_s + 3)]


def test_a_group_of_a_node_that_is_fenced_meanwhile_was_away_since_its_last_word_too() -> None:
    made = at_two()
    made.story.now += TIMING.timeout_s + 1
    made.story.hear(1, says(3, 9))
    made.story.miss(1, 2)
    made.story.nodes[1].confirmed(2, made.story.now)
    made.story.hear(1, says(3, 10, groups=at("start")))
    assert made.look() == [Arrival(G, 2, 3, TIMING.timeout_s + 1)]


def test_a_group_that_is_back_has_not_moved_though_another_node_shows_it_too() -> None:
    made = at_two()
    made.story.hear(1, says(2, 4))
    made.look()
    state(made.story).reports[G] = report("start", GroupState.DONE)
    made.story.hear(1, says(2, 5, groups=at("start")))
    assert made.look() == [Arrival(G, 2, 2, 0.0)]


def at_one() -> Follower:
    """Return a follower that has its own group at home."""
    made = Follower(one_of_three())
    state(made.story).reports[G] = report("start", GroupState.DONE)
    made.story.hear(1, says(2, 3), says(3, 3))
    state(made.story).clinit_known = True
    assert made.look() == []
    assert made.homes == {G: Home(1)}
    return made


def test_a_group_whose_clinit_died_is_away_since_that_did_not_answer() -> None:
    made = at_one()
    made.story.now += 1
    state(made.story).clinit_known = False
    assert made.look() == []
    made.story.now += 2
    state(made.story).clinit_known = True
    state(made.story).reports[G] = report("plan", GroupState.DONE)
    assert made.look() == []
    made.story.now += 0.5
    made.story.hear(1, says(2, 4, groups=at("start")))
    assert made.look() == [Arrival(G, 1, 2, 2.5)]


def test_a_clinit_that_only_did_not_answer_for_a_while_is_no_move() -> None:
    made = at_one()
    for known in (False, False, True):
        made.story.now += 1
        state(made.story).clinit_known = known
        assert made.look() == []
    assert made.homes == {G: Home(1)}


def test_a_group_that_shall_not_run_has_no_home_and_its_next_start_is_no_move() -> None:
    made = at_two()
    for wishes in (hactl(Wish(G, "stop")), None):
        state(made.story).hactl = wishes
        assert made.look() == []
        assert made.homes == {}
    state(made.story).hactl = hactl(Wish(G, "start"))
    made.story.hear(1, says(2, 4), says(3, 4, groups={G: GroupLine("start", GroupState.DONE)}))
    assert made.look() == []
    assert made.homes == {G: Home(3)}


def test_another_level_is_arrived_at_too() -> None:
    made = at_two()
    state(made.story).hactl = hactl(Wish(G, "full"))
    made.look()
    made.story.now += 2
    made.story.hear(1, says(2, 4, groups=at("full")))
    assert made.look() == [Arrival(G, 2, 2, 2.0)]


def test_a_group_that_is_only_tested_runs_nowhere_and_is_not_back() -> None:
    made = at_two()
    state(made.story).hactl = hactl(Wish(G, "test"))
    assert made.look() == []
    made.story.hear(1, says(2, 4, groups=at("test", GroupState.PASSED)))
    assert made.look() == []
    assert made.homes == {}
    state(made.story).hactl = hactl(Wish(G, "start"))
    made.look()
    made.story.now += 3
    made.story.hear(1, says(2, 5), says(3, 5, groups=at("start")))
    assert made.look() == []
    assert made.homes == {G: Home(3)}
