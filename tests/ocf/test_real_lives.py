"""Real agents below a real clinit: started, killed underneath, hung, stopped, and not stopped.

Each is the only entry of a group, in name spaces of its own. `mosha ocf test` with the same agents
is in test_real_agents.py. All but a few are only run by `make agents`.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from mosha.control.calls import call
from mosha.control.protocol import Ask, Hello
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.errors import HostError
from mosha.host.programs import command_of
from tests.ocf.real_agents import LIVELY, Real, chosen
from tests.ocf.rooms import Room
from tests.ocf.test_real_agents import parameters, room, skip_without
from tests.waiting import LIMIT_S, wait_until

CALL_LIMIT_S = 10.0
MONITOR_LIMIT_S = 2
MORTAL = [real for real in chosen(LIVELY) if real.kill]

pytestmark = pytest.mark.root("the agents mount file systems and add addresses")
__all__ = ["room"]


class Supervised:
    """A group `g` with the agent as its only entry `it`, and the clinit that runs it."""

    def __init__(self, room: Room, agent: str, words: str) -> None:
        self._directory = room.directory
        options = f"interval=1s,timeout={MONITOR_LIMIT_S}s,stop=TERM/4s"
        (self._directory / "cltab").write_text(f"g:it:start:ocf({options}):{agent} {words}\n")
        with (self._directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(*room.host.within, *command_of("mosha.cli.clinit"), "-d"),
                    *("-c", str(self._directory / "cltab"), "-s", str(self._directory / "s")),
                ],
                env=room.environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers)

    def end(self) -> None:
        """Kill it; what is left of the services goes with the room."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return call(self._directory / "s", Hello(), CALL_LIMIT_S).ok
        except HostError:
            return False

    def tell(self, level: str, state: str) -> None:
        """Tell the group a level, and wait for its state there."""
        call(self._directory / "s", Tell("g", level), CALL_LIMIT_S)
        wait_until(lambda: (self.group().level, self.group().state) == (level, state), 2 * LIMIT_S)

    def group(self) -> GroupReport:
        update = call(self._directory / "s", Ask(), CALL_LIMIT_S).update
        assert update is not None
        return next(group for group in update.groups if group.group == "g")

    def runs(self) -> int:
        """Return the number of the run of the entry that is ready now, 0 if none is."""
        (it,) = (entry for entry in self.group().entries if entry.tag == "it")
        return it.starts if it.ready else 0

    def said(self, text: str) -> list[str]:
        """Return the lines of the entry that begin so."""
        lines = (line.get("text", "") for line in self.log())
        return [line for line in lines if line.startswith(text)]

    def log(self) -> list[dict[str, Any]]:
        lines = (self._directory / "log").read_bytes().rpartition(b"\n")[0].splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]


@pytest.fixture
def supervised(room: Room, request: pytest.FixtureRequest) -> Iterator[Supervised]:
    real: Real = request.getfixturevalue("real")
    skip_without(real)
    room.shell(real.prepare)
    made = Supervised(room, real.agent, parameters(real, room))
    yield made
    made.end()


@pytest.mark.parametrize("real", MORTAL, ids=lambda real: real.agent)
def test_a_real_agent_lives(real: Real, room: Room, supervised: Supervised) -> None:
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
