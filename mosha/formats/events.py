"""The JSON of `mosha events`: one object for each transition, a line each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mosha.core.explain.transitions import Transition

FORMAT = 1

Kind = Literal[
    "quorum", "node", "monitor", "clinit", "shot", "table", "ban", "entry", "group", "move"
]


class ClusterEvent(
    msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}
):
    """One transition, as node `said_by` saw it at `time` (UTC, ISO 8601).

    `seq` counts those that the node has kept, over restarts of its monitor. `kind` says what `from`
    and `to` are: of a node its standing, of a group its level and state on `node`, `-` being
    "nothing"; of a move the nodes, `away_s` being for how long the group ran on none; of a clinit
    that was replaced the processes.
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
    """Return a transition with who saw it and when."""
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
    """Write events as a JSON list."""
    return msgspec.json.encode(cluster_events)


def parse_happenings(data: bytes) -> list[ClusterEvent]:
    """Read a JSON list of events.

    Raises:
        ValueError: it is none.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def happening_schema() -> dict[str, Any]:
    """Return the JSON schema of one event."""
    return msgspec.json.schema(ClusterEvent)
