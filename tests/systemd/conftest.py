"""One booted machine for all tests with systemd, and a node of mosha on it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SESSION
from tests.systemd.machine import CannotBootError, Machine, base_tree
from tests.systemd.node import Node

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

LOG_TAIL_LINES = 150


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first of these tests the time to make the base tree, and one worker all of them.

    Any other worker would boot a machine of its own.
    """
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.root("boots systemd in a container"))
            item.add_marker(pytest.mark.timeout(900))
            item.add_marker(pytest.mark.xdist_group("systemd"))


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Iterator[Machine]:
    """A machine that is up. Skips, and says why, where none can be booted."""
    if os.geteuid() != 0:
        pytest.skip("needs root: boots systemd in a container")
    directory = Path(tempfile.mkdtemp(dir=pytestconfig.stash[SESSION].directory, prefix=""))
    try:
        try:
            made = Machine(directory, base_tree())
            made.start()
        except CannotBootError as reason:
            pytest.skip(f"no systemd can be booted here: {reason}")
        try:
            yield made
        finally:
            made.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def node(machine: Machine) -> Node:
    """A node of a cluster of one, installed as the manual says, with its groups running."""
    made = Node(machine)
    made.begin()
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of the journal to the report of a test that failed."""
    report = yield
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.failed and isinstance(machine, Machine) and machine.is_up:
        lines = machine.do(
            "journalctl", "--no-pager", "-n", str(LOG_TAIL_LINES), "-o", "short-precise"
        )
        report.sections.append(("journal", lines.stdout))
    return report
