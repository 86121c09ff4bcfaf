"""`mosha ocf test` with real agents of Debian's resource-agents: in name spaces of their own.

`failed` are the steps that an agent of 4.12 does not pass, so that a new one is noticed. What could
not be run, and why, is in docs/how-to/resource-agents.md.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mosha.host.programs import command_of
from mosha.ocf.agents import OCF_ROOT, agent_named, why_no_agent
from tests.waiting import LIMIT_S

IMAGE_BYTES = 16 << 20

NAMESPACES = """
set -e
mount --make-rprivate /
mount -t sysfs sysfs /sys
ip link set lo up
ip link add v0 type veth peer name v1
ip address add 192.0.2.1/24 dev v0
ip link set v0 up
ip link set v1 up
exec "$@"
"""

NGINX = """\
daemon on;
pid {}/nginx.pid;
error_log {}/nginx.log;
events {{ }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:8080;
        location / {{ return 200 "Reading: 1 Writing: 1 Waiting: 1"; }}
    }}
}}
"""

pytestmark = pytest.mark.root("the agents mount file systems and add addresses")


class Real(NamedTuple):
    """An agent, its parameters ({} is a directory, {loop} a device), and what fails."""

    agent: str
    parameters: str = ""
    failed: frozenset[str] = frozenset()


AGENTS = [
    Real("Dummy"),
    Real("Stateful"),
    Real("SysInfo"),
    Real("Delay", "startdelay=0 stopdelay=0 mondelay=0", frozenset({"unknown action"})),
    Real("symlink", "link={}/link target={}/target"),
    Real("Filesystem", "device={loop} directory={}/mount fstype=ext4"),
    Real("IPaddr2", "ip=192.0.2.80 cidr_netmask=24 nic=v0"),
    Real("Route", "destination=198.51.100.0/24 device=v0"),
    Real(
        "nginx",
        "configfile={}/nginx.conf httpd=/usr/sbin/nginx",
        frozenset({"validate-all"}),  # it refuses the URL that it has made itself
    ),
    # The agent takes ripd for its service, which is not there.
    Real(
        "VIPArip",
        "ip=192.0.2.90 nic=v0",
        frozenset({"monitor", "probe while it runs", "two of monitor at once"}),
    ),
]


@pytest.fixture
def loop(short_dir: Path) -> Iterator[str]:
    """A loop device with an empty file system."""
    image = short_dir / "image"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    printed("mkfs.ext4", "-q", str(image))
    device = printed("losetup", "--find", "--show", str(image))
    yield device
    printed("losetup", "--detach", device)


def printed(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("real", AGENTS, ids=[real.agent for real in AGENTS])
def test_a_real_agent_is_tried(real: Real, short_dir: Path, request: pytest.FixtureRequest) -> None:
    problem = why_no_agent(agent_named(real.agent), OCF_ROOT)
    if problem:
        pytest.skip(problem)
    (short_dir / "mount").mkdir()
    (short_dir / "target").touch()
    (short_dir / "nginx.conf").write_text(NGINX.format(short_dir, short_dir))
    text = real.parameters.replace("{}", str(short_dir))
    if "{loop}" in text:
        text = text.replace("{loop}", request.getfixturevalue("loop"))
    found = tried(real.agent, text.split(), short_dir)
    failed = {it["step"]: it["text"] for it in found["steps"] if it["outcome"] == "failed"}
    assert failed.keys() == real.failed, failed
    assert len(found["steps"]) > 25


def tried(agent: str, parameters: list[str], directory: Path) -> dict[str, Any]:
    words = ["unshare", "--net", "--mount", "/bin/sh", "-c", NAMESPACES, "sh"]
    done = subprocess.run(
        [*words, *command_of("mosha.cli.main"), "ocf", "test", "--json", agent, *parameters],
        env={**os.environ, "HA_RSCTMP": str(directory / "rsctmp"), "HA_VARRUN": str(directory)},
        capture_output=True,
        text=True,
        timeout=3 * LIMIT_S,
        check=False,
    )
    if not done.stdout and "unshare" in done.stderr:
        pytest.skip(done.stderr.strip())
    found: dict[str, Any] = json.loads(done.stdout)
    return found
