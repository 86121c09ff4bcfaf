"""The power of real nodes, and a switch for it (`tests/fence_switch.py`); nodes that freeze."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING

from mosha.formats.self_reset import SELF_RESET_FILE
from tests import fence_switch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster, Node

GROUPS = ("a", "b", "c")
PASSWORD = "open"  # noqa: S105 - of a switch that is a file


def switch(directory: Path, mode: str, *, nodes: int = 3) -> str:
    """Install a fence agent for nodes that are on; return the settings for it.

    `directory` is the base of the cluster. What has the power of a node, `note_power` tells.
    """
    path = fence_switch.installed(directory)
    numbers = range(1, nodes + 1)
    for number in numbers:
        (directory / f"p{number}").write_text("on")
    (directory / "password").write_text(PASSWORD)
    os.mkfifo(directory / "gate")
    targets = ", ".join(f'{number} = "p{number}"' for number in numbers)
    return (
        "start_grace = 0.1\n"
        f'[[fencing.methods]]\ntype = "agent"\nagent = "{path}"\nretries = 0\nlimit = 2\n'
        f'options = {{room = "{directory}", mode = "{mode}"}}\ntargets = {{{targets}}}\n'
    )


def note_power(cluster: Cluster) -> None:
    """Tell the switch what needs the power of each node: what runs there now."""
    for number, node in cluster.nodes.items():
        assert node.monitor is not None
        pids = {node.monitor.pid, node.clinit_pid(), *node.processes()} - {0}
        _power(cluster, number).write_text(" ".join(map(str, pids)))


def pull_plug(cluster: Cluster, number: int) -> None:
    """Kill all that needs the power of a node."""
    for pid in map(int, _power(cluster, number).read_text().split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _power(cluster: Cluster, number: int) -> Path:
    return cluster.base / f"p{number}.pids"


def freeze(node: Node) -> None:
    """Stop monitor and clinit of a node, whose groups run on."""
    clinit = node.clinit_pid()
    node.signal(signal.SIGSTOP)
    os.kill(clinit, signal.SIGSTOP)


def victim_and_others(cluster: Cluster) -> tuple[int, list[int]]:
    """Start all nodes; return the one that runs group `a`, and the others."""
    cluster.write_tables(GROUPS)
    cluster.start()
    _, places = cluster.wait_running(GROUPS)
    (victim,) = places["a"]
    return victim, [number for number in cluster.nodes if number != victim]


def says(node: Node, text: str) -> bool:
    """Say whether the status of a node has such a problem."""
    return node.answers() and any(text in problem for problem in node.report().problems)


def is_down(node: Node) -> bool:
    """Say whether the monitor of a node has ended."""
    return node.monitor is not None and node.monitor.poll() is not None


def reboot(node: Node) -> None:
    """Start a node whose machine was reset: its memory is of another boot."""
    state = node.rundir / "state"
    for path in (state / "node.json", state / SELF_RESET_FILE):
        if path.exists():
            path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "0badb007"}))
    node.start()
