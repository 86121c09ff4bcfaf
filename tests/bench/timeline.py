"""When what happened: the nodes' own log lines, on the clock of the measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from tests.bench.machine import wall_to_boottime
from tests.e2e.cluster import Cluster, Node

HOME = "start DONE"

Event = dict[str, object]
Choice = Callable[[Event], bool]


def lines(node: Node, since_bytes: int = 0) -> list[Event]:
    """Return the events in a node's log beyond a position, monitor's and clinit's."""
    data = node.log.read_bytes()[since_bytes:] if node.log.exists() else b""
    found: list[Event] = []
    for line in data.splitlines():
        try:
            event = msgspec.json.decode(line)
        except msgspec.DecodeError:  # not a line of ours, or half of one
            continue
        if isinstance(event, dict) and "timestamp" in event:
            found.append(event)
    return found


def sizes(cluster: Cluster) -> dict[int, int]:
    """Return how long the nodes' logs are now, to read from there on later."""
    return {n: node.log.stat().st_size for n, node in cluster.nodes.items() if node.log.exists()}


def at(event: Event) -> float:
    """Return when an event was logged, in seconds of boottime."""
    text = str(event["timestamp"]).replace("Z", "+00:00")
    return wall_to_boottime(datetime.fromisoformat(text).timestamp())


def times(events: Iterable[Event], name: str, choice: Choice = lambda _: True) -> list[float]:
    """Return when events of a name happened."""
    return [at(event) for event in events if event.get("event") == name and choice(event)]


def arrived(event: Event) -> bool:
    """Say whether a `group_changed` is the arrival at home."""
    return event.get("to") == HOME
