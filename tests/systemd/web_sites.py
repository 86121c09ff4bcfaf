"""nginx as a unit of systemd behind an address, on booted machines: of mosha, and of keepalived.

mosha has one machine, since it mends all of these faults in place. keepalived has two, since what
it does about a fault is to move the address; nginx runs on both, by systemd with
Restart=on-failure.
Both ask nginx the same question, once a second. A client beside the machines asks for the page.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

from mosha.cli.demo import processes
from mosha.host.clock import boottime
from tests.systemd import programs
from tests.systemd.machine import Machine, base_tree
from tests.systemd.node import DIRECTORY, LIMIT_S, MONITOR, Node
from tests.waiting import wait_until
from tests.web.gaps import Answer
from tests.web.keepalived import keepalived_conf
from tests.web.network import FLOATING, INTERFACE, CannotRunError, Network
from tests.web.observers import Observers

NGINX, KEEPALIVED = "nginx.service", "keepalived.service"
GROUP = "web"
TIMEOUT_S = 10.0
ASK = "curl -fsS http://127.0.0.1/"

CLTAB = f"""\
web:ip:start:address:{FLOATING}/24 dev {INTERFACE}
web:http:start:systemd(stop=TERM/2s):{NGINX}
web:ck:start:monitor(interval=1s,timeout=1s,failures=2):{ASK}
"""
HACTL = "web start on-failure=restart:19/5m,move\n"

NGINX_CONF = """\
user www-data;
pid /run/nginx.pid;
events {{}}
http {{ access_log off; server {{ listen 80; location / {{ return 200 "{number}\\n"; }} }} }}
"""


class WebSite:
    """Booted machines with nginx on one network, a client, and who notes where the address is."""

    def __init__(self, network: Network, machines: dict[int, Machine], base: Path) -> None:
        self.network = network
        self.machines = machines
        self.observers = Observers(network, base)

    def start(self) -> None:
        """Start what serves, observers and the client; return when the page is there."""
        self.observers.watch_address()
        wait_until(self._holders, LIMIT_S)
        self.observers.ask_for_page()
        WebSite.settle(self)

    def serving(self) -> int:
        """Return the machine that has the address."""
        (number,) = self._holders()
        return number

    def settle(self) -> float:
        """Wait until one machine has the address and the page is there again; return when."""
        wait_until(lambda: len(self._holders()) == 1, LIMIT_S)
        return self.observers.wait_calm()

    def answers(self) -> list[Answer]:
        """Return all requests so far."""
        return self.observers.answers()

    def together(self) -> list[str]:
        """Return when two machines had the address at once, in words."""
        return self.observers.together()

    def pid(self, number: int, unit: str = NGINX) -> int:
        """Return the main process of a unit, 0 if there is none."""
        return int(self.machines[number].show(unit, "MainPID"))

    def wait_new_nginx(self, number: int, old: int) -> None:
        """Wait until another nginx runs."""
        wait_until(lambda: self.pid(number) not in {0, old}, LIMIT_S)

    def delete_address(self, number: int) -> None:
        """Take the address away underneath, and wait until somebody has it again."""
        began = boottime()
        self.network.hosts[number].do("ip", "address", "delete", f"{FLOATING}/24", "dev", INTERFACE)
        wait_until(lambda: any(stay.since > began for stay in self.observers.stays()), LIMIT_S)

    def _holders(self) -> set[int]:
        return {stay.node for stay in self.observers.stays() if stay.until is None}


class MoshaSite(WebSite):
    """One machine with a node of mosha."""

    @property
    def node(self) -> Node:
        """The node."""
        return Node(self.machines[1])

    def start(self) -> None:
        """Start the node and the client; return when the page is there."""
        machine = self.machines[1]
        machine.write(f"{DIRECTORY}/cltab", CLTAB)
        machine.write(f"{DIRECTORY}/hactl", HACTL)
        self.node.configure(TIMEOUT_S)
        machine.get("mosha", "install-units")
        machine.get("systemctl", "daemon-reload")
        machine.get("systemctl", "start", MONITOR)
        super().start()

    def settle(self) -> float:
        """Wait until the node says that all is well, and the page is there; return when."""
        wait_until(lambda: self.node.running() == {GROUP} and self.pid(1), LIMIT_S)
        return WebSite.settle(self)

    def group(self) -> dict[str, object]:
        """Return what `mosha status --json` says of the group."""
        (found,) = self.node.report()["groups"]
        return dict(found)


class KeepalivedSite(WebSite):
    """Two machines with keepalived."""

    def start(self) -> None:
        """Start nginx, keepalived and the client; return when the page is there."""
        for number, machine in self.machines.items():
            programs.put(machine.root, programs.KEEPALIVED, programs.KEEPALIVED_UNIT)
            text = keepalived_conf(number, script=f"/usr/bin/{ASK}", fall=2)
            machine.write("/etc/keepalived/keepalived.conf", text)
            machine.write("/etc/default/keepalived", "DAEMON_ARGS=--vrrp\n")
            drop_in = "[Service]\nRestart=on-failure\n"
            machine.write(f"/etc/systemd/system/{NGINX}.d/restart.conf", drop_in)
            machine.get("systemctl", "daemon-reload")
            machine.get("systemctl", "start", NGINX, KEEPALIVED)
        super().start()


@contextlib.contextmanager
def web_site(kind: type[MoshaSite | KeepalivedSite]) -> Generator[WebSite]:
    """Boot the machines and give the site; nothing of it stays behind.

    Raises:
        CannotRunError, CannotBootError: this machine lacks something.
    """
    needed = {programs.NGINX_UNIT: "nginx-light", programs.CURL: "curl"}
    if kind is KeepalivedSite:
        needed[programs.KEEPALIVED_UNIT] = "keepalived"
    if missing := [package for file, package in needed.items() if not file.exists()]:
        raise CannotRunError(f"missing; on Debian: apt install {' '.join(missing)}")
    base = base_tree()
    with contextlib.ExitStack() as made:
        directory = Path(tempfile.mkdtemp(prefix="ms"))
        made.callback(shutil.rmtree, directory, ignore_errors=True)
        network = made.enter_context(Network(size=1 if kind is MoshaSite else 2))
        machines: dict[int, Machine] = {}
        for number in range(1, network.size + 1):
            box = processes.make_cgroup(f"{directory.name}-{number}")
            made.callback(processes.remove_cgroup, box)
            home = directory / str(number)
            home.mkdir()
            space = network.hosts[number].namespace
            words = (f"--network-namespace-path={space}", "--capability=CAP_NET_ADMIN")
            machine = Machine(home, base, f"web{number}", words, kind is MoshaSite, box)
            machine.start()
            made.callback(machine.end)
            programs.put(machine.root, programs.CURL)
            programs.put_nginx(machine.root)
            machine.write("/etc/nginx/nginx.conf", NGINX_CONF.format(number=number))
            machine.get("systemctl", "daemon-reload")
            machines[number] = machine
        site = kind(network, machines, directory)
        made.callback(site.observers.end)
        yield site
