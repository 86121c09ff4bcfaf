"""The same page behind keepalived: three nodes, VRRP between them, nginx on each.

keepalived moves the address alone, so nginx runs everywhere, and a script says whether it does. The
first node with the address keeps it (`nopreempt`). Three adverts of half a second are missed before
another node takes over, which is about the `timeout` of two seconds of the demonstration.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

from mosha.host import proc
from tests.waiting import wait_until
from tests.web.gaps import Answer
from tests.web.network import (
    FLOATING,
    INTERFACE,
    LIMIT_S,
    CannotRunError,
    Network,
    address_of,
)
from tests.web.observers import Observers
from tests.web.site import NGINX

ADVERT_S = 0.5
PROGRAM = "keepalived"

CONFIG = """\
global_defs {{
    router_id node{number}
    vrrp_version 3
    script_user root
    enable_script_security
}}
vrrp_script nginx {{
    script "{script}"
    interval 1
    timeout 1
    fall {fall}
    rise 1
}}
vrrp_instance web {{
    state BACKUP
    nopreempt
    interface {interface}
    virtual_router_id 51
    priority {priority}
    advert_int {advert_s}
    virtual_ipaddress {{
        {floating}/24 dev {interface}
    }}
    track_script {{
        nginx
    }}
}}
"""


def keepalived_conf(number: int, *, script: str, fall: int) -> str:
    """Return the configuration of a node whose script says whether nginx works there.

    `fall`: it has to say no so often, once a second.
    """
    return CONFIG.format(
        number=number,
        priority=100 + number,
        script=script,
        fall=fall,
        advert_s=ADVERT_S,
        floating=FLOATING,
        interface=INTERFACE,
    )


class KeepalivedSite:
    """Network, nodes, client and observers, as `tests.web.site.Site` has them. A context."""

    timeout_s = 3 * ADVERT_S

    def __init__(self) -> None:
        self._made = contextlib.ExitStack()
        self._daemons: dict[int, subprocess.Popen[bytes]] = {}
        self._servers: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        if shutil.which(PROGRAM) is None:
            raise CannotRunError(f"missing; on Debian: apt install {PROGRAM}")
        with contextlib.ExitStack() as made:
            self.base = Path(tempfile.mkdtemp(prefix="mk"))
            made.callback(shutil.rmtree, self.base, ignore_errors=True)
            self.network = made.enter_context(Network())
            self.observers = Observers(self.network, self.base)
            made.callback(self._end_processes)
            for number in self.numbers:
                self._write_files(number)
            self._made = made.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    @property
    def numbers(self) -> range:
        """The nodes."""
        return range(1, self.network.size + 1)

    def _directory(self, number: int) -> Path:
        return self.base / str(number)

    def _write_files(self, number: int) -> None:
        directory = self._directory(number)
        directory.mkdir(mode=0o755)
        (directory / "nginx.conf").write_text(NGINX.format(node=number))
        check = directory / "check"
        check.write_text(f'#!/bin/sh\nread pid < {directory}/nginx.pid && kill -0 "$pid"\n')
        check.chmod(0o755)
        (directory / "conf").write_text(keepalived_conf(number, script=str(check), fall=1))

    def _end_processes(self) -> None:
        for host in self.network.hosts.values():
            host.kill(spared=set())
        for process in (*self._daemons.values(), *self._servers.values()):
            process.wait(LIMIT_S)
        self.observers.end()

    def start(self) -> None:
        """Start nodes, observers and client; return when the page is there."""
        self.base.chmod(0o755)  # keepalived runs no script below a directory that it cannot check
        self.observers.watch_address()
        for number in self.numbers:
            self.start_node(number)
        wait_until(self.observers.stays, LIMIT_S)
        self.observers.ask_for_page()
        self.settle()

    def start_node(self, number: int) -> None:
        """Start what of a node does not run."""
        self.start_nginx(number)
        self.start_daemon(number)

    def start_nginx(self, number: int) -> None:
        """Start nginx, as a service manager would."""
        directory = self._directory(number)
        words = ["-e", "stderr", "-p", str(directory), "-c", "nginx.conf", "-g", "daemon off;"]
        self._servers[number] = self._run(number, "nginx", *words)
        wait_until((directory / "nginx.pid").exists, LIMIT_S)

    def start_daemon(self, number: int) -> None:
        """Start keepalived."""
        directory = self._directory(number)
        pids = ["-p", f"{directory}/pid", "-r", f"{directory}/vrrp.pid"]
        words = ["--dont-fork", "--log-console", "--vrrp", "-f", f"{directory}/conf", *pids]
        self._daemons[number] = self._run(number, PROGRAM, *words)

    def _run(self, number: int, *words: str) -> subprocess.Popen[bytes]:
        with (self._directory(number) / "log").open("ab") as log:
            return subprocess.Popen(
                [*self.network.hosts[number].within, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def daemon(self, number: int) -> list[int]:
        """Return the processes of keepalived on a node, the parent first."""
        parent = self._daemons[number].pid
        return [parent, *(proc.children_of(parent) or ())]

    def signal_daemon(self, number: int, what: signal.Signals) -> None:
        """Signal all of keepalived on a node."""
        for pid in self.daemon(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def ended_daemon(self, number: int) -> None:
        """Wait until keepalived has ended."""
        self._daemons[number].wait(LIMIT_S)

    def kill_nginx(self, number: int) -> None:
        """Kill all of nginx on a node, and bury it."""
        server = self._servers[number]
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(LIMIT_S)
        (self._directory(number) / "nginx.pid").unlink()

    def power_off(self, number: int) -> None:
        """End a node as a loss of power does: the network first, then all its processes."""
        host = self.network.hosts[number]
        self.network.plug(number, into=False)
        host.kill(spared={self.observers.pid(number)})
        host.do("ip", "address", "flush", "dev", INTERFACE)
        for process in (self._daemons[number], self._servers[number]):
            process.wait(LIMIT_S)
        (self._directory(number) / "nginx.pid").unlink(missing_ok=True)

    def power_on(self, number: int) -> None:
        """Boot a node: its own address is there, no other."""
        host = self.network.hosts[number]
        host.do("ip", "address", "add", f"{address_of(number)}/24", "dev", INTERFACE)
        self.network.plug(number, into=True)
        self.start_node(number)

    # --- what `measure` asks of a site -----------------------------------------------------

    def settle(self) -> float:
        """Wait until one node has the address and requests are answered; return when."""
        wait_until(lambda: len(self._holders()) == 1, LIMIT_S * 3)
        return self.observers.wait_calm()

    def serving(self) -> int:
        """Return the node that has the address."""
        (number,) = self._holders()
        return number

    def answers(self) -> list[Answer]:
        """Return all requests so far."""
        return self.observers.answers()

    def together(self) -> list[str]:
        """Return when two nodes had the address at once."""
        return self.observers.together()

    def _holders(self) -> set[int]:
        return {stay.node for stay in self.observers.stays() if stay.until is None}


def _kill_nginx(site: KeepalivedSite, number: int) -> None:
    site.kill_nginx(number)
    site.observers.wait_served_by_another(number)
    site.start_nginx(number)


def _leave(site: KeepalivedSite, number: int) -> None:
    site.signal_daemon(number, signal.SIGTERM)
    site.observers.wait_served_by_another(number)
    site.ended_daemon(number)
    site.start_daemon(number)


def _hang(site: KeepalivedSite, number: int) -> None:
    site.signal_daemon(number, signal.SIGSTOP)
    try:
        site.observers.wait_served_by_another(number)
    finally:
        site.signal_daemon(number, signal.SIGCONT)


def _crash(site: KeepalivedSite, number: int) -> None:
    site.signal_daemon(number, signal.SIGKILL)
    site.ended_daemon(number)
    site.observers.wait_served_by_another(number)
    site.start_daemon(number)


def _power(site: KeepalivedSite, number: int) -> None:
    site.power_off(number)
    site.observers.wait_served_by_another(number)
    site.power_on(number)


def _unplug(site: KeepalivedSite, number: int) -> None:
    site.network.plug(number, into=False)
    site.observers.wait_served_by_another(number)
    site.network.plug(number, into=True)


ACTS: dict[str, Callable[[KeepalivedSite, int], None]] = {
    "nginx": _kill_nginx,
    "leave": _leave,
    "hang": _hang,
    "crash": _crash,
    "power": _power,
    "unplug": _unplug,
}
"""Name of an event -> what happens, always to the node that has the address."""
