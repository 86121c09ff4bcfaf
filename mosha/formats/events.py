"""The JSON of `mosha events`: one object per transition, one per line."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mosha.core.explain.transitions import Transition

FORMAT = 1

Kind = Literal[
    "quorum",
    "node",
    "probation",
    "monitor",
    "clinit",
    "fencing",
    "hold",
    "shot",
    "table",
    "ban",
    "health",
    "restart",
    "gave-way",
    "exhausted",
    "entry",
    "group",
    "late-kill",
    "move",
    "reset",
]


class ClusterEvent(
    msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}
):
    """One transition, as node `said_by` saw it at `time` (UTC, ISO 8601).

    `seq` counts the node's events, across restarts of its monitor. `kind` says what `from` and `to`
    are: for a node its standing; for a group its level and state on `node`, `-` for none; for a
    move the nodes, with `away_s` as the time that the group ran on none; for a replaced clinit the
    processes; for a restart in place how often; for a reset of the node by itself how it was done.
    """

    format: int = FORMAT
    seq: int
    time: str
    said_by: int
    kind: Kind
    node: int
    group: str = ""
    before: str
    after: str
    cause: str = ""
    away_s: float | None = None


_DECODER = msgspec.json.Decoder(list[ClusterEvent])


def cluster_event(transition: Transition, *, seq: int, time: str, said_by: int) -> ClusterEvent:
    """Return a transition with the node that saw it and the time."""
    return ClusterEvent(
        seq=seq,
        time=time,
        said_by=said_by,
        kind=transition.kind,  # type: ignore[arg-type]  # the core's kinds are those above
        node=transition.node,
        group=transition.group,
        before=transition.before,
        after=transition.after,
        cause=transition.cause,
        away_s=transition.away_s,
    )


def render_happenings(cluster_events: list[ClusterEvent]) -> bytes:
    """Return events as a JSON list."""
    return msgspec.json.encode(cluster_events)


def parse_happenings(data: bytes) -> list[ClusterEvent]:
    """Parse a JSON list of events.

    Raises:
        ValueError: it is not one.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def cluster_event_schema() -> dict[str, Any]:
    """Return the JSON schema of one event."""
    return msgspec.json.schema(ClusterEvent)
