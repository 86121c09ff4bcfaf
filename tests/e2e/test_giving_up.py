"""Groups whose entries fail or hang on one node end up on another, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from mosha.formats.hastat import HEARD
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

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


LADDER = "on-failure=restart:1/10m,move:1/1h,stop"
SHOP = "shop:shopd:start:respawn:[ -e {stock} ] && exec sleep 1000; echo no stock; exit 1\n"


def typed(node: Node, *words: str) -> str:
    """Type a command on a node, and return what it prints."""
    command = [sys.executable, "-m", "mosha.cli.main", *words, "--config", str(node.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return f"{done.stdout}{done.stderr}"


def said_of(node: Node, group: str) -> str:
    """Return why a group is not as wanted, as a node reports it."""
    return next((view.why for view in node.report().groups if view.group == group), "")


def test_a_group_that_fails_everywhere_is_moved_once_stopped_and_started_by_a_cleanup(
    patient: Cluster, tmp_path: Path
) -> None:
    stock = tmp_path / "stock"
    stock.touch()
    patient.write_tables((), cltab=SHOP.format(stock=stock), hactl="shop stop prefer=1,2\n")
    patient.start()
    one, three = patient.nodes[1], patient.nodes[3]
    for node in patient.nodes.values():
        wait_until(node.answers)
        wait_until(lambda: all(it.state in HEARD for it in node.report().nodes))  # noqa: B023
    assert "in force" in typed(three, "set", "shop", "start", LADDER)
    wait_until(lambda: patient.places().get("shop") == [1])
    predicted = "0 of 2 failures in 10m on node 1, 0 of 1 moves in 1h; it moves to node 2 after 2"
    wait_until(lambda: failures(one, "shop").startswith(predicted))
    assert predicted in " ".join(typed(one, "status", "shop").split())
    stock.unlink()
    for pid in one.pids()["shop"]:
        os.kill(pid, signal.SIGKILL)
    told = "stopped for good on node 2: failed "
    for node in patient.nodes.values():
        wait_until(lambda: said_of(node, "shop").startswith(told))  # noqa: B023 - asked before the next one
    assert f"moved 1 time in 1h ({LADDER}), last entry shopd: exit 1: no stock" in said_of(
        three, "shop"
    )
    assert "mosha cleanup shop" in typed(three, "why", "shop")
    two = patient.nodes[2]
    two.kill_monitor()
    two.start()
    wait_until(two.answers)
    wait_until(lambda: said_of(two, "shop").startswith(told))
    wait_until(lambda: said_of(three, "shop").startswith(told))
    stock.touch()
    typed(three, "cleanup", "shop")
    wait_until(lambda: len(patient.places().get("shop", [])) == 1)
