"""The page that `mosha status` prints: a report, laid out for people in 80 columns.

What is wrong comes first, in words. A fact is coloured by how good it is only while it is
fresh: what a stale node said last is grey, whatever it said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mosha.cli.layout import BAD, GAP, GOOD, MOVING, OLD, TITLE, plain, remedy, table, wrong
from mosha.core.problems import GROUP_KINDS, ProblemKind
from mosha.core.status import SETTLED, GroupLine, GroupState
from mosha.core.tables import STOP_LEVEL
from mosha.formats.hastat import GroupView, Instance, NodeReport, Report
from mosha.formats.names import listed

SHORT_CHARS = 8
NAME_MAX_CHARS = 24
"""Longer names of groups are cut in the table; `--json` has them whole."""

_PRESENT = frozenset({"self", "fresh", "leaving"})
_STATES = {"self": "this node", "never": "never heard", "left": "left"}
_NOTHING = "-"
NO_QUORUM = ProblemKind.NO_QUORUM


def page(report: Report, width: int) -> RenderableType:
    """Lay out a report; tables that do not fit `width` columns get a shorter form."""
    problems = _problems(report)
    parts: list[RenderableType] = [_verdict(report, len(problems), width), *problems]
    if report.groups:
        parts += [Text(), _groups(report, width)]
    parts += [Text(), _nodes(report)]
    parts += [part for part in (_quorum(report), _margin(report)) if part]
    for title, lines in (
        ("Refused files", _refused(report)),
        ("Bans", _bans(report)),
        ("Pausing", _pausing(report)),
        ("Shots", _shots(report)),
    ):
        if lines:
            parts += [
                Text(),
                Text(title, TITLE),
                *map(plain, lines),
            ]
    return Group(*parts)


def age_text(age_s: float | None) -> str:
    """Return an age as people say it: 0.4s, 14s, 3m, 5h, 2d."""
    if age_s is None:
        return _NOTHING
    if age_s < 9.95:
        return f"{max(age_s, 0.0):.1f}s"
    for unit_s, limit_s, unit in ((1, 100, "s"), (60, 6_000, "m"), (3600, 172_800, "h")):
        if age_s < limit_s:
            return f"{age_s / unit_s:.0f}{unit}"
    return f"{age_s / 86_400:.0f}d"


# --- what is wrong ---------------------------------------------------------------------


def _verdict(report: Report, told: int, width: int) -> Text:
    as_wanted = sum(group.ok for group in report.groups)
    count = f"{as_wanted} of {len(report.groups)} groups as wanted"
    if not report.groups:
        count = "no groups: hactl names none"
    late = [node for node in report.nodes if node.late]
    awaited = [str(node.node) for node in report.nodes if not node.confirmed]
    kinds = {problem.kind for problem in report.problem_list}
    only_late = kinds <= {ProblemKind.NODE_LATE, ProblemKind.NODE_UNCONFIRMED}
    if report.as_wanted:
        verdict = Text(f"OK: {count}", f"bold {GOOD}")
    elif late and only_late and as_wanted == len(report.groups):
        missed = ", ".join(f"node {node.node} missed {node.late} heartbeats" for node in late)
        verdict = Text(f"LATE: {missed}; {count} when last heard", f"bold {MOVING}")
    elif awaited and only_late and as_wanted == len(report.groups):
        nothing = f"nothing heard of node {', '.join(awaited)} since this monitor started"
        verdict = Text(f"UNCONFIRMED: {nothing}; {count} before", f"bold {MOVING}")
    else:
        verdict = Text(f"NOT OK: {told} problem{'s' * (told != 1)}, {count}", BAD)
    seen = Text(f"seen from node {report.node} at {_clock(report.time)}", OLD)
    room = width - verdict.cell_len - seen.cell_len
    return Text.assemble(verdict, " " * room if room >= GAP else "\n", seen)


def _problems(report: Report) -> list[RenderableType]:
    """Return what is wrong, an item each; groups with one and the same trouble share an item."""
    items: list[RenderableType] = []
    told: set[str] = set()
    for problem in report.problem_list:
        of_groups = problem.kind in GROUP_KINDS
        told.update(problem.subjects if of_groups or problem.kind == NO_QUORUM else ())
        items.append(_problem(problem.subjects if of_groups else (), problem.text, problem.next))
    if not report.problem_list:  # of a monitor of an older version
        items += [_problem((), text, "") for text in report.problems]
    alike: dict[tuple[str, str], list[str]] = {}
    for group in report.groups:
        if not group.ok and group.group not in told and (report.problem_list or not items):
            trouble = (group.why or "not where it should be", group.next)
            alike.setdefault(trouble, []).append(group.group)
    return [*items, *(_problem(names, *trouble) for trouble, names in alike.items())]


def _problem(groups: Sequence[str], why: str, advice: str) -> RenderableType:
    about = ((listed(groups), TITLE), ": ") if groups else ()
    told = wrong(Text.assemble(*about, why))
    return Group(told, remedy(advice)) if advice else told


# --- groups x nodes ----------------------------------------------------------------------


def _groups(report: Report, width: int) -> RenderableType:
    """Return the widest table that fits: cells in words, cells in a word, or a list."""
    nodes = report.nodes
    rows = [[_cell(group, node) for node in nodes] for group in report.groups]
    if _fits(report, rows, width):
        return _matrix(report, rows)
    rows = [[_short_cell(group, node) for node in nodes] for group in report.groups]
    return _matrix(report, rows) if _fits(report, rows, width) else _places(report)


def _fits(report: Report, rows: Sequence[Sequence[Text]], width: int) -> bool:
    heads = [_head(node).cell_len for node in report.nodes]
    cells = [max([head, *(row[i].cell_len for row in rows)]) for i, head in enumerate(heads)]
    names = max(cell_len(_name(group)) for group in report.groups)
    wishes = max(cell_len(group.wanted) for group in report.groups)
    return sum(cells) + max(names, 5) + max(wishes, 6) + GAP * (len(cells) + 1) <= width


def _matrix(report: Report, rows: Sequence[Sequence[Text]]) -> Table:
    made = table("GROUP", "WANTED", *(_head(node) for node in report.nodes))
    for group, row in zip(report.groups, rows, strict=True):
        made.add_row(_title(group), group.wanted, *row)
    return made


def _places(report: Report) -> Table:
    """Return the table for many nodes: where each group is, in words."""
    standings = {node.node: node for node in report.nodes}
    made = table("GROUP", "WANTED", "WHERE")
    for group in report.groups:
        told = [
            Text.assemble(
                f"{instance.node}: ",
                _instance(group, instance, standings.get(instance.node)),
                _doubt(standings.get(instance.node)),
            )
            for instance in _shown(group)
        ]
        made.add_row(_title(group), group.wanted, Text(", ").join(told) or Text(_NOTHING, OLD))
    return made


def _head(node: NodeReport) -> Text:
    here = node.state in _PRESENT
    word = "" if here and _timely(node) else f" {_standing(node)}"
    return Text(f"NODE {node.node}{word}", TITLE if here else OLD)


def _name(group: GroupView) -> str:
    name = group.group
    return name if len(name) <= NAME_MAX_CHARS else name[: NAME_MAX_CHARS - 1] + "…"


def _title(group: GroupView) -> Text:
    return Text(_name(group), TITLE if group.ok else BAD)


def _shown(group: GroupView) -> list[Instance]:
    """Return the instances that count: what has stopped (H3.1) and is not claimed is nothing."""
    return [
        instance
        for instance in group.instances
        if instance.claim_term is not None or GroupLine(instance.level, instance.state).active
    ]


def _on(group: GroupView, node: NodeReport) -> Instance | None:
    return next((i for i in _shown(group) if i.node == node.node), None)


def _cell(group: GroupView, node: NodeReport) -> Text:
    instance = _on(group, node)
    if instance is not None:
        return _instance(group, instance, node)
    ban = next((ban for ban in group.bans if ban.node == node.node), None)
    return Text(f"banned {age_text(ban.left_s)}", MOVING) if ban else Text(_NOTHING, OLD)


def _instance(group: GroupView, instance: Instance, node: NodeReport | None) -> Text:
    said_by = f" (by {instance.said_by})" if instance.said_by != instance.node else ""
    told = (
        f"{instance.level} {instance.state}{_wrong(instance)} {age_text(instance.age_s)}{said_by}"
    )
    return Text(told, _style(group, instance, node))


def _doubt(node: NodeReport | None) -> Text:
    """Return what a reader has to know who sees neither colours nor the node's own column."""
    if node is None or (node.state in _PRESENT and _timely(node)):
        return Text()
    return Text(f" ({_standing(node)})", OLD if node.state not in _PRESENT else MOVING)


