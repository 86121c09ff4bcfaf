"""The page of `mosha views`: the disagreements first, then how each node sees the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mosha.cli.status.layout import BAD, GAP, GOOD, MOVING, OLD, TITLE, age_text, table, wrong
from mosha.formats.views import UNKNOWN, UP, NodeView, Views

CELL_CHARS = 8


def views_page(views: Views, width: int) -> RenderableType:
    """Lay out the views; a matrix if it fits `width` columns, else a line for each node."""
    unread = [view for view in views.views if view.error]
    count = len(views.disagreements)
    counted = sum(view.counts for view in views.views)
    old = views.doubted
    if count or unread or old:
        text = [f"{count} disagreement{'s' * (count != 1)}"] if count else []
        text += [f"{len(unread)} view{'s' * (len(unread) != 1)} not read"] if unread else []
        text += [f"{len(old)} view{'s are' if len(old) != 1 else ' is'} old"] if old else []
        verdict = Text(f"NOT AS ONE: {', '.join(text)}", BAD)
    elif views.alone:
        verdict = Text(f"ALONE: {_nobody(views)}: there is no view to compare with", BAD)
    else:
        verdict = Text(f"AS ONE: {counted} views agree", f"bold {GOOD}")
    parts: list[RenderableType] = [verdict]
    parts += [_item(item.subject, _said(item.said)) for item in views.disagreements]
    parts += [_item(f"the view of node {view.node}", view.error) for view in unread]
    parts += [_item(f"the view of node {view.node}", _old(view)) for view in old]
    fits = (CELL_CHARS + GAP) * (len(views.views) + 3) <= width
    return Group(*parts, Text(), _matrix(views.views) if fits else _list(views.views))


def _nobody(views: Views) -> str:
    counts = next((view.node for view in views.views if view.counts), None)
    return "no view counts" if counts is None else f"node {counts} hears no other node"


def _old(view: NodeView) -> str:
    return (
        f"written {age_text(view.age_s)} ago, and due every {view.every_s:g} s: its monitor is "
        "dead, hangs or cannot write; or a clock is wrong"
    )


def _item(subject: str, text: str) -> RenderableType:
    return wrong(Text.assemble((f"{subject}: ", TITLE), text))


def _said(said: Mapping[int, str]) -> str:
    """Return what the nodes report, those that agree together."""
    alike: dict[str, list[int]] = {}
    for node, text in said.items():
        alike.setdefault(text, []).append(node)
    return "; ".join(
        f"{text}, say{'s' * (len(nodes) == 1)} node {', '.join(map(str, nodes))}"
        for text, nodes in alike.items()
        if text != UNKNOWN
    )


def _matrix(views: Sequence[NodeView]) -> Table:
    nodes = sorted({node for view in views for node in (view.node, *view.sees)})
    made = table("SEEN BY", "WRITTEN", "QUORUM", *(f"NODE {node}" for node in nodes))
    for view in views:
        cells = [_cell(view, node) for node in nodes]
        made.add_row(_name(view), _age(view), _quorum(view), *cells)
    return made


def _list(views: Sequence[NodeView]) -> Table:
    made = table("SEEN BY", "WRITTEN", "QUORUM", "NOT UP")
    for view in views:
        away = [f"{node} {state}" for node, state in sorted(view.sees.items()) if state != UP]
        text = view.error or ", ".join(away) or "none"
        made.add_row(_name(view), _age(view), _quorum(view), Text(text, _style(view, "")))
    return made


def _name(view: NodeView) -> Text:
    word = " (old)" if view.old else "" if view.counts or view.error else " (not heard)"
    return Text(f"node {view.node}{word}", _style(view, TITLE))


def _age(view: NodeView) -> Text:
    return Text(f"{age_text(view.age_s)} ago" if view.age_s is not None else "-", _style(view, ""))


def _quorum(view: NodeView) -> Text:
    if view.quorum is None:
        return Text("-", OLD)
    return Text("yes" if view.quorum else "NO", _style(view, "" if view.quorum else BAD))


def _cell(view: NodeView, node: int) -> Text:
    state = view.sees.get(node, UNKNOWN)
    style = {UP: GOOD, UNKNOWN: OLD, "stale": BAD}.get(state, MOVING)
    return Text(state, _style(view, style))


def _style(view: NodeView, style: str) -> str:
    """Return the style; a view that does not count is grey, whatever it says."""
    return style if view.counts else OLD
