"""A cluster keeps its groups running: start, loss of a node, orderly leave, moves by edit.

Every test ends with a look at the witness file: no two nodes ever ran one group together
(the `cluster` fixture). Times are not judged here, `make bench` measures them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from mosha.control.protocol import Confirm, SetWish
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster, Node


def _all_well(node: Node) -> bool:
    return all(group.ok for group in node.report().groups)


GROUPS = ("a", "b", "c", "d", "e")


def node_of(places: dict[str, list[int]], group: str) -> int:
    (node,) = places[group]
    return node


def test_each_group_starts_on_exactly_one_node_and_all_nodes_agree(patient: Cluster) -> None:
    patient.write_tables(GROUPS)
    patient.start()
    _, places = patient.wait_running(GROUPS)
    for node in patient.nodes.values():
        wait_until(partial(_all_well, node))
        views = {g.group: g.where for g in node.report().groups}
        assert views == places


def test_the_groups_of_a_node_that_dies_run_on_the_others(cluster: Cluster) -> None:
    cluster.write_tables(GROUPS)
    cluster.start()
    _, places = cluster.wait_running(GROUPS)
    victim = node_of(places, "a")
    others = [number for number in cluster.nodes if number != victim]
    cluster.nodes[victim].kill()
    _, after = cluster.wait_running(GROUPS, *others)
    kept = {g: where for g, where in places.items() if where != [victim]}
    assert {g: after[g] for g in kept} == kept, "a group moved without need"


def test_a_node_that_comes_back_takes_nothing_away(cluster: Cluster) -> None:  # H3.9
    cluster.write_tables(GROUPS)
    cluster.start()
    _, places = cluster.wait_running(GROUPS)
    victim = node_of(places, "a")
    others = [number for number in cluster.nodes if number != victim]
    cluster.nodes[victim].kill()
    _, after = cluster.wait_running(GROUPS, *others)
    cluster.nodes[victim].start()

    def all_see_all() -> bool:
        reports = (n.report() for n in cluster.nodes.values() if n.answers())
        states = [{n.state for n in report.nodes} for report in reports]
        return len(states) == 3 and all(s == {"self", "fresh"} for s in states)

    wait_until(all_see_all)
    assert cluster.places() == after


def test_a_leaving_node_hands_its_groups_over_and_keeps_its_votes(patient: Cluster) -> None:
    patient.write_tables(GROUPS)
    patient.start()
    _, places = patient.wait_running(GROUPS)
    leaver = node_of(places, "a")
    others = [number for number in patient.nodes if number != leaver]
    before = patient.nodes[leaver].status()
    assert patient.nodes[leaver].leave() == 0
    patient.wait_running(GROUPS, *others)
    status = patient.nodes[leaver].status()
    assert status is not None
    assert before is not None
    assert status.state == "left"
    assert status.terms.keys() >= before.terms.keys()
    assert patient.nodes[leaver].processes() == []


def test_a_group_is_moved_and_stopped_by_editing_hactl_on_any_node(patient: Cluster) -> None:
    patient.write_tables(("a", "b"))
    patient.start()
    _, places = patient.wait_running(("a", "b"))
    here = node_of(places, "a")
    there = 1 + here % 3
    hactl = patient.nodes[there].directory / "hactl"
    hactl.write_text(f"a start only={there}\nb stop\n")
    wait_until(lambda: patient.places() == {"a": [there]})
    copies = [node.directory / "hactl" for node in patient.nodes.values()]
    text = hactl.read_text()
    # The third node may just be writing its first.
    wait_until(lambda: all(copy.exists() and copy.read_text() == text for copy in copies))


def test_set_edits_hactl_and_wins_everywhere(patient: Cluster) -> None:
    patient.write_tables(("a",))
    patient.start()
    patient.wait_running(("a",))
    reply = patient.nodes[2].ask(SetWish(group="a", level="stop"))
    assert reply.ok, reply.text
    wait_until(lambda: patient.places() == {})
    copies = [node.directory / "hactl" for node in patient.nodes.values()]
    wait_until(lambda: all(copy.exists() and "a stop" in copy.read_text() for copy in copies))


def test_a_process_that_dies_is_respawned_on_the_same_node(patient: Cluster) -> None:
    patient.write_tables(("a",))
    patient.start()
    _, places = patient.wait_running(("a",))
    node = patient.nodes[node_of(places, "a")]
    (pid,) = node.pids()["a"]
    os.kill(pid, 9)
    (new,) = wait_until(lambda: node.pids()["a"] - {pid, 0})
    assert new != pid
    assert patient.places() == places


def may_claim(node: Node) -> bool:
    """Say whether a node has read all others, and is silent no more."""
    report = node.report() if node.answers() else None
    return report is not None and all(
        not each.silent and each.state in ("self", "fresh") for each in report.nodes
    )


def test_a_group_that_fails_its_test_seeks_another_node(patient: Cluster) -> None:
    only_two = f"picky:picky-test:test:test:test $MOSHA_NODE = 2\n"  # noqa: F541 - looks alike
    service = f"picky:picky-main:start:respawn:{patient.service()}\n"
    patient.write_tables(("a",), cltab=only_two + service, hactl="picky stop\n")
    patient.start()
    patient.wait_running(("a",))
    wait_until(lambda: all(may_claim(node) for node in patient.nodes.values()))
    wishes = "a start\npicky start prefer=1,3,2\n"
    (patient.nodes[1].directory / "hactl").write_text(wishes)
    _, places = patient.wait_running(("picky",))
    assert places["picky"] == [2]
    group = next(g for g in patient.nodes[2].report().groups if g.group == "picky")
    assert {ban.node for ban in group.bans} == {1, 3}
    assert all("picky-test" in ban.reason for ban in group.bans)


def test_a_group_no_node_can_run_is_shown_with_every_reason(patient: Cluster) -> None:
    patient.write_tables(("a",), cltab="bad:bad-test:test:test:exit 3\n", hactl="bad start\n")
    patient.start()
    patient.wait_running(("a",))

    def told() -> str:
        views = {g.group: g for g in patient.nodes[1].report().groups}
        return views["bad"].why if "no node can run it" in views["bad"].why else ""

    why = wait_until(told)
    for node in patient.nodes:
        assert f"node {node}: banned" in why


def test_a_lost_quorum_stops_everything_and_its_return_starts_it_again(cluster: Cluster) -> None:
    cluster.write_tables(("a", "b"))
    cluster.start()
    cluster.wait_running(("a", "b"))
    last = cluster.nodes[3]  # which has nothing to run, and may be the last to be up
    wait_until(lambda: last.report().quorum.seen == 3)
    cluster.nodes[1].kill()
    cluster.nodes[2].kill()
    wait_until(lambda: not last.report().quorum.has)
    wait_until(lambda: not any(last.pids().values()))
    assert any(event["to"] == "no" for event in last.events("quorum_changed"))
    assert "no quorum" in last.report().problems[0]
    cluster.nodes[1].start()
    cluster.wait_running(("a", "b"), 1, 3)


def test_confirm_is_refused_for_a_node_that_is_alive(patient: Cluster) -> None:
    patient.write_tables(("a",))
    patient.start()
    patient.wait_running(("a",))
    reply = patient.nodes[1].ask(Confirm(node=2))
    assert not reply.ok
    assert "alive" in reply.text


def test_a_clinit_left_behind_by_another_rundir_has_nothing_and_ends_when_told(
    cluster: Cluster,
) -> None:
    cluster.write_tables(GROUPS)
    cluster.start()
    _, places = cluster.wait_running(GROUPS)
    node = cluster.nodes[node_of(places, "a")]
    before, pid = node.rundir, node.clinit_pid()
    node.rundirs += 1
    node.config.write_text(node.config.read_text().replace(f'"{before}"', f'"{node.rundir}"'))
    node.signal(signal.SIGUSR1)  # the monitor ends; clinit and the groups go on
    assert node.monitor is not None
    assert node.monitor.wait() == -signal.SIGUSR1
    node.start()
    wait_until(lambda: node.events("status_withheld"))  # until the groups there have ended (N1)
    wait_until(lambda: node.status() is not None and node.clinit_pid() not in {0, pid})
    wait_until(lambda: not any(group.alive for group in node.ask_clinit(before).groups))
    cluster.wait_running(GROUPS)
    assert node.ask_clinit(before).pid == pid
    told = [sys.executable, "-m", "mosha.cli.clinit", "-s", str(before / "clinit.s"), "-k"]
    subprocess.run(told, check=True, stdin=subprocess.DEVNULL)
    wait_until(lambda: pid not in node.processes())
    assert node.clinit_pid() in node.processes()
