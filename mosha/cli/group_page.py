"""The page of `mosha status GROUP`: its entries, their processes, and what they printed last."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mosha.cli.status_page import BAD, GAP, GOOD, MOVING, OLD, TITLE, age_text
from mosha.formats.hastat import HEARD, EntryState, GroupView, Report


def group_page(report: Report, name: str) -> RenderableType:
    """Lay out one group: the verdict, where it is, and its entries on the reporting node."""
    view = next((group for group in report.groups if group.group == name), None)
    if view is None:
        return Text(f"{name}: no table in force names it, and it runs nowhere", BAD)
    verdict = Text("as wanted", f"bold {GOOD}") if view.ok else Text(view.why or "NOT OK", BAD)
    parts: list[RenderableType] = [Text.assemble((f"{name}: ", TITLE), verdict)]
    if view.next:
        parts.append(Padding(Text.assemble(("-> ", MOVING), view.next), (0, 0, 0, GAP)))
    parts += [Text(), _places(report, view)]
    if view.entries:
        parts += [Text(), _entries(view), *_output(view)]
    else:
        parts += [Text(), Text(f"node {report.node} has no entry of it", OLD)]
    elsewhere = [i.node for i in view.instances if i.node != report.node and i.node in view.where]
    for node in elsewhere:
        more = f"its processes and what they printed: mosha status {name}, on node {node}"
        parts.append(Text(more, MOVING))
    return Group(*parts)


def _places(report: Report, view: GroupView) -> Table:
    table = _table("NODE", "IS AT", "HEARD", "NOT WELL")
    standings = {node.node: node for node in report.nodes}
    for instance in view.instances:
        node = standings.get(instance.node)
        heard = node is not None and node.state in HEARD
        here = " (this node)" if instance.node == report.node else ""
        doubt = "" if heard else f" ({node.state if node else 'not known'})"
        wrong = "; ".join(
            f"{it.tag} {it.kind} {age_text(it.for_s)}" + (f": {it.text}" if it.text else "")
            for it in instance.troubles
        )
        table.add_row(
            f"{instance.node}{here}{doubt}",
            f"{instance.level} {instance.state}",
            age_text(instance.age_s),
            Text(wrong or "-", BAD if wrong else OLD),
            style="" if heard else OLD,
        )
    for ban in view.bans:
        told = Text(f"banned: {ban.reason}", MOVING)
        table.add_row(str(ban.node), "-", "-", told)
    wanted = view.wanted + (f", on node {_list(view.only)} only" if view.only else "")
    table.title, table.title_justify, table.title_style = f"Wanted: {wanted}", "left", ""
    return table


def _entries(view: GroupView) -> Table:
    table = _table("ENTRY", "MODE", "STATE", "PID", "FOR", "RESTARTS", "LAST EXIT")
    for entry in view.entries:
        table.add_row(
            entry.tag,
            entry.mode,
            Text(entry.state, _style(entry)),
            str(entry.pid) if entry.pid else "-",
            age_text(entry.for_s),
            str(entry.restarts),
            entry.error or entry.exit or "-",
        )
    return table


def _style(entry: EntryState) -> str:
    if entry.error or entry.failures or entry.state in {"pausing", "timed-out", "failed"}:
        return BAD
    return GOOD if entry.state in {"running", "done", "passed"} else MOVING


def _output(view: GroupView) -> Iterator[RenderableType]:
    """Yield what each entry executes, and the last lines that it printed."""
    for entry in view.entries:
        if not (entry.command or entry.said):
            continue
        yield Text()
        yield Text.assemble((entry.tag, TITLE), f": {entry.command}")
        for line in entry.said:
            yield Padding(Text(line), (0, 0, 0, GAP))


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=TITLE)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table
