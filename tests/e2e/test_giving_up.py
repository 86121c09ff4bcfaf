"""Groups whose entries fail or hang on one node end up on another, with real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster, Node

CLTAB = """\
web:webd:start:respawn(stop=TERM/5s):[ $MOSHA_NODE = 2 ] && exec sleep 1000; echo no disk; exit 1
mail:mail-check:test:test(timeout=0.5s):[ $MOSHA_NODE = 2 ] || exec sleep 1000
mail:maild:start:respawn:sleep 1000
"""
HACTL = "web start prefer=1,2 on-failure=move:3/10m\nmail start prefer=1,2\n"
REASONS = {
    "web": "times in 10m (on-failure=move:3/10m), last entry webd: exit 1: no disk",
    "mail": "test entry mail-check: timed out after 0.5 s",
}


def banned(node: Node, group: str) -> dict[int, str]:
    """Return why nodes keep off a group, as a node reports it."""
    (view,) = (view for view in node.report().groups if view.group == group)
    return {ban.node: ban.reason for ban in view.bans}


def failures(node: Node, group: str) -> str:
    """Return what `mosha why` says of failures on that node."""
    words = ["why", group, "--json", "--config", str(node.config)]
    command = [sys.executable, "-m", "mosha.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    reasons = json.loads(done.stdout)["reasons"]
    return next((reason["said"] for reason in reasons if reason["rule"] == "failures"), "")


def test_what_fails_or_hangs_on_one_node_runs_on_another(patient: Cluster) -> None:
    patient.write_tables((), cltab=CLTAB, hactl=HACTL)
    patient.start()
    two, three = patient.nodes[2], patient.nodes[3]
    for group, reason in REASONS.items():
        wait_until(lambda: patient.places().get(group) == [2])  # noqa: B023 - asked before the next one
        wait_until(lambda: reason in banned(three, group).get(1, ""))  # noqa: B023
    assert failures(two, "web").startswith("0 of 3 failures in 10m on node 2; it moves to node 3")
    assert failures(three, "web") == "node 2 counts the failures (on-failure=move:3/10m): ask it"
    assert failures(two, "mail") == ""
