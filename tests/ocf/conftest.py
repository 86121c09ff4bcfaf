"""What the tests of resource agents share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ocf.fake_agent import FakeAgent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests that try agents to one worker: devices that others make are seen as left."""
    for item in items:
        if (
            item.path.name in ("test_real_agents.py", "test_trial.py")
            or "resource-agents.md" in item.name
        ):
            item.add_marker(pytest.mark.xdist_group("devices"))


@pytest.fixture
def agent(short_dir: Path) -> Iterator[FakeAgent]:
    with FakeAgent(short_dir) as made:
        yield made
