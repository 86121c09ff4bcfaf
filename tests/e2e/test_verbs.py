"""The words that people type first, on real daemons: restart, move, fail, cleanup, standby."""

from __future__ import annotations

import contextlib
import io
import sys
from functools import partial
from typing import TYPE_CHECKING

from mosha.cli.main import entry
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster


def say(cluster: Cluster, node: int, *words: str) -> tuple[int, str]:
    """Run one command line at a node; return its exit status and all that it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = entry([*words, "--config", str(cluster.nodes[node].config)])
    return status, said.getvalue()


def home(cluster: Cluster, group: str) -> int:
    (node,) = cluster.places()[group]
    return node


def test_a_group_is_stopped_started_restarted_and_moved_by_its_name(patient: Cluster) -> None:
    patient.write_tables(("a",), hactl="")
    patient.start()
    patient.wait_running(("a",))
    first = home(patient, "a")
    other = 1 + first % 3
    hactl = patient.nodes[other].directory / "hactl"
    wait_until(hactl.exists)
    status, said = say(patient, other, "stop", "a", "--wait")
    assert status == 0, said
    assert "now says: a stop" in said
    assert patient.places() == {}
    status, said = say(patient, other, "start", "a", "--wait")
    assert status == 0, said
    first = home(patient, "a")
    before = (patient.nodes[first].pids()["a"], patient.nodes[first].status())
    asker = 1 + first % 3
    status, said = say(patient, asker, "restart", "a", "--wait")
    assert status == 0, said
    after = (patient.nodes[first].pids()["a"], patient.nodes[first].status())
    assert before[0].isdisjoint(after[0])
    assert before[1] is not None
    assert after[1] is not None
    assert before[1].claims == after[1].claims
    text = hactl.read_text()
    target = 1 + (first + 1) % 3
    status, said = say(patient, asker, "move", "a", str(target), "--wait")
    assert status == 0, said
    assert home(patient, "a") == target
    assert hactl.read_text() == text
    assert say(patient, target, "move", "a", str(target))[0] == 1
    assert "did you mean 'a'" not in say(patient, target, "restart", "nosuch")[1]


def test_what_a_watcher_found_failed_moves_and_is_tried_again_after_a_cleanup(
    patient: Cluster,
) -> None:
    patient.write_tables(("a",))
    patient.start()
    patient.wait_running(("a",))
    first = home(patient, "a")
    idle = 1 + first % 3
    status, said = say(patient, idle, "fail", "a")
    assert (status, "does not run on node" in said) == (1, True)
    status, said = say(patient, first, "fail", "a", "--reason", "no answer")
    assert status == 0, said
    wait_until(lambda: patient.places().get("a") not in (None, [first]))
    bans = [(b.node, b.reason) for g in patient.nodes[idle].report().groups for b in g.bans]
    assert bans == [(first, "no answer")]
    status, said = say(patient, idle, "cleanup", "a")
    assert status == 0, said
    wait_until(lambda: not any(g.bans for g in patient.nodes[idle].report().groups))


def test_a_watcher_in_an_entry_finds_the_monitor_of_its_node(patient: Cluster) -> None:
    """All nodes are on one machine, each with settings of its own."""
    failed = f"{sys.executable} -m mosha.cli.main fail --reason 'no answer'"
    watcher = f"w:w-watch:start:once:test $MOSHA_NODE != 2 || {failed}\n"
    patient.write_tables((), cltab=watcher, hactl="w start prefer=2\n")
    patient.start()
    wait_until(lambda: patient.places().get("w") not in (None, [2]), 45.0)
    bans = [(b.node, b.reason) for g in patient.nodes[1].report().groups for b in g.bans]
    assert bans == [(2, "no answer")]


def test_a_node_stays_on_standby_over_a_restart_and_votes(patient: Cluster) -> None:
    patient.write_tables(("a", "b"))
    patient.start()
    patient.wait_running(("a", "b"))
    node = home(patient, "a")
    asker = 1 + node % 3
    assert say(patient, asker, "standby", str(node)) == (
        *(0, f"node {node} is on standby: its groups leave it, and it votes\n"),
    )
    wait_until(lambda: all(node not in where for where in patient.places().values()))
    patient.wait_running(("a", "b"))
    patient.nodes[node].kill_monitor()
    patient.nodes[node].start()
    wait_until(patient.nodes[node].answers)

    def votes_on_standby() -> bool:
        status = patient.nodes[node].status()
        return status is not None and status.standby and set(status.votes) == {"a", "b"}

    wait_until(votes_on_standby)
    for each in patient.nodes:
        wait_until(partial(_remarks_standby, patient, each, node))
    assert say(patient, node, "unstandby", str(node))[0] == 0
    wait_until(partial(_takes_groups, patient, node))


def _remarks_standby(cluster: Cluster, asker: int, node: int) -> bool:
    (found,) = (n for n in cluster.nodes[asker].report().nodes if n.node == node)
    return found.standby and "on standby" in say(cluster, asker, "status")[1]


def _takes_groups(cluster: Cluster, node: int) -> bool:
    status = cluster.nodes[node].status()
    return status is not None and not status.standby
