"""A clean machine for a newcomer."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mosha.cli.demo import processes
from tests.conftest import SESSION
from tests.systemd.machine import NEWCOMER, CannotBootError, Machine, base_tree
from tests.tutorial import newcomer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first of these tests the time to make the base tree, and one worker all of them."""
    for item in items:
        if "machines_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.root("boots systemd in a container"))
            item.add_marker(pytest.mark.timeout(900))
            item.add_marker(pytest.mark.xdist_group("tutorial"))


@pytest.fixture
def machines_dir(pytestconfig: pytest.Config) -> Iterator[Path]:
    """A directory for machines, in memory: ten thousand files are installed and thrown away.

    Skips where no machine can be booted for want of rights.
    """
    if os.geteuid() != 0:
        pytest.skip("needs root: boots systemd in a container")
    directory = Path(tempfile.mkdtemp(dir=pytestconfig.stash[SESSION].directory, prefix=""))
    subprocess.run(["/bin/mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    yield directory
    subprocess.run(["/bin/umount", directory], check=True)
    directory.rmdir()


@pytest.fixture
def newcomers_machine(machines_dir: Path) -> Iterator[Machine]:
    """A clean machine that is up. Skips, and says why, where none can be booted."""
    words = newcomer.network_words()
    box = newcomer.box_of("laptop")
    try:
        base = base_tree(NEWCOMER)
        machine = Machine(machines_dir, base, "laptop", words, with_mosha=False, box=box)
        machine.start()
    except CannotBootError as reason:
        processes.remove_cgroup(box)
        pytest.skip(f"no machine can be booted here: {reason}")
    try:
        newcomer.settle(machine)
        yield machine
    finally:
        # What a failed test left running would hold up the end.
        machine.do("pkill", "-KILL", "-u", newcomer.USER)
        machine.end()
        processes.remove_cgroup(box)