def _wrong(instance: Instance) -> str:
    """Return what is wrong with its entries, in a word or two."""
    first = next(iter(instance.troubles), None)
    if first is None:
        return ""
    more = len(instance.troubles) - 1
    return f", {first.tag} {first.kind}" + (f" +{more}" if more else "")


def _short_cell(group: GroupView, node: NodeReport) -> Text:
    instance = _on(group, node)
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
    # Without colours too what a node that is not heard said last must not read as the truth.
    return Text(word if node.state in _PRESENT else f"{word}?", _style(group, instance, node))


def _style(group: GroupView, instance: Instance, node: NodeReport | None) -> str:
    if node is None or node.state not in _PRESENT:
        return OLD
    if instance.state is GroupState.FAILED:
        return BAD
    if instance.troubles:
        return MOVING if all(it.kind == "outdated" for it in instance.troubles) else BAD
    if instance.state not in (GroupState.DONE, GroupState.PASSED) or not _timely(node):
        return MOVING
    if instance.level == STOP_LEVEL:
        return OLD
    return GOOD if instance.level == group.wanted else MOVING


# --- nodes -------------------------------------------------------------------------------


def _nodes(report: Report) -> Table:
    own = next((node for node in report.nodes if node.state == "self"), None)
    made = table("NODE", "STATE", "HEARD", "ROUND TRIP", "GROUPS", "REMARKS")
    for node in report.nodes:
        here = node.state in _PRESENT
        well = _timely(node) and not (node.silent or node.error)
        style = OLD if not here else GOOD if well else MOVING
        trip = f"{node.roundtrip_s * 1000:.0f} ms" if node.roundtrip_s is not None else _NOTHING
        made.add_row(
            str(node.node),
            Text(_standing(node), BAD if node.state == "stale" else style),
            Text(age_text(node.age_s), "" if here else OLD),
            Text(trip, "" if here else OLD),
            Text(str(node.load), "" if here else OLD),
            Text("; ".join(_remarks(node, own)), "" if here else OLD),
        )
    return made


