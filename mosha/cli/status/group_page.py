"""The page of `mosha status GROUP`: its entries, their processes, and what they printed last."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mosha.cli.status.layout import (
    BAD,
    GAP,
    GOOD,
    MOVING,
    OLD,
    TITLE,
    age_text,
    plain,
    remedy,
    table,
)
from mosha.cli.status.page import shot_lines
from mosha.core.instance_names import single
from mosha.core.status import DELIBERATE, TroubleKind
from mosha.formats.hastat import HEARD, EntryState, EntryTrouble, GroupView, Report


def group_page(report: Report, name: str) -> RenderableType:
    """Lay out one group: the verdict, where it is, and its entries on the reporting node."""
    views = [group for group in report.groups if group.group == name]
    views = views or [group for group in report.groups if single(group.group) == name]
    if len(views) > 1:
        pages = [[group_page(report, view.group), Text()] for view in views]
        return Group(*(part for page in pages for part in page))
    if not views:
        return Text(f"{name}: no table in force names it, and no node that is heard shows it", BAD)
    view, name = views[0], views[0].group
    verdict = Text("as wanted", f"bold {GOOD}") if view.ok else Text(view.why or "NOT OK", BAD)
    parts: list[RenderableType] = [Text.assemble((f"{name}: ", TITLE), verdict)]
    if view.next:
        parts.append(remedy(view.next, GAP))
    parts += [Text(), _places(report, view)]
    if view.next_failure:
        parts += [Text(), plain(f"Failures: {view.next_failure}")]
    if view.restarted:
        parts += [Text(), plain(f"Restarts: {view.restarted}")]
    if view.gave_way and view.gave_way not in view.why:
        parts += [Text(), plain(f"Priority: {view.gave_way}")]
    if view.entries:
        parts += [Text(), _entries(view), *_output(view)]
    else:
        parts += [Text(), Text(f"node {report.node} reports no process of it", OLD)]
    elsewhere = [i.node for i in view.instances if i.node != report.node and i.node in view.where]
    for node in elsewhere:
        more = f"its processes and what they printed: mosha status {name}, on node {node}"
        parts.append(Text(more, MOVING))
    if not view.ok and (shots := _shots_of(report, view)):
        parts += [Text(), Text("Shots", TITLE), *map(plain, shots)]
    return Group(*parts)


def _shots_of(report: Report, view: GroupView) -> list[Text]:
    """Return the shots at nodes that have the group, may run it, or leave half of a cluster alone.

    The last are those that are not heard while there is no quorum.
    """
    silent = {} if report.quorum.has else {it.node for it in report.nodes if it.state not in HEARD}
    there = {instance.node for instance in view.instances}
    return shot_lines(report, there | {*view.may_run, *silent})


def _places(report: Report, view: GroupView) -> RenderableType:
    wanted = view.wanted + (f", on node {_list(view.only)} only" if view.only else "")
    wanted = f"Wanted: {wanted if view.in_hactl else 'stop, since hactl does not name it'}"
    if not (view.instances or view.bans):
        return Text(wanted)
    made = table("NODE", "IS AT", "HEARD", "NOT WELL")
    standings = {node.node: node for node in report.nodes}
    for instance in view.instances:
        node = standings.get(instance.node)
        heard = node is not None and node.state in HEARD
        here = " (this node)" if instance.node == report.node else ""
        doubt = "" if heard else f" ({node.state if node else 'not known'})"
        wrong = "; ".join(map(_wrong, instance.troubles))
        made.add_row(
            f"{instance.node}{here}{doubt}",
            f"{instance.level} {instance.state}",
            age_text(instance.age_s),
            Text(wrong or "-", _trouble_style(instance.troubles)),
            style="" if heard else OLD,
        )
    for ban in view.bans:
        text = Text(f"banned: {ban.reason}", MOVING)
        made.add_row(str(ban.node), "-", "-", text)
    made.title, made.title_justify, made.title_style = wanted, "left", ""
    return made


def _trouble_style(found: list[EntryTrouble]) -> str:
    if not found:
        return OLD
    return MOVING if all(trouble.kind in DELIBERATE for trouble in found) else BAD


def _wrong(trouble: EntryTrouble) -> str:
    """Return what is wrong with an entry, and for how long: of an outdated one that is not known.

    Its time is how long it has been running, not how old the edit is.
    """
    since = "" if trouble.kind == TroubleKind.OUTDATED else f" {age_text(trouble.for_s)}"
    return f"{trouble.tag} {trouble.kind}{since}" + (f": {trouble.text}" if trouble.text else "")


def _entries(view: GroupView) -> Table:
    made = table("ENTRY", "MODE", "STATE", "PID", "FOR", "RESTARTS", "LAST EXIT")
    for entry in view.entries:
        made.add_row(
            entry.tag,
            entry.mode,
            Text(entry.state, _style(entry)),
            str(entry.pid) if entry.pid else "-",
            age_text(entry.for_s),
            str(entry.restarts),
            entry.error or entry.exit or "-",
        )
    return made


def _style(entry: EntryState) -> str:
    if entry.error or entry.failures or entry.state in {"pausing", "timed-out", "failed"}:
        return BAD
    return GOOD if entry.state in {"running", "idle", "done", "passed"} else MOVING


def _output(view: GroupView) -> Iterator[RenderableType]:
    """Yield each entry's command and the last lines that it printed."""
    for entry in view.entries:
        if not (entry.command or entry.said):
            continue
        yield Text()
        yield Text.assemble((entry.tag, TITLE), f": {entry.command}")
        if entry.status:
            yield plain(f"status: {entry.status}")
        for line in entry.said:
            yield plain(line)


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
