"""The cluster of the demonstration: a group with a floating address and nginx on three nodes.

`Site` is a context; nothing of it stays behind, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Self

from tests.bench import clusters
from tests.e2e.cluster import Cluster, Node
from tests.waiting import wait_until
from tests.web.gaps import Answer, Stay
from tests.web.network import CLIENT, FLOATING, INTERFACE, LIMIT_S, Network, address_of
from tests.web.observers import MOVE_LIMIT_S, Observers

GROUP = "web"
CONF = Path(__file__).parents[2] / "conf"
INTERRUPTIONS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
START_LIMIT_S = 30.0

# On machines with a disk of their own it is plain `nginx`, and its files are where they always
# are: docs/how-to/floating-ip-nginx.md. Here three of them share the disk.
CLTAB = """\
web:web-network:test:test:arping -q -f -c 3 -w 3 -I {interface} {gateway}
web:web-config:test:test:{nginx} -t -q
web:web-watch:start:respawn:{conf}/watch-network {gateway} {interface} {clinit} web test
{address}web:web-nginx:start:respawn:exec {nginx} -g 'daemon off;'
"""

HELD = """\
web:web-address:start:address:{floating}/24 dev {interface}
"""

PLAIN = """\
web:web-address:start:wait:ip address replace {floating}/32 dev {interface}
web:web-announce:start:once:arping -q -U -c 3 -I {interface} {floating}
web:web-address-off:stop:wait:ip address delete {floating}/32 dev {interface}
"""
"""What many would write: a node that dies without its `stop` entries keeps the address."""

BAN_S = 3.0

NGINX = """\
user root;
worker_processes 1;
pid nginx.pid;
lock_file nginx.lock;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path client;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 80;
        location / {{ return 200 "{node}\\n"; }}
    }}
}}
"""


class Site:
    """Network, nodes, client and observers.

    `timeout_s` is that of the cluster; `plain` has the address added and deleted by commands,
    instead of held by an entry of mode `address`.
    """

    def __init__(self, timeout_s: float, *, plain: bool = False) -> None:
        self._made = contextlib.ExitStack()
        self.timeout_s = timeout_s
        self._plain = plain

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as made:
            self.base = Path(tempfile.mkdtemp(prefix="mw"))
            made.callback(shutil.rmtree, self.base, ignore_errors=True)
            self.network = made.enter_context(Network())
            self.observers = Observers(self.network, self.base)
            self.cluster = made.enter_context(self._cluster())
            made.callback(self._end_processes)
            self._write_files()
            self._made = made.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # Ctrl-C must not interrupt the cleaning up, which takes a second at most.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
        try:
            self._made.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    def _cluster(self) -> Cluster:
        return Cluster(self.base, timeout_s=self.timeout_s, extra=f"ban = {BAN_S}\n")

    def _write_files(self) -> None:
        for number, node in self.cluster.nodes.items():
            node.within = self.network.hosts[number].within
            directory = self.base / "nginx" / str(number)
            directory.mkdir(parents=True)
            (directory / "nginx.conf").write_text(NGINX.format(node=number))
        # In quotes, because the mark of the shell's variables is part of it.
        place = f'"{self.base}/nginx/$MOSHA_NODE"'
        clinit = f'{sys.executable} -m mosha.cli.clinit -s "{self.base}/r$MOSHA_NODE/clinit.s"'
        words = {
            "floating": FLOATING,
            "gateway": address_of(CLIENT),
            "interface": INTERFACE,
            "conf": CONF,
        }
        address = (PLAIN if self._plain else HELD).format(**words)
        nginx = f"nginx -e stderr -p {place} -c nginx.conf"
        cltab = CLTAB.format(**words, address=address, nginx=nginx, clinit=clinit)
        self.cluster.write_tables([GROUP], cltab=cltab)

    def _end_processes(self) -> None:
        """End all that run in the namespaces: those of nginx lose the mark of their node."""
        for host in self.network.hosts.values():
            host.kill(spared=set())
        self.observers.end()

    # --- start, and what a machine can suffer ----------------------------------------------

    def start(self) -> None:
        """Start nodes, observers and client; return when the page is there."""
        self.observers.watch_address()
        self.cluster.start()
        self.cluster.wait_running([GROUP], limit_s=START_LIMIT_S)
        self.observers.ask_for_page()
        self.settle()

    def power_off(self, number: int) -> None:
        """End a node as a loss of power does: the network first, then all its processes."""
        host, node = self.network.hosts[number], self.cluster.nodes[number]
        self.network.plug(number, into=False)
        host.kill(spared={self.observers.pid(number)})
        host.do("ip", "address", "flush", "dev", INTERFACE)
        assert node.monitor is not None
        node.monitor.wait(LIMIT_S)

    def power_on(self, number: int) -> None:
        """Boot a node: its own address is there, no other."""
        host = self.network.hosts[number]
        host.do("ip", "address", "add", f"{address_of(number)}/24", "dev", INTERFACE)
        self.network.plug(number, into=True)
        self.cluster.nodes[number].start()

    def crash(self, number: int) -> None:
        """Kill both daemons of a node and leave its machine as it is."""
        node = self.cluster.nodes[number]
        clinit = node.clinit_pid()
        node.kill_monitor()
        os.kill(clinit, signal.SIGKILL)

    def mosha(self, node: Node, *words: str) -> None:
        """Run a command of mosha on a node."""
        command = [sys.executable, "-m", "mosha.cli.main", *words, "--config", str(node.config)]
        subprocess.run(
            [*node.within, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
        )

    # --- conditions ------------------------------------------------------------------------

    def serving(self) -> int:
        """Return the node that runs the group, as it says itself."""
        (number,) = self.cluster.places()[GROUP]
        return number

    def nginx(self, number: int) -> int:
        """Return the pid of a node's nginx, 0 if there is none."""
        groups = self.cluster.nodes[number].ask_clinit().groups
        entries = [entry for group in groups for entry in group.entries]
        return next((entry.pid for entry in entries if entry.tag == "web-nginx"), 0) or 0

    def wait_served_by_another(self, number: int) -> None:
        """Wait until a node other than this one answers."""
        self.observers.wait_served_by_another(number)

    def settle(self) -> float:
        """Wait until all is well and requests are answered again; return when that was seen.

        All is well when all nodes agree that it is, and none is banned any more.
        """
        clusters.wait_agreed(self.cluster)
        nodes = self.cluster.nodes.values()
        wait_until(lambda: not any(g.bans for n in nodes for g in n.report().groups), MOVE_LIMIT_S)
        return self.observers.wait_calm()

    # --- what was seen ---------------------------------------------------------------------

    def answers(self) -> list[Answer]:
        """Return all requests so far."""
        return self.observers.answers()

    def stays(self) -> list[Stay]:
        """Return where the address was so far."""
        return self.observers.stays()

    def together(self) -> list[str]:
        """Return whatever two nodes did at once: they ran the group, or had the address."""
        return [*self.cluster.overlaps(), *self.observers.together()]

    def hang(self, number: int) -> contextlib.AbstractContextManager[None]:
        """Stop the monitor of a node for as long as the context lasts."""
        return _stopped(self.cluster.nodes[number])


@contextlib.contextmanager
def _stopped(node: Node) -> Generator[None]:
    assert node.monitor is not None
    os.kill(node.monitor.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(node.monitor.pid, signal.SIGCONT)
