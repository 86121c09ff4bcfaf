"""Compares this node with what the others have published: settings, and tables that they refuse.

Their statuses on the cluster file system may be old, so a difference is only a warning. Whether
another node uses this node's `rundir` is known from the socket there, and from the run whose
memory is stored there. That a node outside `nodes` is alive is known when it publishes while this
looks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from mosha.cli.ask import ask_report
from mosha.cli.check.files import Finding
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.durations import number_text
from mosha.core.status import NodeState, Status
from mosha.errors import HostError, UsageError
from mosha.formats.clstat import UnreadableStatus, parse_clstat
from mosha.formats.settings import WITNESS, Settings
from mosha.host.abandonable import within
from mosha.host.files import read_file
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.outsiders import (
    REMEDY,
    Outsider,
    account,
    publishing,
    read_outsiders,
)
from mosha.monitor.identity import NODE_FILE

ASK_LIMIT_S = 1.0
READ_LIMIT_S = 2.0

REMEDY_FOR_RUNDIR = "give this node a rundir of its own"

WATCH_HEARTBEATS = 1.5
"""A node that is alive publishes once per heartbeat."""

WATCH_MAX_S = 10.0
WATCH_STEP_S = 0.2


def peer_findings(settings: Settings, node: int, unknown: Collection[str] = ()) -> list[Finding]:
    """Compare this node's settings with what the others have published.

    The keys in `unknown` have mistakes: what they are is not known, and not compared.
    """
    nothing: list[Status] = []
    nodes = {node, *settings.nodes}
    found = within(lambda: _statuses(settings, nodes), nothing, READ_LIMIT_S)
    others = [status for status in found if status.node != node]
    own = next((status for status in found if status.node == node), None)
    return [
        *_rundir(settings, node, own, others, unknown),
        *_differences(settings, others, unknown),
        *_refused(others),
        *_outsiders(settings, nodes),
    ]


def witnesses(settings: Settings, node: int | None) -> frozenset[int]:
    """Return the nodes that only vote: of others as far as they have published it."""
    nothing: list[Status] = []
    found = within(lambda: _statuses(settings, settings.nodes), nothing, READ_LIMIT_S)
    own = [node] if node is not None and settings.role == WITNESS else []
    return frozenset([*own, *(status.node for status in found if status.witness)])


def _statuses(settings: Settings, nodes: Iterable[int]) -> list[Status]:
    """Return the statuses that can be read; a node without one has not started yet."""
    layout = Layout(Path(settings.mfsbase), settings.varpath)
    found = []
    for node in nodes:
        try:
            found.append(parse_clstat(read_file(layout.clstat(node))))
        except (OSError, UnreadableStatus):
            continue
    return found


def _rundir(
    settings: Settings,
    node: int,
    own: Status | None,
    others: list[Status],
    unknown: Collection[str],
) -> Iterator[Finding]:
    """Find another node in the run directory, or this node's state in another directory."""
    try:
        report, _ = ask_report(settings, ASK_LIMIT_S)
    except (HostError, UsageError):
        runs = _remembered(settings)
        if runs is not None:
            yield from _of_state(settings, runs, own, others, unknown)
        return
    if report.node != node:
        text = f"{settings.rundir_path} is that of node {report.node}, whose monitor runs"
        yield Finding("mistake", "rundir", text, REMEDY_FOR_RUNDIR)


def _of_state(
    settings: Settings,
    runs: set[str],
    own: Status | None,
    others: list[Status],
    unknown: Collection[str],
) -> Iterator[Finding]:
    """Compare the runs remembered here with those that have published."""
    for status in others:
        if status.run in runs:
            text = (
                f"{settings.rundir_path} has the state of node {status.node}; if this machine was"
                f" that node before, remove {settings.state_path}"
            )
            yield Finding("warning", "rundir", text, f"else {REMEDY_FOR_RUNDIR}")
    if own is not None and own.state is not NodeState.LEFT and own.run not in runs:
        text = (
            f"{settings.rundir_path} does not remember the last run of node {own.node}: its monitor"
            " runs elsewhere still, or rundir was changed or lost"
        )
        silent_s = max(settings.timing.timeout_s, own.timeout_s)
        for_s = "`timeout`" if "timeout" in unknown else f"{number_text(silent_s)} s"
        silence = f"publishes nothing for {for_s}"
        then = f"put the former rundir back; else the next start {silence}"
        yield Finding("warning", "rundir", text, then)


