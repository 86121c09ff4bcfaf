"""Reports as a monitor makes them, for tests: a healthy cluster, and what can be wrong."""

from __future__ import annotations

from mosha.core.status import GroupState
from mosha.formats.hastat import (
    GroupView,
    Instance,
    Margin,
    NodeReport,
    Quorum,
    Report,
    TableSeen,
    Times,
)

TABLES = {"cltab": TableSeen(mtime_ns=1, digest="aa"), "hactl": TableSeen(mtime_ns=2, digest="bb")}
TIMES = Times(timeout_s=60, heartbeat_s=5, lease_s=36, stop_budget_s=18)


def node(number: int, state: str = "fresh", **fields: object) -> NodeReport:
    """Return a node that was heard a moment ago."""
    plain = {"age_s": 0.4, "roundtrip_s": None if state == "self" else 0.021, "tables": TABLES}
    return NodeReport(node=number, state=state, **(plain | fields))  # type: ignore[arg-type]


def on(number: int, level: str = "start", state: str = "DONE", **fields: object) -> Instance:
    """Return an instance as its own node tells it."""
    plain = {"age_s": 0.4, "said_by": number, "claim_term": 3}
    told = plain | fields
    return Instance(node=number, level=level, state=GroupState(state), **told)  # type: ignore[arg-type]


def group(name: str, *instances: Instance, **fields: object) -> GroupView:
    """Return a group that is wanted at `start`; as wanted, unless `fields` say otherwise."""
    plain = {"wanted": "start", "ok": True, "where": [i.node for i in instances]}
    return GroupView(group=name, instances=list(instances), **(plain | fields))  # type: ignore[arg-type]


def report(**fields: object) -> Report:
    """Return the report of node 1 of three, with two groups as wanted."""
    plain = {
        "node": 1,
        "time": "2025-11-22T10:31:02.123+00:00",
        "quorum": Quorum(
            has=True,
            policy="majority",
            seen=3,
            electorate=[1, 2, 3],
            needed=2,
            reason="3 of 3 nodes fresh, 2 needed",
        ),
        "nodes": [node(1, "self", load=1), node(2, load=1), node(3)],
        "groups": [group("db", on(2)), group("web", on(1))],
        "margin": Margin(lease_margin=7.2, roundtrip_s=0.021),
        "timing": TIMES,
    }
    return Report(**(plain | fields))  # type: ignore[arg-type]
