"""The runtime hands events to an agent and effects to their ports, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from mosha.core.cluster import effects
from mosha.core.cluster.agent import Agent
from mosha.core.cluster.events import FileChanged, GroupsReported, ReadFailed, WriteFailed
from mosha.core.replication.node_tables import NodeTables
from mosha.errors import BugError
from mosha.monitor.runtime import Runtime
from tests.core.story import PLACES, START_S, one_of_three


class World:
    """A clock that is set by hand, and ports that take down what they are to do."""

    def __init__(self) -> None:
        self.time = START_S
        self.wakes: list[float] = []
        self.done: list[effects.Effect] = []
        self.ports: dict[type, Callable[[Any], None]] = dict.fromkeys(
            get_args(effects.Effect), self.done.append
        )

    def now(self) -> float:
        return self.time

    def chance(self) -> float:
        return 0.5

    def wake_at(self, when: float) -> None:
        self.wakes.append(when)

    def runtime(self) -> Runtime:
        return Runtime(Agent(one_of_three().nodes[1], NodeTables(1, PLACES)), self.ports, self)

    def done_of(self, kind: type) -> list[effects.Effect]:
        return [effect for effect in self.done if isinstance(effect, kind)]


@pytest.fixture
def world() -> World:
    return World()


def test_each_effect_goes_to_its_port_and_the_next_time_to_the_clock(world: World) -> None:
    runtime = world.runtime()
    runtime.report(GroupsReported(full=True))
    assert world.done_of(effects.WatchNodes)
    assert world.wakes == [runtime.agent.due]
    runtime.wake()
    assert len(world.done_of(effects.ReadStatus)) == 2


def test_whoever_is_woken_too_early_is_woken_again(world: World) -> None:
    runtime = world.runtime()
    runtime.report(GroupsReported(full=True))
    while runtime.agent.due <= world.time:
        runtime.wake()
    done = len(world.done)
    world.wakes.clear()
    runtime.wake()
    assert (len(world.done), world.wakes) == (done, [runtime.agent.due])


def test_a_port_may_answer_at_once_and_its_answer_is_handled_after_the_rest(world: World) -> None:
    answered: list[int] = []

    def read(order: effects.ReadStatus) -> None:
        answered.append(len(world.done_of(effects.WriteStatus)))
        runtime.report(ReadFailed(order.node, "EIO"))

    world.ports[effects.ReadStatus] = read
    runtime = world.runtime()
    runtime.report(GroupsReported(full=True))
    while runtime.agent.due <= world.time:
        runtime.wake()
    assert len(answered) == 2
    assert runtime.agent.node.state.view.peer(2).error == "EIO"


def test_an_error_of_a_port_is_the_callers_and_ends_nothing_else(world: World) -> None:
    def fail(order: effects.ReadStatus) -> None:
        raise OSError(order.node)

    world.ports[effects.ReadStatus] = fail
    runtime = world.runtime()
    runtime.report(GroupsReported(full=True))
    with pytest.raises(OSError, match="2"):
        runtime.wake()
    runtime.report(WriteFailed())
    runtime.report(FileChanged(9))
    assert world.done_of(effects.FeedWatchdog)


def test_an_effect_without_a_port_is_a_bug_that_shows_at_once(world: World) -> None:
    del world.ports[effects.LookAround]
    with pytest.raises(BugError, match="no port for LookAround"):
        world.runtime()
