"""Real agents below a real clinit: started, killed underneath, hung, stopped, and not stopped.

Each is the only entry of a group, in name spaces of its own. `mosha ocf test` with the same agents
is in test_real_agents.py. All but a few are only run by `make agents`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ocf.real_agents import LIVELY, Real, chosen
from tests.ocf.rooms import Room
from tests.ocf.supervised import Supervised
from tests.ocf.test_real_agents import parameters, room, skip_without
from tests.waiting import wait_until

MONITOR_LIMIT_S = 2
MORTAL = [real for real in chosen(LIVELY) if real.kill]

pytestmark = pytest.mark.root("the agents mount file systems and add addresses")
__all__ = ["room"]


class Alone(Supervised):
    """A group with an agent as its only entry `it`."""

    def __init__(self, room: Room, agent: str, words: str) -> None:
        options = f"interval=1s,timeout={MONITOR_LIMIT_S}s,stop=TERM/4s"
        super().__init__(room, f"g:it:start:ocf({options}):{agent} {words}\n")

    def runs(self) -> int:
        """Return the number of the run of the entry that is ready now, 0 if none is."""
        it = self.entry("it")
        return it.starts if it.ready else 0


@pytest.fixture
def supervised(room: Room, request: pytest.FixtureRequest) -> Iterator[Alone]:
    real: Real = request.getfixturevalue("real")
    skip_without(real)
    room.shell(real.prepare)
    made = Alone(room, real.agent, parameters(real, room))
    yield made
    made.end()


@pytest.mark.parametrize("real", MORTAL, ids=lambda real: real.agent)
def test_a_real_agent_lives(real: Real, room: Room, supervised: Alone) -> None:
    it = supervised
    it.tell("start", "DONE")
    first = it.runs()

    room.shell(real.kill)
    second = wait_until(lambda: it.runs() > first and it.runs())
    assert it.said("monitor: exit ")

    room.shell(real.hang)
    wait_until(lambda: it.said(f"monitor: not over in {MONITOR_LIMIT_S} s, killed"))
    room.mend()
    wait_until(lambda: it.runs() > second)

    room.shell(real.spoil)
    it.tell("stop", "FAILED")
    assert it.group().cause.startswith("test entry it.stop: exit 3: ")
    room.mend()
    it.tell("plan", "DONE")
    it.tell("stop", "PASSED")
