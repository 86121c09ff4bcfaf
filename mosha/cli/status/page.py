"""The page that `mosha status` prints: a report, laid out for people in 80 columns.

Problems come first, in words.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from mosha.cli.status.groups import grid
from mosha.cli.status.layout import (
    BAD,
    GAP,
    GOOD,
    MOVING,
    OLD,
    TITLE,
    Item,
    age_text,
    plain,
    remedy,
    wrong,
)
from mosha.cli.status.nodes import lease_line, nodes_grid, quorum_line, watchdog_line
from mosha.core.explain.problems import GROUP_KINDS, ProblemKind
from mosha.formats.hastat import FencingReport, Report
from mosha.formats.names import listed

NO_QUORUM = ProblemKind.NO_QUORUM

FENCING_LINES_MAX = 10
"""Of a bigger cluster, methods whose tests are good are one line, and those without a test."""


def page(report: Report, width: int) -> RenderableType:
    """Lay out a report; tables wider than `width` columns get a shorter form."""
    parts: list[RenderableType] = [verdict(report, width), *items_of(troubles(report))]
    if report.groups:
        parts += [Text(), grid(report, report.groups, width).for_page(width)]
    parts += [Text(), nodes_grid(report).for_page(width), Text(), quorum_line(report)]
    if lease := lease_line(report):
        parts.append(lease)
    if watchdog := watchdog_line(report):
        parts.append(watchdog)
    for title, lines in sections(report):
        parts += [Text(), title, *map(plain, lines)]
    return Group(*parts)


def sections(report: Report) -> Iterator[tuple[Text, list[Text]]]:
    """Yield the sections that are not always there: a title, and lines."""
    for title, lines in (
        ("Refused files", _refused(report)),
        ("Bans", _bans(report)),
        ("Pausing", _pausing(report)),
        ("Fencing", _fencing(report)),
        ("Shots", shot_lines(report)),
    ):
        if lines:
            yield Text(title, TITLE), lines


# --- what is wrong ---------------------------------------------------------------------


class TroubleLine(NamedTuple):
    """One problem: of which groups, if of groups; what; and what to do."""

    groups: Sequence[str]
    text: str
    advice: str


def verdict(report: Report, width: int) -> Text:
    """Return the first line or two: the verdict, and which node reports it when."""
    as_wanted = sum(group.ok for group in report.groups)
    count = f"{as_wanted} of {len(report.groups)} groups as wanted"
    if not report.groups:
        count = "no groups: hactl names none"
    late = [node for node in report.nodes if node.late]
    awaited = [str(node.node) for node in report.nodes if not node.confirmed]
    kinds = {problem.kind for problem in report.problem_list}
    only_late = kinds <= {ProblemKind.NODE_LATE, ProblemKind.NODE_UNCONFIRMED}
    if report.as_wanted:
        word = Text(f"OK: {count}", f"bold {GOOD}")
    elif late and only_late and as_wanted == len(report.groups):
        missed = ", ".join(f"node {node.node} missed {node.late} heartbeats" for node in late)
        word = Text(f"LATE: {missed}; {count} when last heard", f"bold {MOVING}")
    elif awaited and only_late and as_wanted == len(report.groups):
        nothing = f"nothing heard of node {', '.join(awaited)} since this monitor started"
        word = Text(f"UNCONFIRMED: {nothing}; {count} before", f"bold {MOVING}")
    else:
        text = len(troubles(report))
        if as_wanted == len(report.groups) > 0:
            count = f"but {count}"
        word = Text(f"NOT OK: {text} problem{'s' * (text != 1)}, {count}", BAD)
    seen = Text(f"seen from node {report.node} at {_clock(report.time)}", OLD)
    room = width - word.cell_len - seen.cell_len
    return Text.assemble(word, " " * room if room >= GAP else "\n", seen)


def troubles(report: Report) -> list[TroubleLine]:
    """Return the problems; groups with the same problem share one line."""
    found: list[TroubleLine] = []
    told: set[str] = set()
    for problem in report.problem_list:
        of_groups = problem.kind in GROUP_KINDS
        told.update(problem.subjects if of_groups or problem.kind == NO_QUORUM else ())
        groups = problem.subjects if of_groups else ()
        found.append(TroubleLine(groups, problem.text, problem.next))
    if not report.problem_list:  # of a monitor of an older version
        found += [TroubleLine((), text, "") for text in report.problems]
    alike: dict[tuple[str, str], list[str]] = {}
    for group in report.groups:
        if not group.ok and group.group not in told and (report.problem_list or not found):
            trouble = (group.why or "not where it should be", group.next)
            alike.setdefault(trouble, []).append(group.group)
    return [*found, *(TroubleLine(names, *trouble) for trouble, names in alike.items())]


def items_of(found: Iterable[TroubleLine]) -> Iterator[Item]:
    """Yield a paragraph per problem, each with what to do about it."""
    for trouble in found:
        about = ((listed(trouble.groups), TITLE), ": ") if trouble.groups else ()
        yield wrong(Text.assemble(*about, trouble.text))
        if trouble.advice:
            yield remedy(trouble.advice)


# --- sections that are not always there --------------------------------------------------


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


def _fencing(report: Report) -> list[Text]:
    """Return when each method was last good for each node; of many only those that failed."""
    bad = [test for test in report.fencing if test.failure or test.overdue]
    well = [test for test in report.fencing if not (test.failure or test.overdue)]
    ages_s = [test.good_age_s or 0.0 for test in well if test.good_at is not None]
    untested = len(well) - len(ages_s)
    shown = report.fencing if len(report.fencing) <= FENCING_LINES_MAX else bad
    lines = [
        Text(f"node {test.node}: method {test.number} ({test.method}), {_tested(test)}")
        for test in shown
    ]
    if shown is bad and ages_s:
        oldest = age_text(max(ages_s))
        lines.append(Text(f"{len(ages_s)} more are good, the oldest test {oldest} ago"))
    if shown is bad and untested:
        lines.append(Text(f"{untested} {'is' if untested == 1 else 'are'} not tested yet"))
    return lines


def _tested(test: FencingReport) -> str:
    when = "never good"
    if test.good_at is not None:
        when = f"last good test at {_clock(test.good_at)}, {age_text(test.good_age_s)} ago"
    elif not test.failure:
        when = "not tested yet"
    return f"FAILED, {when}" if test.failure else when


def shot_lines(report: Report, nodes: Container[int] | None = None) -> list[Text]:
    """Return the shots of the reporting node, with `nodes` only those at these."""
    return [
        Text(
            f"node {shot.node}: {shot.method or 'no method yet'},"
            f" {', '.join(filter(None, (shot.outcome, shot.grade)))}, {age_text(shot.age_s)} ago"
            + (f": {shot.detail}" if shot.detail else "")
        )
        for shot in report.shots
        if nodes is None or shot.node in nodes
    ]


# --- layout ------------------------------------------------------------------------------


def _clock(time: str) -> str:
    """Return a report's time in this machine's time zone."""
    try:
        return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
    except ValueError:
        return time
