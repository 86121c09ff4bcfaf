"""Tables that are not in force: not written yet, or refused."""

from __future__ import annotations

from collections.abc import Iterable

from mosha.core.cluster.state import MonitorState


def refusing(state: MonitorState, table: str) -> list[int]:
    """Return the nodes that refuse a text of a table, this one and those that are fresh."""
    here = [state.me] if table in state.refused else []
    return sorted([*here, *(s.node for s in state.view.fresh() if table in s.refused)])


def step_for(state: MonitorState, tables: Iterable[str]) -> str:
    """Return what to do about tables that are not in force: correct or write them."""
    mended, written = [], []
    for table in tables:
        if nodes := refusing(state, table):
            mended.append(f"{table} on node {', '.join(map(str, nodes))}")
        else:
            written.append(table)
    steps = [f"correct what is refused: {'; '.join(mended)}"] if mended else []
    if written:
        steps.append(f"write {' and '.join(written)} in the directory of any node")
    return "; ".join(steps)
