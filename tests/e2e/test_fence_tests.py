"""Fencing is tested before it is needed: by an operator, and by real daemons from time to time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mosha.cli.main import entry
from tests import fence_switch
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import PATIENT_S
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.e2e.cluster import Node

GROUPS = ("a",)
TIMEOUT_S = 6.0
"""No node is stale for a moment because the machine is busy: then a plug that is off is good."""

LIMIT_S = 60.0
MOVED = "the plug is that of another machine"


def switch(directory: Path, test_every_s: float, *nodes: int) -> str:
    """Install a fence agent for nodes that are on; return the settings for it."""
    path = fence_switch.installed(directory)
    targets = ", ".join(f'{number} = "p{number}"' for number in nodes)
    for number in nodes:
        (directory / f"p{number}").write_text("on")
    return (
        f"[fencing]\nrequired = false\ntest_every = {test_every_s}\n"
        f'[[fencing.methods]]\ntype = "agent"\nagent = "{path}"\n'
        f'options = {{room = "{directory}"}}\n'
        f"targets = {{{targets}}}\n"
    )


def problems(node: Node) -> list[str]:
    return [it.text for it in node.report().problem_list if it.kind == "fencing"]


def test_an_operator_tests_fencing_on_a_node_of_the_cluster(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = switch(short_dir, 0, 1, 2, 3)
    with Cluster(short_dir, timeout_s=TIMEOUT_S, extra=extra) as cluster:
        cluster.write_tables(GROUPS)
        cluster.start()
        cluster.wait_running(GROUPS)
        node = cluster.nodes[1]
        words = ("fence", "--test", "--config", str(node.config))
        wait_until(lambda: all(it.state in ("self", "fresh") for it in node.report().nodes))
        assert entry(words) == 0
        assert capsys.readouterr().out == (
            "node 1: method 1 (fence_switch): good: status says ON, node 1 is this one; its plug is"
            " listed\n"
            "node 2: method 1 (fence_switch): good: status says ON, node 2 is heard; its plug is"
            " listed\n"
            "node 3: method 1 (fence_switch): good: status says ON, node 3 is heard; its plug is"
            " listed\n"
        )
        (short_dir / "p1").write_text("off")
        (short_dir / "p2").write_text("off")
        (short_dir / "p3").write_text("off")
        cluster.nodes[3].kill()
        wait_until(lambda: [it.state for it in node.report().nodes if it.node == 3] == ["stale"])
        assert entry(words) == 1
        assert capsys.readouterr().out == (
            "node 1: method 1 (fence_switch): FAILED: node 1 is this one, but status says OFF:"
            f" {MOVED}\n"
            "node 2: method 1 (fence_switch): FAILED: node 2 is heard, but status says OFF:"
            f" {MOVED}\n"
            "node 3: method 1 (fence_switch): good: status says OFF, node 3 is not heard; its plug"
            " is listed\n"
        )
        assert entry((*words, "9")) == 2


def test_fencing_is_tested_from_time_to_time_and_a_failure_is_a_problem_of_status(
    short_dir: Path,
) -> None:
    extra = f"heartbeat = 0.2\n{switch(short_dir, 6, 2)}"
    with Cluster(short_dir, timeout_s=PATIENT_S, extra=extra) as cluster:
        cluster.write_tables(GROUPS)
        cluster.start()
        cluster.wait_running(GROUPS)
        nodes = cluster.nodes.values()

        def all_good() -> bool:
            reports = [node.report().fencing for node in nodes]
            return all([bool(it.good_at) for it in tests] == [True] for tests in reports)

        wait_until(all_good, LIMIT_S)
        (short_dir / "p2").write_text("off")
        for node in nodes:
            (text,) = wait_until(lambda node=node: problems(node), LIMIT_S)  # type: ignore[misc]
            assert text.startswith("the test of fencing node 2 by method 1 (fence_switch) failed: ")
            assert text.endswith(f"but status says OFF: {MOVED}")
            (event,) = wait_until(lambda node=node: node.events("fence_test_failed"))  # type: ignore[misc]
            assert (event["peer"], event["level"]) == (2, "warning")
        restarted = cluster.nodes[1]
        restarted.kill_monitor()
        restarted.start()
        wait_until(lambda: restarted.answers() and problems(restarted))
        (short_dir / "p2").write_text("on")
        wait_until(lambda: not any(problems(node) for node in nodes), LIMIT_S)
        wait_until(lambda: all(node.events("fence_test_passed") for node in nodes))
        for node in nodes:
            # The monitor that was restarted has read from its disk that it was told already.
            assert len(node.events("fence_test_failed")) == 1
            assert len(node.events("fence_test_passed")) == 1
