"""A service that is dead is not OK on any node, whatever its level says (C2, B5, H4)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from mosha.control.protocol import GiveOrder
from mosha.core.status import Verb
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster, Node

DEAD = {
    "crashes": ('respawn:echo "bind: address in use" >&2; exit 1', "bind: address in use"),
    "missing": ("respawn:/no/such/program", "cannot execute: /no/such/program: No such file"),
    "once": ("once:/no/such/program", "cannot execute: /no/such/program: No such file"),
    "wait": ("wait:/no/such/program", "cannot execute: /no/such/program: No such file"),
    "daemon": ("respawn:setsid -f sleep 1000", "it went into the background; run it in the fore"),
    "shell": ("wait:no-such-program; exit", "no-such-program: not found"),
}


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mosha.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def why(node: Node, group: str) -> str:
    return next((g.why for g in node.report().groups if g.group == group and not g.ok), "")


def test_a_service_that_does_not_run_is_not_ok_on_any_node(patient: Cluster) -> None:
    cltab = "".join(f"{name}:{name}-main:start:{command}\n" for name, (command, _) in DEAD.items())
    hactl = "".join(f"{name} start only=3\n" for name in DEAD)
    patient.write_tables((), cltab=cltab, hactl=hactl)
    patient.start()
    patient.wait_running(DEAD)
    for node in patient.nodes.values():
        for name, (_, words) in DEAD.items():
            wait_until(lambda: words in why(node, name))  # noqa: B023 - asked before the next one
        status = run("status", "--config", node.config)
        told = " ".join(status.stdout.split())
        assert (status.returncode, [words for _, words in DEAD.values() if words not in told]) == (
            1,
            [],
        )
        explained = run("why", "crashes", "--config", node.config)
        assert (explained.returncode, "as hactl wants it" in explained.stdout) == (1, False)
        processes = run("status", "crashes", "--config", node.config).stdout
        here = node.number == 3
        assert ("\n  bind: address in use" in processes) is here
        assert ("mosha status crashes, on node 3" in processes) is not here
        report = node.report()
        for group in report.groups:
            (instance,) = group.instances
            assert [trouble.tag for trouble in instance.troubles] == [f"{group.group}-main"]
            assert any(DEAD[group.group][1] in problem for problem in report.problems)


def test_what_runs_as_an_older_cltab_had_it_says_so_until_it_is_started_anew(
    patient: Cluster,
) -> None:
    patient.write_tables(("web",))
    patient.start()
    patient.wait_running(("web",))
    directory = patient.nodes[2].directory
    wait_until((directory / "cltab").exists)
    (directory / "cltab").write_text("web:web-main:start:respawn:sleep 1000\n")
    for node in patient.nodes.values():
        wait_until(lambda: "as an older cltab had it" in why(node, "web"))  # noqa: B023
    one = patient.nodes[1]
    (problem,) = (p for p in one.report().problem_list if p.subjects == ["web"])
    assert problem.next == "to apply the new one: mosha restart web"
    assert one.ask(GiveOrder(verb=Verb.RESTART, group="web")).ok
    for node in patient.nodes.values():
        wait_until(lambda: all(g.ok for g in node.report().groups))  # noqa: B023
