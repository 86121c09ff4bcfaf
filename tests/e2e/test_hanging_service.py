"""A service that hangs and does not end: its monitor finds it, and `on-failure=` is carried out."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from mosha.formats.hastat import HEARD
from tests.e2e.test_giving_up import failures, said_of, typed
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster, Node

# What is stopped by SIGSTOP neither ends nor takes any signal but SIGKILL.
CLTAB = """\
web:webd:start:respawn(stop=KILL,ready=pidfile{pid}):echo $$ > {pid}; exec sleep 1000
web:ok:start:monitor(interval=1,failures=2):\
grep -q '^State:.T' /proc/$(cat {pid})/status || exit 0; echo it hangs; exit 1
"""
LADDER = "on-failure=restart:1/10m,move:1/1h,stop"
GIVEN_UP, ENDED = ("ban", 1, "given up"), ("exhausted", 2, "stopped for good")
REASON = "monitor ok failed 2 times in a row: exit 1: it hangs"


def hang(node: Node) -> int:
    """Let the service hang; return its pid."""
    entries = {e.tag: e for group in node.ask_clinit().groups for e in group.entries}
    pid = entries["webd"].pid
    os.kill(pid, signal.SIGSTOP)
    return pid


def runs(node: Node, but: int = 0) -> bool:
    """Say whether the group has arrived on a node, with another process than that."""
    groups = {group.group: group for group in node.ask_clinit().groups}
    web = groups.get("web")
    if web is None or (web.level, web.state.value) != ("start", "DONE"):
        return False
    return any(e.tag == "webd" and e.pid not in (0, but) for e in web.entries)


def said(node: Node) -> str:
    """Return what `mosha why` says of restarts on that node."""
    reasons = json.loads(typed(node, "why", "web", "--json"))["reasons"]
    return next((reason["said"] for reason in reasons if reason["rule"] == "restarts"), "")


def told(node: Node) -> list[tuple[str, int, str]]:
    """Return the events of the group on a node that are about failures."""
    lines = typed(node, "events", "--group", "web", "--json").splitlines()
    found = [json.loads(line) for line in lines]
    kinds = ("restart", "ban", "exhausted")
    return [(it["kind"], it["node"], it["to"]) for it in found if it["kind"] in kinds]


def test_a_service_that_hangs_is_restarted_moved_and_stopped_as_why_has_said_each_time(
    patient: Cluster, tmp_path: Path
) -> None:
    patient.write_tables((), cltab=CLTAB.format(pid=tmp_path / "pid"), hactl=f"web stop {LADDER}\n")
    patient.start()
    one, two, three = (patient.nodes[number] for number in (1, 2, 3))
    for node in patient.nodes.values():
        wait_until(node.answers)
        wait_until(lambda: all(it.state in HEARD for it in node.report().nodes))  # noqa: B023 - asked before the next one
    assert "in force" in typed(three, "set", "web", "start", "prefer=1,2")
    wait_until(lambda: runs(one))

    predicted = "it moves to node 2 after 2 more, before that a monitor that fails has it restarted"
    wait_until(lambda: predicted in failures(one, "web"))
    pid = hang(one)
    wait_until(lambda: runs(one, pid))
    for node in patient.nodes.values():
        wait_until(lambda: said(node).startswith("restarted in place on node 1 1 time"))  # noqa: B023
        assert said(node).endswith(f" s ago: {REASON}")

    wait_until(lambda: "the next one moves it to node 2" in failures(one, "web"))
    hang(one)
    wait_until(lambda: runs(two))

    predicted = "1 of 1 moves in 1h; it is stopped for good after 2 more, before that a monitor"
    wait_until(lambda: predicted in failures(two, "web"))
    pid = hang(two)
    wait_until(lambda: runs(two, pid))
    wait_until(lambda: "the next one stops it for good" in failures(two, "web"))
    hang(two)
    for node in patient.nodes.values():
        wait_until(lambda: said_of(node, "web").startswith("stopped for good on node 2: failed 2"))  # noqa: B023
    assert "last entry ok: exit 1: it hangs" in said_of(three, "web")
    wait_until(lambda: told(three)[-1:] == [ENDED])
    assert told(three) == [("restart", 1, "1 time"), GIVEN_UP, ("restart", 2, "1 time"), ENDED]

    typed(three, "cleanup", "web")
    wait_until(lambda: runs(one) or runs(two))
    wait_until(lambda: ("exhausted", 2, "-") in told(three))
