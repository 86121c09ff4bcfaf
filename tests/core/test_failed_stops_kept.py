"""A stop that failed, and then both daemons of its node were killed: the claim is kept."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.cluster import orders
from mosha.core.explain.verdicts import judge
from mosha.core.status import GroupState, Order, Verb
from mosha.core.tables import Hactl, Wish
from mosha.core.tell import Tell
from tests.core.story import INC, TIMING, G, Story, hactl, report

T = TIMING.timeout_s
INSTANCE = "g@1"


class Heard(Story):
    """A story that keeps what groups are told."""

    def __init__(self, wishes: Hactl) -> None:
        self.tells: list[tuple[int, Tell, bool]] = []
        super().__init__(wishes=wishes)

    def obey(self, node: int, tell: Tell) -> None:
        """Note whether the entries of a later stop are run: not after the deadlines."""
        over = tell.kill_at is not None and tell.kill_at <= self.now
        self.tells.append((node, tell, over))
        super().obey(node, tell)

    def told(self, node: int, group: str, during_s: float) -> list[str]:
        """Return the levels that a node tells a group from now on."""
        self.tells.clear()
        self.live(during_s)
        found = [(tell, over) for at, tell, over in self.tells if (at, tell.group) == (node, group)]
        return [f"{tell.level}, nothing is run" if over else tell.level for tell, over in found]


def stop_failed(group: str = G, *, down_s: float = 0.0) -> tuple[Heard, int]:
    """Three nodes; both daemons of one were killed, and the new clinit cannot stop the agents."""
    story = Heard(hactl(Wish(G, "start", on_all=group != G)))
    story.live(3 * T)
    (owner,) = story.owners(group)
    del story.nodes[owner]
    # A new clinit was told no term.
    failed = report("stop", alive=0, state=GroupState.FAILED)
    story.clinits[owner] = {group: replace(failed, group=group)}
    story.fails[owner, "stop"] = "umount: exit 1: target is busy"
    if down_s:
        story.live(down_s)
    story.start(owner, inc=INC + 1)
    return story, owner


def why(story: Story, node: int, group: str) -> str:
    return judge(story.nodes[node].state, group, story.now).why


@pytest.mark.parametrize("group", [G, INSTANCE])
def test_the_claim_is_kept_and_a_cleanup_runs_the_stop_entries_again(group: str) -> None:
    story, owner = stop_failed(group)
    story.live(3 * T)
    assert story.owners(group) == []
    for node in story.ids:
        words = f"its stop entries failed on node {owner}: no other node may start it"
        assert why(story, node, group) == words
    orders.give(story.nodes[owner].state, Order(Verb.CLEANUP, group, owner), story.now)
    assert story.told(owner, group, 3 * T) == ["plan", "stop"], "it fails again"
    assert story.owners(group) == []
    del story.fails[owner, "stop"]
    orders.give(story.nodes[owner].state, Order(Verb.CLEANUP, group, owner), story.now)
    assert story.told(owner, group, 3 * T)[:2] == ["plan", "stop"]
    assert len(story.at_home(G)) + len(story.owners(INSTANCE)) == 1


def test_what_others_have_run_since_is_neither_killed_nor_run_here() -> None:
    story, owner = stop_failed(down_s=3 * T)
    assert story.told(owner, G, T) == [], "the new clinit stops its agents by itself"
    assert len(story.owners()) == 1
    orders.give(story.nodes[owner].state, Order(Verb.CLEANUP, G, owner), story.now)
    assert story.told(owner, G, T) == ["stop, nothing is run"]
    assert len(story.owners()) == 1


def test_a_cleanup_of_an_instance_runs_its_stop_entries_although_no_lease_comes_back() -> None:
    story, owner = stop_failed(INSTANCE, down_s=3 * T)
    story.live(T)
    for node in story.ids:
        found = judge(story.nodes[node].state, INSTANCE, story.now)
        assert found.why == (
            "its stop entries failed on node 1, whose claim is not granted any more:"
            " no other node may start it"
        )
        assert found.next == (
            "repair what failed there, then: mosha cleanup g@1 1"
            " (the entries run again with a lease, or without one after 10 s)"
        )
    del story.fails[owner, "stop"]
    orders.give(story.nodes[owner].state, Order(Verb.CLEANUP, INSTANCE, owner), story.now)
    told = story.told(owner, INSTANCE, 3 * T)
    (plan, *_) = (tell for at, tell, _ in story.tells if (at, tell.group) == (owner, INSTANCE))
    assert plan.kill_at is not None, "its term is spent: without new deadlines no entry is run"
    assert told == ["plan", "stop", "plan", "test", "start"]


def test_an_instance_whose_single_group_was_claimed_since_runs_no_stop_entries() -> None:
    story, owner = stop_failed(INSTANCE, down_s=3 * T)
    story.live(T)
    state = story.nodes[owner].state
    state.view.know_term(G, state.view.terms[INSTANCE] + 1)
    orders.give(state, Order(Verb.CLEANUP, INSTANCE, owner), story.now)
    assert story.told(owner, INSTANCE, T)[:1] == ["stop, nothing is run"]
