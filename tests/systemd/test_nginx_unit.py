"""nginx by the unit of its Debian package, run by mosha, and what can go wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mosha.core.status import GroupState
from tests.systemd.node import CLINIT, LIMIT_S, MONITOR, Node
from tests.systemd.programs import NGINX, NGINX_UNIT, put_nginx
from tests.systemd.unit_node import Units
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.systemd.machine import Machine

UNIT = "nginx.service"
CONFIGURATION = "/etc/nginx/nginx.conf"
GOOD = """\
user www-data;
pid /run/nginx.pid;
events {}
http { server { listen 127.0.0.1:80; location / { return 200 "well"; } } }
"""
ASK = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1/').read().decode())"


@pytest.fixture
def nginx(machine: Machine) -> Iterator[Units]:
    """A node with the package, as its unit comes: enabled."""
    if not (NGINX.exists() and NGINX_UNIT.exists()):
        pytest.skip("needs nginx with its unit: apt install nginx-light")
    made = Units(Node(machine), UNIT)
    made.clear()
    put_nginx(machine.root)
    machine.write(CONFIGURATION, GOOD)
    machine.get("systemctl", "daemon-reload")
    yield made
    machine.do("systemctl", "kill", "-s", "CONT", MONITOR)
    made.clear()
    (machine.root / str(NGINX)[1:]).unlink()
    (machine.root / str(NGINX_UNIT)[1:]).unlink()
    machine.do("systemctl", "daemon-reload")


def answer(nginx: Units) -> str:
    return nginx.machine.do("python3", "-c", ASK).stdout.strip()


def test_the_package_s_unit_is_refused_until_it_is_disabled_and_then_serves(nginx: Units) -> None:
    nginx.machine.get("systemctl", "enable", UNIT)
    nginx.start(done=False)
    wait_until(lambda: f"systemctl disable {UNIT}" in nginx.said(), LIMIT_S)
    assert answer(nginx) == ""
    nginx.machine.get("systemctl", "disable", UNIT)
    nginx.machine.get("mosha", "cleanup", "web")
    nginx.wait_done()
    assert answer(nginx) == "well"
    nginx.machine.get("systemctl", "reload", UNIT)
    assert nginx.line() is not None
    nginx.machine.get("mosha", "set", "web", "stop")
    nginx.wait_line("stop", GroupState.DONE, GroupState.PASSED)
    assert answer(nginx) == ""


def test_nginx_whose_master_is_killed_is_started_again_without_its_old_workers(
    nginx: Units,
) -> None:
    nginx.start()
    before = set(nginx.processes())
    nginx.machine.get("kill", "-9", str(nginx.pid()))
    wait_until(lambda: nginx.pid() and str(nginx.pid()) not in before, LIMIT_S)
    nginx.wait_done()
    assert answer(nginx) == "well"
    assert before.isdisjoint(nginx.processes())


def test_nginx_with_a_mistake_in_its_configuration_fails_and_says_so(nginx: Units) -> None:
    nginx.machine.write(CONFIGURATION, "no such directive;\n")
    nginx.start(done=False)
    wait_until(lambda: f"{UNIT} was not started: Result=exit-code" in nginx.said(), LIMIT_S)
    nginx.machine.write(CONFIGURATION, GOOD)
    nginx.machine.do("mosha", "start", "web", "u")
    nginx.wait_done()
    assert answer(nginx) == "well"


def test_nginx_is_dead_when_its_monitor_and_its_clinit_are(nginx: Units) -> None:
    nginx.start()
    old = nginx.processes()
    monitor = nginx.node.pid(MONITOR)
    nginx.machine.get("kill", "-STOP", str(monitor))
    nginx.node.signal(CLINIT, "KILL")
    wait_until(lambda: set(old).isdisjoint(nginx.processes()), LIMIT_S)
    assert answer(nginx) == ""
    nginx.machine.get("kill", "-CONT", str(monitor))
    nginx.wait_done()
    assert answer(nginx) == "well"
