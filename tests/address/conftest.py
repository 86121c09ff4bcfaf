"""What the tests of addresses share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.address.lan import Holding
from tests.web.network import Host, Network


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(size=2) as made:
        yield made


@pytest.fixture
def host(network: Network) -> Host:
    return network.hosts[1]


@pytest.fixture
def other(network: Network) -> Host:
    return network.hosts[2]


@pytest.fixture
def holding(host: Host, short_dir: Path) -> Iterator[Holding]:
    with Holding(host, short_dir) as made:
        yield made
