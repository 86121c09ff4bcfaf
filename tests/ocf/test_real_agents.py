"""`mosha ocf test` with real agents of Debian's resource-agents: in name spaces of their own.

Some are only tried by `make agents`. What could not be run, and why, is in
docs/how-to/resource-agents.md.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mosha.host.programs import command_of
from mosha.ocf.agents import OCF_ROOT, agent_named, why_no_agent
from tests.ocf.real_agents import QUICK, Real, chosen
from tests.ocf.rooms import Room, missing_packages
from tests.waiting import LIMIT_S
from tests.web.network import CannotRunError

MANY = 15

pytestmark = pytest.mark.root("the agents mount file systems and add addresses")


@pytest.fixture
def room(short_dir: Path) -> Iterator[Room]:
    try:
        with Room(short_dir) as made:
            yield made
    except CannotRunError as lack:
        pytest.skip(str(lack))


def skip_without(real: Real) -> None:
    if problem := why_no_agent(agent_named(real.agent), OCF_ROOT):
        pytest.skip(problem)
    if problem := missing_packages(real.programs):
        pytest.skip(problem)


def parameters(real: Real, room: Room) -> str:
    return (
        real.parameters.format(loop=room.loop()) if "{loop}" in real.parameters else real.parameters
    )


@pytest.mark.parametrize("real", chosen(QUICK), ids=lambda real: real.agent)
def test_a_real_agent_is_tried(real: Real, room: Room) -> None:
    skip_without(real)
    room.shell(real.prepare)
    found = tried(room, real.agent, shlex.split(parameters(real, room)))
    steps = [it["step"] for it in found["steps"]]
    judged = found["steps"][: steps.index(real.frail) if real.frail else None]
    failed = {it["step"]: it["text"] for it in judged if it["outcome"] == "failed"}
    assert failed.keys() == real.failed, failed
    assert len(judged) > MANY


def tried(room: Room, agent: str, words: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [*room.host.within, *command_of("mosha.cli.main"), "ocf", "test", "--json", agent, *words],
        env=room.environment,
        capture_output=True,
        text=True,
        timeout=3 * LIMIT_S,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
