"""PostgreSQL on a volume of three nodes: one fault of `make postgresql`, and its witnesses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs_pages import DOCS
from tests.postgresql.__main__ import TIMEOUT_S
from tests.postgresql.faults import suffer
from tests.postgresql.mounts import MountWitness
from tests.postgresql.site import Site, look_for_what_is_needed, run
from tests.waiting import wait_until
from tests.web.network import CannotRunError, Host

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE_BYTES = 4 << 20


@pytest.fixture
def possible() -> None:
    """Skip, and say why, where there are no name spaces or no PostgreSQL."""
    try:
        look_for_what_is_needed()
    except CannotRunError as lack:
        pytest.skip(str(lack))


def test_a_node_that_loses_power_loses_no_commit(possible: None) -> None:
    del possible
    with Site(TIMEOUT_S) as site:
        site.start()
        result = suffer(site, "power")
        assert result.before != result.after
        with (site.base / "rows").open("a") as file:
            file.write("1.0 77 1\n")  # a row that no client has inserted
        assert site.lost() == ["row 1 of client 77 was acknowledged and is not there"]
        assert site.damaged() == []
        assert site.mounts.together == []


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    run("mkfs.ext4", "-q", str(image))
    made = run("losetup", "--find", "--show", str(image))
    yield made
    run("losetup", "--detach", made)


def test_a_volume_that_two_nodes_have_mounted_at_once_is_seen(
    possible: None, device: str, tmp_path: Path
) -> None:
    del possible
    hosts = {number: Host.make(own_mounts=True) for number in (1, 2)}
    try:
        pids = {number: host.holder.pid for number, host in hosts.items()}
        with MountWitness(device, pids) as witness:
            for host in hosts.values():
                host.do("mount", device, str(tmp_path))
                wait_until(lambda: witness.changes)
            wait_until(lambda: witness.together)
            hosts[1].do("umount", device)
            assert witness.where() == [2]
    finally:
        for host in hosts.values():
            host.end()
    assert set(witness.together) == {"nodes 1 and 2 had it mounted at once"}


@pytest.mark.root("else it says that it needs root")
def test_without_its_programs_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.postgresql"],
        env={"PATH": str(tmp_path)},
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "missing; on Debian: apt install iproute2" in done.stdout
