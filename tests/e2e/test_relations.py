"""Groups that relate, on real nodes: what comes after another group starts last and stops first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.test_verbs import home, say
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

PAIR = ("db", "web")


def write_pair(cluster: Cluster) -> None:
    """Give the cluster a database and what comes after it; both note when they start and stop."""
    notes = cluster.base / "notes"
    notes.touch()
    lines = [
        f"{group}:{group}-{word}:{level}:wait:{pause}echo {group} {word} >> {notes}\n"
        for group in PAIR
        for word, level, pause in (("up", "start", ""), ("down", "stop", "sleep 0.5; "))
    ]
    services = [f"{group}:{group}-main:start:respawn:{cluster.service()}\n" for group in PAIR]
    cltab = lines[0] + services[0] + lines[1] + lines[2] + services[1] + lines[3]
    cluster.write_tables((), cltab=cltab, hactl="db start prefer=1\nweb start prefer=2 after=db\n")


def noted(cluster: Cluster) -> list[str]:
    return (cluster.base / "notes").read_text().splitlines()


STARTED = ["db up", "web up"]
STOPPED = ["web down", "db down"]


def test_an_ordered_pair_starts_moves_and_stops_in_order(patient: Cluster) -> None:
    write_pair(patient)
    patient.start()
    patient.wait_running(PAIR)
    assert noted(patient) == STARTED
    assert (home(patient, "db"), home(patient, "web")) == (1, 2)
    status, said = say(patient, 3, "move", "db", "3", "--wait")
    assert status == 0, said
    patient.wait_running(PAIR)
    assert noted(patient) == [*STARTED, *STOPPED, *STARTED]
    assert home(patient, "db") == 3
    assert patient.nodes[1].events("group_held")
    status, said = say(patient, 2, "restart", "db", "--wait")
    assert status == 0, said
    patient.wait_running(PAIR)
    assert noted(patient)[6:] == [*STOPPED, *STARTED]
    status, said = say(patient, 2, "set", "db", "stop", "--wait")
    assert status == 0, said
    wait_until(lambda: patient.places() == {})
    assert noted(patient)[10:] == STOPPED
    status, said = say(patient, 2, "why", "web")
    assert "waits for db (after=): hactl says stop" in " ".join(said.split())
    assert "mosha set db start" in said
    status, said = say(patient, 2, "set", "db", "start", "--wait")
    assert status == 0, said
    patient.wait_running(PAIR)
    assert noted(patient)[12:] == STARTED
    (web,) = patient.places()["web"]
    (db,) = patient.places()["db"]
    assert patient.nodes[db].leave() == 0
    left = [number for number in patient.nodes if number != db]
    patient.wait_running(PAIR, *left)
    assert noted(patient)[14:] == [*STOPPED, *STARTED]
    assert web in patient.nodes


def test_what_comes_after_a_group_whose_node_dies_starts_anew_after_it(cluster: Cluster) -> None:
    write_pair(cluster)
    cluster.start()
    cluster.wait_running(PAIR)
    cluster.nodes[home(cluster, "db")].kill()
    wait_until(lambda: noted(cluster).count("web up") > 1, 45.0)
    cluster.wait_running(PAIR, 2, 3)
    later = noted(cluster)[2:]
    assert sorted(later) == ["db up", "web down", "web up"]
    assert later[-1] == "web up"
