"""Compares the views (hastat) of several nodes, and the JSON of the comparison.

A view counts if its node is the one that asks, or if a node whose view counts hears it: the last
view of a dead node is not an opinion. One whose next update is long overdue never counts: its
monitor is dead, hangs or cannot write, even if other nodes still hear it. Where two views that
count differ about the same thing, there is a disagreement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import msgspec

from mosha.formats.hastat import HEARD, Report

FORMAT = 1
UP = "up"
"""The standing of a node that is heard, by others or by itself."""

UNKNOWN = "-"
OLD_TIMES = 3
"""A view older than this many intervals is not believed."""

PAIR = 2
"""How many views an agreement needs."""


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """The view of one node: how it sees the others, and whether it sees a quorum.

    `error` is why it could not be read. `age_s` compares the wall clocks of two machines.
    `counts`: it is compared with the others. `old`: it is several times older than `every_s`,
    within which the next one was due.
    """

    node: int
    counts: bool
    age_s: float | None = None
    every_s: float | None = None
    old: bool = False
    error: str = ""
    quorum: bool | None = None
    sees: dict[int, str] = {}


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """Something that nodes report differently: `said` is node -> its value."""

    about: Literal["node", "group", "table", "quorum"]
    subject: str
    said: dict[int, str]


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """All views as node `node` could read them.

    `as_one`: at least two views count, all could be read, none of a heard node is old, and they
    agree. The single view in a cluster of one is as one too; a node that hears no other has
    nothing to compare.
    """

    format: int = FORMAT
    node: int
    views: list[NodeView]
    disagreements: list[Disagreement]
    as_one: bool = False

    @property
    def alone(self) -> bool:
        """Whether there is no view to compare with, although there are other nodes."""
        nodes = {node for view in self.views for node in (view.node, *view.sees)}
        return len(nodes) > 1 and sum(view.counts for view in self.views) < PAIR

    @property
    def doubted(self) -> list[NodeView]:
        """The old views that need attention: of nodes that are heard, or all."""
        counted = [view for view in self.views if view.counts]
        heard = {node for view in counted for node, seen in view.sees.items() if seen == UP}
        return [view for view in self.views if view.old and (view.node in heard or not heard)]


def compare(
    me: int, reports: Mapping[int, Report | str], ages_s: Mapping[int, float | None]
) -> Views:
    """Compare views.

    Args:
        me: the node that asks.
        reports: node -> its view, or why it could not be read.
        ages_s: node -> how long ago it was written, if known.
    """
    read = {node: report for node, report in reports.items() if isinstance(report, Report)}
    old = {node for node, report in read.items() if _is_old(report, ages_s.get(node))}
    counted = _counted(me, {node: report for node, report in read.items() if node not in old})
    views = [
        NodeView(
            node=node,
            counts=node in counted,
            age_s=ages_s.get(node),
            every_s=report.every_s if isinstance(report, Report) else None,
            old=node in old,
            error=report if isinstance(report, str) else "",
            quorum=report.quorum.has if isinstance(report, Report) else None,
            sees=_sees(report) if isinstance(report, Report) else {},
        )
        for node, report in sorted(reports.items())
    ]
    opinions = {node: report for node, report in sorted(read.items()) if node in counted}
    found = Views(node=me, views=views, disagreements=_disagreements(opinions))
    unread = any(view.error for view in views)
    as_one = not (found.disagreements or unread or found.alone or found.doubted)
    return msgspec.structs.replace(found, as_one=as_one)


def views_schema() -> dict[str, Any]:
    """Return the JSON schema of all views."""
    return msgspec.json.schema(Views)


def _is_old(report: Report, age_s: float | None) -> bool:
    """Say whether a file is too old to be believed (docs/reference/hastat.md)."""
    return None not in (report.every_s, age_s) and (age_s or 0) > OLD_TIMES * (report.every_s or 0)


def _counted(me: int, read: Mapping[int, Report]) -> set[int]:
    """Return the nodes whose view counts, followed from one to the next."""
    counted: set[int] = set()
    found = {me} & read.keys() or set(read)  # without this node's view: all that could be read
    while found:
        counted |= found
        found = {
            seen.node
            for node in found
            for seen in read[node].nodes
            if seen.state in HEARD and seen.node in read
        } - counted
    return counted


def _sees(report: Report) -> dict[int, str]:
    return {seen.node: UP if seen.state in HEARD else seen.state for seen in report.nodes}


def _disagreements(opinions: Mapping[int, Report]) -> list[Disagreement]:
    found: list[Disagreement] = []

    def ask(
        about: Literal["node", "group", "table", "quorum"],
        subject: str,
        say: Callable[[Report], str],
    ) -> None:
        said = {node: say(report) for node, report in opinions.items()}
        if len(set(said.values()) - {UNKNOWN}) > 1:
            found.append(Disagreement(about=about, subject=subject, said=said))

    ask("quorum", "quorum", lambda report: "yes" if report.quorum.has else "no")
    for node in sorted({seen for report in opinions.values() for seen in _sees(report)}):
        ask("node", f"node {node}", partial(_state, node))
    for table in ("cltab", "hactl"):
        ask("table", table, partial(_own_table, table))
    for group in sorted({view.group for report in opinions.values() for view in report.groups}):
        ask("group", group, partial(_where, group))
    return found


def _state(node: int, report: Report) -> str:
    return _sees(report).get(node, UNKNOWN)


def _own_table(table: str, report: Report) -> str:
    own = next((seen for seen in report.nodes if seen.node == report.node), None)
    version = own.tables.get(table) if own else None
    return f"version {version.digest[:8]}" if version else UNKNOWN


def _where(group: str, report: Report) -> str:
    view = next((view for view in report.groups if view.group == group), None)
    if view is None:
        return UNKNOWN
    places = ", ".join(str(node) for node in sorted(view.where))
    return f"on node {places}" if places else "nowhere"
