"""The real resource agents: Debian's package resource-agents, where it is installed."""

from __future__ import annotations

import pytest

from mosha.ocf.agents import OCF_ROOT, agent_named, installed_agents
from mosha.ocf.describe import describe

AGENTS = [str(name) for name in installed_agents(OCF_ROOT) if name.provider == "heartbeat"]

pytestmark = pytest.mark.skipif(not AGENTS, reason="the package resource-agents is not installed")


@pytest.mark.parametrize("name", AGENTS)
async def test_what_each_agent_says_of_itself_is_read(name: str) -> None:
    metadata = await describe(agent_named(name), OCF_ROOT)
    assert metadata.about
    assert {"start", "stop", "monitor"} <= {each.name for each in metadata.actions}
    assert 0.0 < metadata.limit_s("stop") <= 3600.0
