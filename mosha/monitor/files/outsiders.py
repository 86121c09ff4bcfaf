"""Nodes that publish on the cluster file system of this node and are not in its `nodes`.

They know nothing of this node's votes, nor it of theirs: a group may run on both. A status that
says that its node has left is that of a node that was taken out. Of the others only a change shows
that their node is alive: clocks differ, and a dead node's directory may stay for years.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping

import anyio
from msgspec import Struct

from mosha.core.status import NodeState, Status
from mosha.formats.clstat import UnreadableStatus, parse_clstat
from mosha.formats.names import listed, node_number
from mosha.host import logs
from mosha.host.abandonable import Abandonable
from mosha.host.files import read_file
from mosha.monitor.files.cluster_fs import Layout


class Outsider(Struct, frozen=True):
    """The status of a node that is not in `nodes` and has not left."""

    status: Status
    data: bytes


Outsiders = Mapping[int, Outsider]


def read_outsiders(
    layout: Layout, nodes: Collection[int], found: dict[int, Outsider] | None = None
) -> dict[int, Outsider]:
    """Return what the nodes that are not among `nodes` have published, except those that have left.

    Blocks. Adds to `found`, so that a directory that hangs hides none of those before it.

    Raises:
        OSError: mfsbase cannot be read. What is below it and cannot be read is skipped.
    """
    found = {} if found is None else found
    with os.scandir(layout.mfsbase) as entries:
        numbers = sorted(filter(None, (node_number(entry.name) for entry in entries)))
    for node in numbers:
        if node in nodes:
            continue
        try:
            data = read_file(layout.clstat(node))
            status = parse_clstat(data)
        except (OSError, UnreadableStatus):
            continue
        if status.state is not NodeState.LEFT:
            found[node] = Outsider(status, data)
    return found


def publishing(before: Outsiders, now: Outsiders) -> list[int]:
    """Return those that have published between two looks."""
    return [node for node in sorted(now) if node in before and before[node].data != now[node].data]


def account(nodes: Collection[int], layout: Layout) -> str:
    """Return what it means that these publish."""
    many = len(nodes) != 1
    return (
        f"node{'s' * many} {listed([str(node) for node in nodes])} publish{'es' * (not many)} in"
        f" {layout.mfsbase} and {'are' if many else 'is'} not in `nodes` here: a group may run"
        " here and there at once"
    )


REMEDY = "make `nodes` the same on all of them; another cluster needs an mfsbase of its own"

LOOKS_PER_TIMEOUT = 4
"""As seldom as the default heartbeat allows: each look lists a directory and reads no live node."""

HEARTBEATS_PER_LOOK = 1.5


class OutsiderWatch:
    """Looks for live outsiders again and again; reports them while they publish, "" when not.

    What cannot be read, or not in `limit_s`, changes nothing: whether mfsbase answers is known from
    this node's own publishing.
    """

    def __init__(
        self,
        layout: Layout,
        nodes: Collection[int],
        report: Callable[[str], None],
        *,
        timeout_s: float,
    ) -> None:
        self._layout = layout
        self._nodes = nodes
        self._report = report
        self._pause_s = timeout_s / LOOKS_PER_TIMEOUT
        self._files = Abandonable("outsiders")
        self._alive: list[int] = []

    async def run(self) -> None:
        """Look for ever."""
        before: dict[int, Outsider] = {}
        while True:
            try:
                now = await self._files.run(self._look, self._pause_s)
            except OSError:  # see the class
                now = before
            else:
                self._say(publishing(before, now))
            before = now
            heartbeat_ms = max((seen.status.heartbeat_ms for seen in now.values()), default=0)
            await anyio.sleep(max(self._pause_s, heartbeat_ms / 1000 * HEARTBEATS_PER_LOOK))

    def _look(self) -> dict[int, Outsider]:
        return read_outsiders(self._layout, self._nodes)

    def _say(self, alive: list[int]) -> None:
        if alive == self._alive:
            return
        self._alive = alive
        text = account(alive, self._layout) if alive else ""
        if text:
            logs.get().warning("outsiders_found", nodes=alive, reason=text)
        self._report(f"{text}; {REMEDY}" if text else "")
