"""Fixtures of the tests with real nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

LOG_TAIL_CHARS = 20_000
PATIENT_S = 30.0


@pytest.fixture
def cluster(short_dir: Path) -> Iterator[Cluster]:
    """Three nodes that are not started yet; everything of them ends with the test."""
    yield from _cluster(Cluster(short_dir))


@pytest.fixture
def patient(short_dir: Path) -> Iterator[Cluster]:
    """A `cluster` that loses nothing because the machine is busy, for where nobody dies.

    With `timeout = 2` a monitor that gets no CPU for a second has lost its leases, rightly.
    """
    yield from _cluster(Cluster(short_dir, timeout_s=PATIENT_S, extra="heartbeat = 0.2\n"))


def _cluster(cluster: Cluster) -> Iterator[Cluster]:
    with cluster as made:
        yield made
        if made.witness.exists():
            assert made.overlaps() == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the nodes' logs to the report of a test that failed: their directory goes away."""
    report = yield
    if report.when == "call" and report.failed:
        arguments = getattr(item, "funcargs", {}).values()
        clusters = [argument for argument in arguments if isinstance(argument, Cluster)]
        for node in (node for made in clusters for node in made.nodes.values()):
            if node.log.exists():
                text = node.log.read_text(encoding="utf-8", errors="replace")
                report.sections.append((f"log of node {node.number}", text[-LOG_TAIL_CHARS:]))
    return report
