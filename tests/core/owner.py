"""A story told from node 1, on its way to own `g`: what others say, what it has come to."""

from __future__ import annotations

from typing import Any

from mosha.core.cluster.group_rules import Action
from mosha.core.cluster.node import Node
from mosha.core.cluster.state import GroupRecord
from mosha.core.status import (
    GroupLine,
    GroupState,
    Stamp,
    Status,
    Vote,
)
from tests.core.story import INC, TIMING, G, Story, one_of_three, status

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
HEARTBEAT_S, PLAN_LIMIT_S = TIMING.heartbeat_s, TIMING.plan_limit_s


def brain(story: Story) -> Node:
    return story.nodes[1]


def events(story: Story) -> list[str]:
    return [note.event for note in brain(story).take_notes()]


def record(story: Story, node: int = 1) -> GroupRecord:
    return story.nodes[node].state.record(G)


def causes(story: Story, event: str, node: int = 1) -> list[object]:
    """The causes of all notes of an event since they were taken last."""
    return [n.fields.get("cause") for n in story.nodes[node].take_notes() if n.event == event]


def at(level: str, state: GroupState = GroupState.DONE) -> dict[str, GroupLine]:
    return {G: GroupLine(level, state)}


def claims(story: Story) -> bool:
    step = story.step(1)
    return step.row is not None and step.row.do is Action.PLAN


def planned() -> Story:
    """Node 1 has claimed at 1000.0 and published that in its status 2, begun then."""
    story = one_of_three()
    story.step(1)
    story.write(1)
    assert story.files[1].claims == {G: 1}
    return story


def backs(node: int, seq: int, *, echo: int = 2, term: int = 1, **more: Any) -> Status:
    """A status of a peer that votes for node 1's claim and echoes one of its statuses."""
    vote = Vote(term, 1, INC, 2)
    return status(node, seq, votes={G: vote}, seen={1: Stamp(INC, echo)}, **more)


def running() -> Story:
    """Node 1 owns `g` under term 1 and is at `start`; its lease runs to 1000.0 + L."""
    story = planned()
    story.hear(1, backs(2, 2))
    assert [step.tell.level for _ in range(2) if (step := story.step(1)).tell] == ["test", "start"]
    assert story.at_home() == [1]
    brain(story).take_notes()
    return story
