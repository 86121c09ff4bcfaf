"""The network of chaos: what is cut is gone without a word, and comes back."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from mosha.cli.demo import processes
from mosha.clinit import cgroups
from tests.chaos import net
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def network(short_dir: Path) -> Iterator[net.Net]:
    if why := net.missing():
        pytest.skip(why)
    box = processes.make_cgroup(short_dir.name)
    if box is None:
        pytest.skip("no cgroup v2 that can be written")
    try:
        with net.Net(short_dir, 2, box / "net") as made:
            yield made
    finally:
        cgroups.remove(box)


def reads(network: net.Net, node: int, peer: int) -> str:
    """Return what a node reads in the directory of a peer, "" if nothing within a moment."""
    path = network.base / f"v{node}/{peer}/x"
    try:
        done = subprocess.run(["/bin/cat", path], capture_output=True, check=False, timeout=8.0)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode()


@pytest.mark.timeout(120)
def test_nodes_see_each_other_but_for_what_is_cut_or_not_mounted(network: net.Net) -> None:
    (network.base / "mfs/2/x").write_text("text")
    assert (reads(network, 1, 2), reads(network, 2, 2)) == ("text", "text")
    network.cut(2)
    assert (reads(network, 1, 2), reads(network, 2, 2)) == ("", "text")
    network.heal(2)
    wait_until(lambda: reads(network, 1, 2) == "text", 60.0)
    network.kill_mount(1, 2)
    wait_until(lambda: network.mounts[1, 2].poll() is not None)
    network.remount_dead()
    assert reads(network, 1, 2) == ""
    network.release_mount(1, 2)
    network.remount_dead()
    wait_until(lambda: reads(network, 1, 2) == "text", 60.0)
