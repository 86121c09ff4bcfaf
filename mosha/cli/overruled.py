"""Orders that a later edit of hactl has overruled: what was waited for will not come about."""

from __future__ import annotations

from mosha.core.explain.problems import ProblemKind
from mosha.core.tables import STOP_LEVEL
from mosha.formats.hastat import HEARD, GroupView, Report


def overruled(level: str, view: GroupView | None) -> str:
    """Return that hactl no longer wants a group at `level`, and what it says now; else "".

    `level` is what it said when the order was given, "" if that is not known. `view` is the group
    now, None if no table and no node names it.
    """
    if not level or (view is not None and view.wanted == level):
        return ""
    if view is None or not view.in_hactl:
        return "" if level == STOP_LEVEL else "hactl was changed meanwhile and no longer names it"
    return f"hactl was changed meanwhile and wants it {_at(view.wanted)} now, not {_at(level)}"


def knows_all(report: Report) -> bool:
    """Say whether a group that no table and no node names runs nowhere: it was erased and stopped.

    Not so if a node is silent, if the monitor has just started, or does not hear its clinit.
    """
    known = HEARD | {"left", "fenced"}
    return (
        report.quorum.has
        and all(node.state in known and node.confirmed for node in report.nodes)
        and all(problem.kind != ProblemKind.HOST for problem in report.problem_list)
    )


def _at(level: str) -> str:
    return "stopped" if level == STOP_LEVEL else f"at {level}"
