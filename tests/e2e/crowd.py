"""Many groups told at once on one node, beside one that has nothing to do with it (A7)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mosha.host.clock import boottime
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster, Node

OTHER = "other"
SERVICE = "/bin/sleep 1000000"
TROUBLES = ("clinit_hung", "clinit_failed", "lease_ended")
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Came:
    """What became of it: how long it took, and what happened that must not."""

    took_s: float
    wrong: list[str]


def all_at_once(cluster: Cluster, count: int, limit_s: float) -> Came:
    """Start a node with so many groups that each run one command once."""
    node, names = cluster.nodes[1], _names(count)
    ran = cluster.base / "ran"
    ran.touch()
    cltab = "".join(f"{name}:{name}-t:start:once:echo {name} >> {ran}\n" for name in names)
    cluster.write_tables((), cltab=cltab, hactl="".join(f"{name} start\n" for name in names))
    began = cluster.start()
    ended, _ = cluster.wait_running(names, limit_s=limit_s)
    # At `start DONE` a `once` entry has been started; its command may take a moment.
    wait_until(lambda: set(ran.read_text().split()) == set(names), limit_s)
    counts = Counter(ran.read_text().split())
    again = [f"{name} ran {number} times" for name, number in counts.items() if number > 1]
    return Came(ended - began, again + _troubles(node))


def one_edit(cluster: Cluster, count: int, limit_s: float) -> Came:
    """Stop so many groups that run by one edit, and leave the other one alone."""
    node, names = cluster.nodes[1], [OTHER, *_names(count)]
    cltab = "".join(f"{name}:{name}-t:start:respawn:{SERVICE}\n" for name in names)
    cluster.write_tables((), cltab=cltab, hactl="".join(f"{name} start\n" for name in names))
    cluster.start()
    cluster.wait_running(names, limit_s=limit_s)
    clinit, pids = node.clinit_pid(), node.pids()[OTHER]
    stopped = "".join(f"{name} stop\n" for name in _names(count))
    began = boottime()
    (node.directory / "hactl").write_text(f"{OTHER} start\n{stopped}")
    wait_until(lambda: cluster.places().keys() == {OTHER}, limit_s, step_s=LOOK_S)
    wait_until(lambda: _alive(node) == len(pids), limit_s, step_s=LOOK_S)
    took_s = boottime() - began
    wrong = _troubles(node)
    if (node.clinit_pid(), node.pids()[OTHER]) != (clinit, pids):
        wrong.append("clinit or the service of the other group is another one")
    return Came(took_s, wrong)


def _names(count: int) -> list[str]:
    return [f"g{number}" for number in range(count)]


def _alive(node: Node) -> int:
    return sum(group.alive for group in node.ask_clinit().groups)


def _troubles(node: Node) -> list[str]:
    return [str(event) for event in node.events(*TROUBLES)]
