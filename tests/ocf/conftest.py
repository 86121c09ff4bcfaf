"""What the tests of resource agents share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ocf.fake_agent import FakeAgent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give what tries agents, and what makes devices, to one worker: a trial sees them as left."""
    for item in items:
        tries = item.path.name in ("test_real_agents.py", "test_trial.py")
        makes_devices = (
            "lives[Filesystem" in item.name
            or item.path.name == "test_real_mount.py"
            or item.path.parent.name == "postgresql"
        )
        if tries or makes_devices or "resource-agents.md" in item.name:
            item.add_marker(pytest.mark.xdist_group("devices"))


@pytest.fixture
def agent(short_dir: Path) -> Iterator[FakeAgent]:
    with FakeAgent(short_dir) as made:
        yield made