def _timely(node: NodeReport) -> bool:
    """Say whether what a node says is of now."""
    return node.confirmed and not node.late


def _standing(node: NodeReport) -> str:
    if node.late:
        return "late"
    return _STATES.get(node.state, node.state) if node.confirmed else "unconfirmed"


def _remarks(node: NodeReport, own: NodeReport | None) -> Iterable[str]:
    if node.late:
        yield f"{node.late} heartbeats missed"
    if node.standby:
        yield "on standby"
    if node.silent:
        yield "does not vote yet"
    if node.refused:
        yield f"refuses {', '.join(sorted(node.refused))}"
    elif own is not None and node.state in _PRESENT and node.tables:
        other = [name for name, seen in node.tables.items() if own.tables.get(name) != seen]
        if other:
            yield f"another {' and '.join(sorted(other))} than here"
    if node.error:
        yield node.error


def _quorum(report: Report) -> Text:
    quorum = report.quorum
    needs = f"{quorum.seen} of {len(quorum.electorate)} nodes, {quorum.needed} needed"
    told = f"{'yes' if quorum.has else 'NO'}, {quorum.reason or needs} ({quorum.policy})"
    return Text.assemble("\n", ("Quorum: ", TITLE), (told, "" if quorum.has else BAD))


def _margin(report: Report) -> Text:
    margin = report.margin
    if margin.lease_margin is None:
        return Text()
    told = f"{margin.lease_margin:.1f} times what a renewal takes"
    if margin.roundtrip_s is not None:
        told += f" (round trip {margin.roundtrip_s * 1000:.0f} ms)"
    style = MOVING if margin.warning else ""
    return Text.assemble(("Lease:  ", TITLE), (f"{report.timing.lease_s:g} s, {told}", style))


# --- what only sometimes is there --------------------------------------------------------


def _refused(report: Report) -> list[Text]:
    return [
        Text(f"{refusal.file} on node {refusal.node}: {refusal.text}") for refusal in report.refused
    ]


def _bans(report: Report) -> list[Text]:
    return [
        Text(f"{group.group} not on node {ban.node} for {age_text(ban.left_s)}: {ban.reason}")
        for group in report.groups
        for ban in group.bans
    ]


def _pausing(report: Report) -> list[Text]:
    return [
        Text(f"{group.group}: {pause.tag} respawned too rapidly, goes on in {left}")
        for group in report.groups
        for pause in group.throttled
        if (left := age_text(pause.left_s))
    ]


def _shots(report: Report) -> list[Text]:
    return [
        Text(
            f"node {shot.node}: {shot.method or 'no method yet'}, {shot.outcome or 'under way'},"
            f" {age_text(shot.age_s)} ago" + (f": {shot.detail}" if shot.detail else "")
        )
        for shot in report.shots
    ]


# --- layout ------------------------------------------------------------------------------


def _clock(time: str) -> str:
    """Return a report's time as this machine's clock shows it."""
    try:
        return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
    except ValueError:
        return time
