"""The lines of mosha in docs/explanation/comparison.md, run as they are by three nodes.

Only what no machine has is replaced: the programs of `/usr/local/bin`, and where nginx has its
files, since three of them share a disk here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mosha.cli.demo.overlaps import read_witness
from tests.e2e.test_verbs import home, say
from tests.five_tasks import tasks
from tests.waiting import wait_until
from tests.web.network import CLIENT, FLOATING, CannotRunError, Network, look_for_what_is_needed
from tests.web.site import NGINX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster

TASKS = {task.name: task for task in tasks()}
MOVE_LIMIT_S = 60.0
RESTARTS = 3

# Answers at 127.0.0.1:8080, with an error while the file exists.
API_SERVER = """\
import http.server, os, sys
class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if os.path.exists(sys.argv[1]) else 200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8080), Api).serve_forever()
"""


@pytest.fixture
def networked(patient: Cluster) -> Iterator[tuple[Cluster, Network]]:
    """Three nodes in network namespaces of their own, on one switch."""
    try:
        look_for_what_is_needed()
    except CannotRunError as lack:
        pytest.skip(str(lack))
    with Network() as network:
        for number, node in patient.nodes.items():
            node.within = network.hosts[number].within
        yield patient, network


def write(cluster: Cluster, name: str, **programs: str) -> None:
    """Give the cluster the tables of a task, with other programs for those of the page."""
    task = TASKS[name]
    cltab = task.of_mosha("cltab")
    for program, other in programs.items():
        path = f"/usr/{'sbin' if program == 'nginx' else 'local/bin'}/{program.replace('_', '-')}"
        assert path in cltab
        cltab = cltab.replace(path, other)
    cluster.write_tables((), cltab=cltab, hactl=task.of_mosha("hactl"))


def test_an_address_with_nginx(networked: tuple[Cluster, Network]) -> None:
    cluster, network = networked
    for number in cluster.nodes:
        directory = cluster.base / "nginx" / str(number)
        directory.mkdir(parents=True)
        (directory / "nginx.conf").write_text(NGINX.format(node=number))
    place = f'"{cluster.base}/nginx/$MOSHA_NODE"'
    write(cluster, "An address with nginx", nginx=f"nginx -e stderr -p {place} -c nginx.conf")
    cluster.start()
    cluster.wait_running(["web"])

    def page() -> str:
        asked = network.hosts[CLIENT].tried("curl", "-fsS", "-m", "2", f"http://{FLOATING}/")
        return asked.stdout.decode().strip()

    first = home(cluster, "web")
    wait_until(lambda: page() == str(first))
    other = 1 + first % 3
    status, said = say(cluster, other, "move", "web", str(other))
    assert status == 0, said
    wait_until(lambda: page() == str(other))


def _pids(cluster: Cluster) -> dict[int, set[int]]:
    """Return the processes of all groups on each node."""
    return {n: set().union(*node.pids().values()) for n, node in cluster.nodes.items()}


def test_an_ordered_pair(patient: Cluster) -> None:
    write(patient, "An ordered pair", db_server=patient.service(), app_server=patient.service())
    patient.start()
    patient.wait_running(["db", "app"])

    def lives() -> dict[str, tuple[float, float]]:
        ran = read_witness(patient.witness.read_text()) if patient.witness.exists() else []
        return {it.group: (it.since, it.until) for it in ran}

    wait_until(lambda: lives().keys() == {"db", "app"})
    status, said = say(patient, 1, "set", "db", "stop")
    assert status == 0, said
    # A level is left before its processes are gone: the witness is whole when none is left.
    wait_until(lambda: patient.places() == {} and not any(_pids(patient).values()))
    lived = lives()
    assert lived["db"][0] < lived["app"][0]
    assert lived["app"][1] < lived["db"][1]


def test_a_health_check_three_restarts_then_a_move(networked: tuple[Cluster, Network]) -> None:
    cluster, _ = networked
    server = cluster.base / "api-server"
    server.write_text(API_SERVER)
    ill = f'"{cluster.base}/ill-$MOSHA_NODE"'
    command = f"{sys.executable} -I {server} {ill}"
    write(cluster, "A health check, three restarts, then a move", api_server=command)
    table = cluster.nodes[1].directory / "cltab"
    often = table.read_text().replace("interval=10s", "interval=1s")
    assert "interval=1s" in often
    table.write_text(often)
    cluster.start()
    cluster.wait_running(["api"])
    first = home(cluster, "api")

    def pid() -> int:
        groups = cluster.nodes[first].ask_clinit().groups
        entries = (entry for group in groups for entry in group.entries)
        return next((entry.pid for entry in entries if entry.tag == "server"), None) or 0

    pids = [wait_until(pid)]
    (cluster.base / f"ill-{first}").touch()

    def moved() -> bool:
        now = pid()
        if now and now != pids[-1]:
            pids.append(now)
        return list(cluster.places().get("api", [first])) != [first]

    wait_until(moved, MOVE_LIMIT_S)
    assert len(pids) == 1 + RESTARTS


def test_maintenance_of_a_node(patient: Cluster) -> None:
    standby, unstandby = TASKS["Maintenance of a node"].of_mosha("sh").splitlines()
    patient.write_tables(("a", "b", "c"), hactl="a start prefer=2\n")
    patient.start()
    patient.wait_running(("a", "b", "c"))
    assert home(patient, "a") == 2
    status, said = say(patient, 1, *standby.split()[1:])
    assert status == 0, said
    patient.wait_running(("a", "b", "c"), 1, 3)
    wait_until(lambda: not patient.places(2))
    status, said = say(patient, 1, *unstandby.split()[1:])
    assert status == 0, said
    wait_until(lambda: not any(n.standby for n in patient.nodes[1].report().nodes))
