"""What dies or freezes by halves: monitors, clinits, and nodes that must be fenced."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from mosha.control.protocol import Confirm, DisarmAll, ShootNode
from tests import fence_switch
from tests.e2e.cluster import Cluster
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Node

GROUPS = ("a", "b", "c")


def test_a_killed_monitor_leaves_its_groups_alone_and_the_next_one_adopts_them(
    patient: Cluster,
) -> None:
    patient.write_tables(GROUPS)
    patient.start()
    _, places = patient.wait_running(GROUPS)
    (number,) = places["a"]
    node = patient.nodes[number]
    pids, status = node.pids(), node.status()
    assert status is not None
    node.kill_monitor()
    node.start()

    def adopted() -> bool:
        now = node.status()
        return now is not None and now.inc > status.inc and now.claims == status.claims

    wait_until(adopted)
    wait_until(node.answers)
    wait_until(lambda: all(group.ok for group in node.report().groups))
    assert node.pids() == pids
    assert patient.places() == places


def test_a_frozen_monitor_loses_its_groups_and_behaves_when_it_wakes(cluster: Cluster) -> None:
    cluster.write_tables(GROUPS)
    cluster.start()
    _, places = cluster.wait_running(GROUPS)
    (number,) = places["a"]
    frozen = cluster.nodes[number]
    others = [other for other in cluster.nodes if other != number]
    frozen.signal(signal.SIGSTOP)
    cluster.wait_running(GROUPS, *others)
    assert not any(frozen.pids().values()), "clinit must have ended them by kill_at"
    frozen.signal(signal.SIGCONT)

    def at_peace() -> bool:
        reports = [node.report() for node in cluster.nodes.values()]
        return all(group.ok for report in reports for group in report.groups) and all(
            node.state in ("self", "fresh") for report in reports for node in report.nodes
        )

    wait_until(at_peace)


def test_the_processes_of_a_killed_clinit_are_gone_and_run_again_somewhere(
    patient: Cluster,
) -> None:
    undone = patient.base / "undone"
    patient.write_tables(
        GROUPS, cltab=f"a:a-undo:stop:wait:echo $MOSHA_NODE $(date +%s.%N) >> {undone}\n"
    )
    patient.start()
    _, places = patient.wait_running(GROUPS)
    undone.unlink(missing_ok=True)  # of planners that gave way at the start
    (number,) = places["a"]
    node = patient.nodes[number]
    before = node.clinit_pid()
    node.kill_clinit()
    wait_until(lambda: node.clinit_pid() not in (0, before))
    # What the processes of the old one left behind is put away, once, before they run again.
    wait_until(undone.exists)
    patient.wait_running(GROUPS)
    assert [line.split()[0] for line in undone.read_text().splitlines()] == [str(number)]


def test_where_fencing_is_required_nothing_moves_without_a_receipt(short_dir: Path) -> None:
    with Cluster(short_dir, extra="[fencing]\nrequired = true\n") as cluster:
        victim, others = victim_and_others(cluster)
        cluster.nodes[victim].kill()
        watcher = cluster.nodes[others[0]]

        def waiting() -> str:
            group = next(g for g in watcher.report().groups if g.group == "a")
            return group.next if "not fenced" in group.why else ""

        assert f"mosha confirm {victim}" in wait_until(waiting)
        assert "a" not in cluster.places(*others)
        assert watcher.ask(Confirm(node=victim)).ok
        cluster.wait_running(GROUPS, *others)
        assert cluster.overlaps() == []


def test_a_fence_command_gets_the_number_and_its_success_moves_the_groups(
    short_dir: Path,
) -> None:
    shots = short_dir / "shots"
    fence = short_dir / "fence"
    fence.write_text(f'#!/bin/sh\necho "$1" >> {shots}\n')
    fence.chmod(0o755)
    extra = f'start_grace = 0.1\nstomith = "{fence}"\n'
    with Cluster(short_dir, extra=extra) as cluster:
        victim, others = victim_and_others(cluster)
        cluster.nodes[victim].kill()
        cluster.wait_running(GROUPS, *others)
        assert shots.read_text().split() == [str(victim)], "one shot, by one node"
        states = {n.node: n.state for n in cluster.nodes[others[0]].report().nodes}
        assert states[victim] == "fenced"
        assert cluster.overlaps() == []


def victim_and_others(cluster: Cluster) -> tuple[int, list[int]]:
    """Start all nodes; return the one that runs group `a`, and the others."""
    cluster.write_tables(GROUPS)
    cluster.start()
    _, places = cluster.wait_running(GROUPS)
    (victim,) = places["a"]
    return victim, [number for number in cluster.nodes if number != victim]


def switch(directory: Path, mode: str) -> str:
    """Install a fence agent for three nodes that are on; return the settings for it."""
    path = fence_switch.installed(directory)
    for number in (1, 2, 3):
        (directory / f"p{number}").write_text("on")
    return (
        "start_grace = 0.1\n"
        f'[[fencing.methods]]\ntype = "agent"\nagent = "{path}"\nretries = 0\nlimit = 2\n'
        f'options = {{room = "{directory}", mode = "{mode}"}}\n'
        'targets = {1 = "p1", 2 = "p2", 3 = "p3"}\n'
    )


def freeze(node: Node, pids: Path) -> None:
    """Stop monitor and clinit of a node, whose groups run on; note all of it for its power."""
    assert node.monitor is not None
    clinit = node.clinit_pid()
    pids.write_text(" ".join(map(str, {node.monitor.pid, clinit, *node.processes()})))
    node.signal(signal.SIGSTOP)
    os.kill(clinit, signal.SIGSTOP)


def test_a_half_dead_node_is_shot_by_an_agent_and_its_groups_move(short_dir: Path) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "kills")) as cluster:
        victim, others = victim_and_others(cluster)
        freeze(cluster.nodes[victim], short_dir / f"p{victim}.pids")
        cluster.wait_running(GROUPS, *others)
        assert (short_dir / f"p{victim}").read_text() == "off"
        (shot,) = [shot for number in others for shot in cluster.nodes[number].report().shots]
        assert (shot.node, shot.method, shot.outcome) == (victim, "fence_switch", "receipt")
        assert "off: exit 0 in " in shot.detail
        assert cluster.overlaps() == []


def test_an_agent_that_lies_moves_nothing_until_an_operator_confirms(short_dir: Path) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "lies")) as cluster:
        victim, others = victim_and_others(cluster)
        pids = short_dir / f"p{victim}.pids"
        freeze(cluster.nodes[victim], pids)

        def failed() -> str:
            shots = [shot for number in others for shot in cluster.nodes[number].report().shots]
            return next((shot.detail for shot in shots if shot.outcome == "failed"), "")

        assert "status did not say off in 2 s" in wait_until(failed)
        assert "a" not in cluster.places(*others)
        for pid in map(int, pids.read_text().split()):  # somebody pulls the plug
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert cluster.nodes[others[0]].ask(Confirm(node=victim)).ok
        cluster.wait_running(GROUPS, *others)
        assert cluster.overlaps() == []


def test_while_disarmed_only_an_operator_has_a_node_shot(short_dir: Path) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "kills")) as cluster:
        victim, others = victim_and_others(cluster)
        assert cluster.nodes[victim].ask(DisarmAll(600.0, "a switch is replaced")).ok

        def told(text: str) -> bool:
            reports = [cluster.nodes[number].report() for number in others]
            return all(any(text in line for line in report.problems) for report in reports)

        wait_until(lambda: told(f"from node {victim}: a switch is replaced"))
        freeze(cluster.nodes[victim], short_dir / f"p{victim}.pids")
        wait_until(lambda: told(f"node {victim} is stale"))
        wait_until(lambda: told("is not fenced"))
        assert [cluster.nodes[number].report().shots for number in others] == [[], []]
        assert "a" not in cluster.places(*others)
        reply = cluster.nodes[others[0]].ask(ShootNode(victim))
        assert reply.text.startswith(f"node {victim} was shot: fence_switch, off-confirmed: off: ")
        assert reply.ok
        cluster.wait_running(GROUPS, *others)
        assert cluster.nodes[others[1]].ask(DisarmAll(0.0)).ok
        wait_until(lambda: not told("disarmed"))
        assert cluster.overlaps() == []
