"""`mosha restart | stop | start GROUP TAG` on real daemons, from nodes that do not run it."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mosha.control.protocol import OrderEntry
from mosha.core.status import EntryVerb
from tests.e2e.test_verbs import home, say
from tests.waiting import wait_until

if TYPE_CHECKING:
    from mosha.core.supervision.entries import EntryReport
    from tests.e2e.cluster import Cluster

# The first one leaves its session to a child that ignores TERM.
CLTAB = """\
web:web-a:start:respawn(stop=TERM/0.2s):setsid sh -c 'trap "" TERM; sleep 1000' & exec sleep 1000
web:web-b:start:respawn:sleep 1000
web:web-once:start:once:echo ran
"""


def entry_of(cluster: Cluster, node: int, tag: str) -> EntryReport:
    """An entry as clinit has it, once its process has been executed."""
    (group,) = (found for found in cluster.nodes[node].ask_clinit().groups if found.group == "web")
    return next(entry for entry in group.entries if entry.tag == tag)


def pid_of(cluster: Cluster, node: int, tag: str) -> int:
    return entry_of(cluster, node, tag).pid


def why(cluster: Cluster, node: int) -> tuple[str, str]:
    (group,) = (found for found in cluster.nodes[node].report().groups if found.group == "web")
    return (group.problem, group.next)


def started(cluster: Cluster) -> int:
    cluster.write_tables((), cltab=CLTAB, hactl="web start\n")
    cluster.start()
    cluster.wait_running(("web",))
    owner = home(cluster, "web")
    for tag in ("web-a", "web-b"):
        wait_until(partial(pid_of, cluster, owner, tag))
    for node in cluster.nodes:
        wait_until(lambda: why(cluster, node) == ("", ""))  # noqa: B023 - asked before the next
    return owner


def test_one_entry_is_restarted_stopped_and_started_from_any_node(patient: Cluster) -> None:
    owner = started(patient)
    asker, third = 1 + owner % 3, 1 + (owner + 1) % 3
    before = {tag: pid_of(patient, owner, tag) for tag in ("web-a", "web-b")}
    status = patient.nodes[owner].status()
    assert status is not None
    old = set(patient.nodes[owner].pids()["web"])
    words = f"entry web-a of web is stopped and started again on node {owner}\n"
    words += f"web: entry web-a is well, start DONE on node {owner}\n"
    status_code, said = say(patient, asker, "restart", "web", "web-a", "--wait")
    assert (status_code, said.endswith(words)) == (0, True), said  # what delays it comes before
    wait_until(partial(pid_of, patient, owner, "web-a"))
    assert pid_of(patient, owner, "web-a") != before["web-a"]
    assert pid_of(patient, owner, "web-b") == before["web-b"]
    assert old & set(patient.nodes[owner].pids()["web"]) == {before["web-b"]}, "its child too"
    after = patient.nodes[owner].status()
    assert after is not None
    assert after.claims == status.claims
    entry = entry_of(patient, owner, "web-a")
    assert (entry.restarts, entry.failures, entry.failed_at) == (0, 0, ())

    status_code, said = say(patient, third, "stop", "web", "web-a")
    assert status_code == 0, said
    assert "until it is started (mosha start web web-a)" in said
    assert entry_of(patient, owner, "web-a").state == "stopped"
    assert patient.nodes[owner].pids()["web"] == {before["web-b"]}
    way_back = ("stopped", "to start it: mosha start web web-a")
    for node in patient.nodes:
        wait_until(lambda: why(patient, node) == way_back)  # noqa: B023 - asked before the next
        status_code, said = say(patient, node, "status", "web")
        assert (status_code, "stopped by an operator" in " ".join(said.split())) == (1, True)
        assert say(patient, node, "why", "web")[0] == 1

    patient.nodes[owner].kill_monitor()
    patient.nodes[owner].start()
    wait_until(patient.nodes[owner].answers)
    wait_until(lambda: why(patient, owner) == way_back)
    wait_until(lambda: patient.nodes[owner].report().quorum.has)

    status_code, said = say(patient, owner, "start", "web", "web-a", "--wait")
    assert status_code == 0, said
    for node in patient.nodes:
        wait_until(lambda: why(patient, node) == ("", ""))  # noqa: B023 - asked before the next
    again = "entry web-a of web was not stopped, it is running: nothing to be done\n"
    assert say(patient, asker, "start", "web", "web-a") == (0, again)


def test_what_ran_once_runs_once_more_and_a_stop_ends_with_a_restart_of_the_group(
    patient: Cluster,
) -> None:
    owner = started(patient)
    asker = 1 + owner % 3
    first = entry_of(patient, owner, "web-once").since
    status, said = say(patient, asker, "restart", "web", "web-once")
    assert status == 0, said
    wait_until(lambda: entry_of(patient, owner, "web-once").state == "done")
    assert entry_of(patient, owner, "web-once").since != first
    assert say(patient, asker, "stop", "web", "web-b")[0] == 0
    assert say(patient, asker, "restart", "web", "--wait")[0] == 0
    wait_until(partial(pid_of, patient, owner, "web-b"))
    assert home(patient, "web") == owner


def test_what_cannot_be_ordered_is_refused_and_what_is_not_heard_is_not_called_done(
    patient: Cluster,
) -> None:
    owner = started(patient)
    asker = 1 + owner % 3
    assert say(patient, asker, "restart", "web", "web-x") == (
        1,
        "mosha: refused: web has no entry 'web-x'; its entries are web-a, web-b, web-once\n",
    )
    assert say(patient, asker, "stop", "nosuch", "web-a")[0] == 1
    before = pid_of(patient, owner, "web-b")
    patient.nodes[owner].signal(signal.SIGSTOP)
    order = OrderEntry(verb=EntryVerb.RESTART, group="web", tag="web-b", limit_s=1.0)
    reply = patient.nodes[asker].ask(order)
    patient.nodes[owner].signal(signal.SIGCONT)
    assert (reply.ok, reply.tried) == (False, True)
    assert reply.text.startswith(f"node {owner} has not obeyed within 1 s: ")
    wait_until(lambda: pid_of(patient, owner, "web-b") not in {0, before})
    assert say(patient, asker, "stop", "web", "--wait")[0] == 0
    status, said = say(patient, asker, "restart", "web", "web-b")
    assert (status, "to start it: mosha start web" in said) == (1, True)


@pytest.mark.parametrize("words", [("web", "web-b"), ("web",)])
def test_an_order_whose_node_goes_silent_ends_the_wait_and_says_so(
    patient: Cluster, words: tuple[str, ...]
) -> None:
    owner = started(patient)
    asker = 1 + owner % 3
    patient.nodes[owner].signal(signal.SIGSTOP)
    try:
        status, said = say(patient, asker, "restart", *words, "--wait", "--limit", "100")
    finally:
        patient.nodes[owner].signal(signal.SIGCONT)
    assert status == 1
    assert f"node {owner} is late: " in said or len(words) == 1
    assert f"mosha: node {owner} is stale; node {owner} has not confirmed that it obeyed" in said
    assert f"again: mosha restart {' '.join(words)}\n" in said