def _remembered(settings: Settings) -> set[str] | None:
    """Return the last runs of the monitor whose memory is in the run directory.

    None if it cannot be read here.
    """
    try:
        data = read_file(settings.state_path / NODE_FILE)
        memory = msgspec.json.decode(data, type=Memory)
    except FileNotFoundError:
        return set()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return {memory.run, memory.former_run} - {""}


def _differences(
    settings: Settings, others: list[Status], unknown: Collection[str]
) -> Iterator[Finding]:
    """Find differences in what must be the same on all nodes for safety: `timeout` and `nodes`."""
    own_s = settings.timing.timeout_s
    voters = Electorate(Policy(settings.quorum_policy), frozenset(settings.nodes)).digest
    remedy = "make it the same on all nodes, and restart their monitors"
    for status in others:
        if "timeout" not in unknown and status.timeout_ms and status.timeout_s != own_s:
            there = f"node {status.node} has timeout = {number_text(status.timeout_s)} s"
            text = f"{there}, this node {number_text(own_s)} s"
            yield Finding("warning", "timeout", text, remedy)
        if "quorum" not in unknown and settings.nodes and status.voters not in ("", voters):
            text = f"node {status.node} has other `nodes` in mosha.toml than this node"
            yield Finding("warning", "nodes", text, remedy)


def _refused(others: list[Status]) -> Iterator[Finding]:
    """Find tables in the directories of other nodes that are not in force there."""
    for status in others:
        for name, problem in sorted(status.refused.items()):
            text = f"node {status.node} refuses its {name}: {problem}"
            yield Finding("warning", f"node {status.node}", text, "mend it there")


def _outsiders(settings: Settings, nodes: set[int]) -> Iterator[Finding]:
    """Find nodes that publish in mfsbase and are not in `nodes`; it takes a heartbeat of theirs.

    Whoever has left in an orderly way is none. One that neither left nor publishes has crashed, or
    was taken out after it had died: it may come back, but nothing is wrong yet.
    """
    if not settings.nodes:
        return
    layout = Layout(Path(settings.mfsbase), settings.varpath)
    before, alive = _look(layout, nodes), set[int]()
    own_s = settings.timing.heartbeat_s
    heartbeats_s = [seen.status.heartbeat_ms / 1000 or own_s for seen in before.values()]
    until = time.monotonic() + min(WATCH_HEARTBEATS * max(heartbeats_s, default=0), WATCH_MAX_S)
    while before.keys() - alive and time.monotonic() < until:
        time.sleep(WATCH_STEP_S)
        alive.update(publishing(before, _look(layout, nodes)))
    if alive:
        yield Finding("mistake", "nodes", account(sorted(alive), layout), REMEDY)
    for node in sorted(before.keys() - alive):
        text = f"node {node}, which is not among them, has not left and publishes nothing now"
        remedy = f"if it is gone for good, remove {layout.mfsbase / str(node)}"
        yield Finding("warning", "nodes", text, f"{remedy}; if not, add it to `nodes` everywhere")


def _look(layout: Layout, nodes: set[int]) -> dict[int, Outsider]:
    """Return the outsiders that could be read in time."""
    found: dict[int, Outsider] = {}

    def read() -> None:
        with contextlib.suppress(OSError):  # mfsbase itself was judged before
            read_outsiders(layout, nodes, found)

    within(read, None, READ_LIMIT_S)
    return dict(found)
