"""What the tests of resource agents share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ocf.fake_agent import FakeAgent


@pytest.fixture
def agent(short_dir: Path) -> Iterator[FakeAgent]:
    with FakeAgent(short_dir) as made:
        yield made
