"""The table of groups in `mosha status`, in the widest form that fits.

A fact is coloured by how good it is only while it is fresh: the last report of a stale node is
grey, whatever it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from mosha.cli.status.layout import BAD, GOOD, MOVING, OLD, TITLE, Grid, age_text
from mosha.cli.status.nodes import PRESENT, standing, timely
from mosha.core.status import DELIBERATE, SETTLED, GroupLine, GroupState
from mosha.core.tables import STOP_LEVEL
from mosha.formats.hastat import GroupView, Instance, NodeReport, Report

SHORT_CHARS = 8
NAME_MAX_CHARS = 24
"""Longer group names are cut in the table; `--json` has the whole names."""

_NOTHING = "-"
Cell = Callable[[GroupView, Instance | None, NodeReport], Text]


def grid(report: Report, groups: Sequence[GroupView], width: int) -> Grid:
    """Return the widest table of these groups that fits: cells of words, of one word, or a list."""
    if _matrix(report, [], _cell).width <= width:  # with many nodes the heads alone are too wide
        for cell in (_cell, _short_cell):
            made = _matrix(report, groups, cell)
            if made.width <= width:
                return made
    return _places(report, groups)


def _matrix(report: Report, groups: Sequence[GroupView], cell: Cell) -> Grid:
    heads = [*_titles("GROUP", "WANTED"), *map(_head, report.nodes)]
    rows = []
    for group in groups:
        shown = {instance.node: instance for instance in reversed(_shown(group))}
        cells = [cell(group, shown.get(node.node), node) for node in report.nodes]
        rows.append([_title(group), Text(group.wanted), *cells])
    return Grid(heads, rows)


def _places(report: Report, groups: Sequence[GroupView]) -> Grid:
    """Return the table for many nodes: where each group is, in words."""
    standings = {node.node: node for node in report.nodes}
    rows = []
    for group in groups:
        text = [
            Text.assemble(
                f"{instance.node}: ",
                _instance(group, instance, standings.get(instance.node)),
                _doubt(standings.get(instance.node)),
            )
            for instance in _shown(group)
        ]
        where = Text(", ").join(text) or Text(_NOTHING, OLD)
        rows.append([_title(group), Text(group.wanted), where])
    return Grid(_titles("GROUP", "WANTED", "WHERE"), rows)


def _titles(*heads: str) -> list[Text]:
    return [Text(head, TITLE) for head in heads]


def _head(node: NodeReport) -> Text:
    here = node.state in PRESENT
    word = "" if here and timely(node) else f" {standing(node)}"
    return Text(f"NODE {node.node}{word}", TITLE if here else OLD)


def _name(group: GroupView) -> str:
    name = group.group
    return name if len(name) <= NAME_MAX_CHARS else name[: NAME_MAX_CHARS - 1] + "…"


def _title(group: GroupView) -> Text:
    return Text(_name(group), TITLE if group.ok else BAD)


def _shown(group: GroupView) -> list[Instance]:
    """Return the instances that count: one that has stopped (H3.1) and is not claimed does not."""
    return [
        instance
        for instance in group.instances
        if instance.claim_term is not None or GroupLine(instance.level, instance.state).active
    ]


def _cell(group: GroupView, instance: Instance | None, node: NodeReport) -> Text:
    if instance is not None:
        return _instance(group, instance, node)
    ban = next((ban for ban in group.bans if ban.node == node.node), None)
    return Text(f"banned {age_text(ban.left_s)}", MOVING) if ban else Text(_NOTHING, OLD)


def _instance(group: GroupView, instance: Instance, node: NodeReport | None) -> Text:
    said_by = f" (by {instance.said_by})" if instance.said_by != instance.node else ""
    text = (
        f"{instance.level} {instance.state}{_wrong(instance)} {age_text(instance.age_s)}{said_by}"
    )
    return Text(text, _style(group, instance, node))


def _doubt(node: NodeReport | None) -> Text:
    """Return what a reader needs to know without colours and without the node's column."""
    if node is None or (node.state in PRESENT and timely(node)):
        return Text()
    return Text(f" ({standing(node)})", OLD if node.state not in PRESENT else MOVING)


def _wrong(instance: Instance) -> str:
    """Return what is wrong with the entries, in a word or two."""
    first = next(iter(instance.troubles), None)
    if first is None:
        return ""
    more = len(instance.troubles) - 1
    return f", {first.tag} {first.kind}" + (f" +{more}" if more else "")


def _short_cell(group: GroupView, instance: Instance | None, node: NodeReport) -> Text:
    if instance is None:
        banned = any(ban.node == node.node for ban in group.bans)
        return Text("ban", MOVING) if banned else Text(_NOTHING, OLD)
    if instance.state is GroupState.FAILED:
        word = "FAILED"
    elif instance.troubles:
        word = instance.troubles[0].kind
    elif instance.level == group.wanted and instance.state is GroupState.DONE:
        word = "runs"
    elif instance.state not in SETTLED:
        word = instance.state.lower()
    else:
        word = instance.level[:SHORT_CHARS]
    # Also without colours, the last report of a silent node must not read as current.
    return Text(word if node.state in PRESENT else f"{word}?", _style(group, instance, node))


def _style(group: GroupView, instance: Instance, node: NodeReport | None) -> str:
    if node is None or node.state not in PRESENT:
        return OLD
    if instance.state is GroupState.FAILED:
        return BAD
    if instance.troubles:
        return MOVING if all(it.kind in DELIBERATE for it in instance.troubles) else BAD
    if instance.state not in (GroupState.DONE, GroupState.PASSED) or not timely(node):
        return MOVING
    if instance.level == STOP_LEVEL:
        return OLD
    return GOOD if instance.level == group.wanted else MOVING
