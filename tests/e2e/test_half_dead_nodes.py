"""What dies or freezes by halves: monitors, clinits, and nodes that must be fenced."""

from __future__ import annotations

import signal
from pathlib import Path

from mosha.control.protocol import Confirm, DisarmAll, GiveOrder, ShootNode
from mosha.core.status import Verb
from tests.e2e.cluster import Cluster
from tests.e2e.power import GROUPS, freeze, note_power, switch, victim_and_others
from tests.waiting import wait_until


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


def test_while_disarmed_only_an_operator_has_a_node_shot(short_dir: Path) -> None:
    with Cluster(short_dir, extra=switch(short_dir, "good")) as cluster:
        victim, others = victim_and_others(cluster)
        assert cluster.nodes[victim].ask(DisarmAll(600.0, "a switch is replaced")).ok

        def told(text: str) -> bool:
            reports = [cluster.nodes[number].report() for number in others]
            return all(any(text in line for line in report.problems) for report in reports)

        wait_until(lambda: told(f"from node {victim}: a switch is replaced"))
        note_power(cluster)
        freeze(cluster.nodes[victim])
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


def test_a_node_whose_stop_fails_asks_and_is_shot_and_its_groups_move(short_dir: Path) -> None:
    stuck = short_dir / "stuck"
    checks = f"a:a-chk:stop:test:test ! -e {stuck}$MOSHA_NODE\n"
    with Cluster(
        short_dir, extra='on_stop_failure = "fence"\n' + switch(short_dir, "good")
    ) as cluster:
        cluster.write_tables(GROUPS, cltab=checks)
        cluster.start()
        _, places = cluster.wait_running(GROUPS)
        (victim,) = places["a"]
        others = [number for number in cluster.nodes if number != victim]
        node = cluster.nodes[victim]
        note_power(cluster)
        Path(f"{stuck}{victim}").touch()
        assert node.ask(GiveOrder(Verb.MOVE, "a")).ok
        watcher = cluster.nodes[others[0]]

        def told() -> bool:
            return any(f"node {victim} cannot end a" in line for line in watcher.report().problems)

        wait_until(told)
        cluster.wait_running(GROUPS, *others)
        shot = [shot for number in others for shot in cluster.nodes[number].report().shots]
        assert [(it.node, it.outcome) for it in shot] == [(victim, "receipt")]
        ordered = [e for n in others for e in cluster.nodes[n].events("fence_ordered")]
        assert [event["reason"] for event in ordered] == ["it asks to be shot"]
        assert cluster.overlaps() == []


def test_a_living_node_obeys_a_poison_pill_and_goes_on_with_a_new_incarnation(
    short_dir: Path,
) -> None:
    pill = '[[fencing.methods]]\ntype = "poison"\nlimit = 20\n'
    with Cluster(short_dir, extra="start_grace = 0.1\n" + pill) as cluster:
        victim, others = victim_and_others(cluster)
        node = cluster.nodes[victim]
        before, status = node.pids()["a"], node.status()
        assert status is not None
        reply = cluster.nodes[others[0]].ask(ShootNode(victim))
        assert reply.ok
        assert reply.text == (
            f"node {victim} was shot: poison, command-said-so: it has ended all its groups, and"
            " begun a new incarnation"
        )
        cluster.wait_running(GROUPS)
        after = node.status()
        assert after is not None
        assert (after.inc > status.inc, after.pills_obeyed) == (True, {others[0]: status.inc})
        assert not before & node.pids().get("a", set())
        assert len(node.events("pill_acknowledged")) == 1
        assert cluster.overlaps() == []
