"""Waits until a group is where a command wants it, and prints the progress meanwhile.

It waits no longer than makes sense: a move that came back, a stop that failed, a ban that ends
after the limit and a later edit of hactl do not resolve themselves meanwhile, and the answer says
what is in the way.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import click
from msgspec import Struct
from msgspec.structs import replace

from mosha.cli.ask import ask_report
from mosha.cli.overruled import knows_all, overruled
from mosha.core.cluster.orders import MOVED
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.wording import late, said
from mosha.core.explain.problems import ProblemKind
from mosha.core.instance_names import node_of, single
from mosha.core.status import (
    DELIBERATE,
    SETTLED,
    STOPPED,
    GroupLine,
    GroupState,
    TroubleKind,
)
from mosha.core.supervision.entries import BEING_RESTARTED, PUBLISHED_PER_GROUP_MAX
from mosha.core.tables import STOP_LEVEL
from mosha.errors import HostError
from mosha.formats.hastat import GroupView, Instance, Report
from mosha.formats.names import listed
from mosha.formats.settings import Settings

LOOK_EVERY_S = 0.3
STOP_LOOK_LIMIT_S = 1.0
# A program that cannot be executed, or that ends at once, has failed by then.
STEADY_S = 1.0


class Move(Struct, frozen=True):
    """Where a group is to go: to node `to`, 0: to any but `where`; `term`: of its claim there."""

    to: int
    where: tuple[int, ...] = ()
    term: int = 0


class EntryGoal(Struct, frozen=True):
    """How one entry of a group is to be where the group runs: stopped by an operator, or well."""

    tag: str
    stopped: bool = False


class Goal(Struct, frozen=True):
    """What to wait for: that a group is at `level`, after its move if there is one.

    With an `entry` only that one counts. `level` is what hactl said when the order was given: if
    it says something else later, the goal is not reached. "" (not known): whatever it says.
    """

    group: str
    level: str = ""
    move: Move | None = None
    entry: EntryGoal | None = None


class WaitOutcome(NamedTuple):
    """How a wait ended, in words."""

    reached: bool
    text: str


def before_move(report: Report, group: str, node: int) -> Goal:
    """Return the goal of a move to `node` (0: to any other) that is ordered after `report`."""
    view = _view(report, group)
    if view is None:
        return Goal(group, move=Move(node))
    terms = [item.claim_term or 0 for item in view.instances]
    return Goal(group, move=Move(node, tuple(view.where), max(terms, default=0)))


def wait_for(settings: Settings, goal: Goal, limit_s: float) -> WaitOutcome:
    """Wait for a group; return whether the goal was reached, and if not why.

    Each change of what is known about it is a line on stderr.
    """
    deadline, shown, said = time.monotonic() + limit_s, "", ""
    reached_at: float | None = None
    failed: dict[int, str] = {}
    while True:
        report, _ = ask_report(settings)
        left_s = deadline - time.monotonic()
        views = about(report, goal)
        view = next((it for it in views if not it.ok), views[0] if views else None)
        failed |= {ban.node: ban.reason for it in views for ban in it.bans}
        outcome = judge_all(goal, views, report, left_s, failed)
        if outcome is None or not outcome.reached:
            reached_at = None
        else:
            reached_at = reached_at or time.monotonic()
        if outcome is not None and _holds(outcome, view, reached_at, left_s):
            return outcome
        now = _standing(view.group if view is not None else goal.group, view)
        if reached_at is None and (mark := _COUNTED.sub("#", now)) != shown:
            click.echo(said := now, err=True)
            shown = mark
        if left_s <= 0:
            more = "" if now == said else f"; {now}"
            more += f"; {view.next}" if view is not None and view.next else ""
            return WaitOutcome(False, f"{goal.group}: not reached within {limit_s:g} s{more}")
        time.sleep(LOOK_EVERY_S)


def follow_stop(settings: Settings, ended: Callable[[float], bool]) -> None:
    """Print which groups of a leaving node are still up, a line per change, until it has `ended`.

    `ended` waits for at most that many seconds, and returns whether the node has ended.
    """
    _follow(settings, ended, _still_here)


def follow_order(settings: Settings, group: str, ended: Callable[[float], bool]) -> None:
    """Print what delays an order for an entry of a group, a line per change, as `follow_stop`."""
    _follow(settings, ended, lambda report: _delay(report, group))


def _delay(report: Report, group: str) -> str:
    """Return in one line what is not as it should be where a group is, "" if all is."""
    view = _view(report, group)
    if view is None:
        return ""
    at = {item.node for item in view.instances}
    nodes = [each for each in report.nodes if each.node in at and each.node != report.node]
    found = [f"node {each.node} {late(each.late)}" for each in nodes if each.late]
    silent = [each.node for each in nodes if each.state == "stale"]
    found += [f"node {node} {said(Standing.STALE)}" for node in silent]
    found += [_standing(group, view)] if not view.ok else []
    return "; ".join(found)


def _follow(
    settings: Settings, ended: Callable[[float], bool], line: Callable[[Report], str]
) -> None:
    """Print what `line` makes of the report, a line per change, until it has `ended`."""
    shown = ""
    while not ended(LOOK_EVERY_S):
        try:
            report, _ = ask_report(settings, STOP_LOOK_LIMIT_S)
        except HostError:  # it is ending, or no longer answers: `ended` knows
            continue
        now = line(report)
        mark = _COUNTED.sub("#", now)
        if now and mark != shown:
            click.echo(now, err=True)
        shown = mark


def _still_here(report: Report) -> str:
    """Return in one line which groups are not down yet on the reporting node."""
    here = [
        f"{view.group} {item.level} {item.state}{_held_up(view, item)}"
        for view in report.groups
        for item in view.instances
        if item.node == report.node and GroupLine(item.level, item.state).active
    ]
    if not here:
        return f"node {report.node}: all groups are down, clinit and the monitor end"
    return f"node {report.node}: still here: {listed(here)}"


def _held_up(view: GroupView, item: Instance) -> str:
    """Return what holds up a stop, and what to do about one that has failed."""
    what = [f"{trouble.tag} {trouble.kind}" for trouble in item.troubles]
    if (item.level, item.state) == (STOP_LEVEL, GroupState.FAILED):
        to = "run its stop again" if view.lease_s is not None else "forget that"
        what.append(f"to {to}: mosha cleanup {view.group} {item.node}")
    return f" ({'; '.join(what)})" if what else ""


_COUNTED = re.compile(r"\d+(\.\d+)?(?= s\b| of \d+ votes| restarts?\b| heartbeats?\b)")
"""Numbers that count up or down while nothing else changes."""


def judge_all(
    goal: Goal,
    views: Sequence[GroupView],
    report: Report,
    left_s: float,
    failed: Mapping[int, str],
) -> WaitOutcome | None:
    """Say whether a group, or all instances of one, have reached the goal, as `judge`."""
    if len(views) < 2:
        goal = replace(goal, group=views[0].group) if views else goal
        return judge(goal, report, left_s, failed)
    found = [judge(replace(goal, group=it.group), report, left_s, failed) for it in views]
    if lost := next((one for one in found if one is not None and not one.reached), None):
        return lost
    texts = [one.text for one in found if one is not None]
    return WaitOutcome(True, "; ".join(texts)) if len(texts) == len(found) else None


def judge(
    goal: Goal, report: Report, left_s: float, failed: Mapping[int, str] | None = None
) -> WaitOutcome | None:
    """Say whether a group has reached the goal, or cannot reach it within `left_s` seconds.

    `failed` has the reason of each ban that was seen meanwhile. None: it may still get there.
    """
    view = _view(report, goal.group)
    if later := overruled(goal.level, view):
        return WaitOutcome(False, f"{goal.group}: not reached: {later}; {_places(view)}")
    if view is None and goal.level == STOP_LEVEL and knows_all(report):
        return WaitOutcome(True, f"{goal.group}: on no node, and no table names it any more")
    if view is None:
        return None
    if goal.entry is not None:
        return _judge_entry(goal.group, goal.entry, view, report.node)
    move = goal.move
    if _as_wanted(view) and not _unwell(view) and (move is None or _has_moved(move, view)):
        return WaitOutcome(True, f"{goal.group}: {_places(view)}")
    if move is not None and (back := _came_back(move, view, failed or {})):
        return WaitOutcome(False, f"{goal.group}: not moved: {back}")
    if (unwell := _unwell(view)) and not _is_leaving(move, view):
        places = f"{_places(view)}, but"
        text = unwell if unwell.startswith(places) else f"{places} not well: {unwell}"
        more = f"; {view.next}" if view.problem == ProblemKind.STOPPED and view.next else ""
        return WaitOutcome(False, f"{goal.group}: {text}{more}")
    if stuck := _stuck(view) or _banned_everywhere(view, report, left_s):
        return WaitOutcome(False, f"{goal.group}: not reached: {stuck}")
    return None


def _holds(
    outcome: WaitOutcome, view: GroupView | None, reached_at: float | None, left_s: float
) -> bool:
    """Say whether an outcome is final: what was started has to run for a moment first."""
    if reached_at is None or left_s <= 0 or view is None or view.wanted == STOP_LEVEL:
        return outcome is not None
    return time.monotonic() - reached_at >= STEADY_S


def _judge_entry(group: str, goal: EntryGoal, view: GroupView, me: int) -> WaitOutcome | None:
    here = [item for item in view.instances if item.node in view.where]
    is_cut = any(_is_cut(item) for item in here if item.node != me)
    found = next((t for item in here for t in item.troubles if t.tag == goal.tag), None)
    kind = found.kind if found is not None else ""
    if not here or (found is not None and found.text.startswith(BEING_RESTARTED)):
        return None
    if goal.stopped is not (kind == TroubleKind.STOPPED):
        return _overruled(group, goal, view, is_cut=is_cut)
    if found is None and not goal.stopped and is_cut:
        text = f"whether entry {goal.tag} is well is not known here: too many others are not"
        return WaitOutcome(False, f"{group}: {text} ({_places(view)}); there: mosha status {group}")
    if found is None or kind in DELIBERATE:
        text = f"{group}: entry {goal.tag} {'is stopped' if goal.stopped else 'is well'}"
        return WaitOutcome(True, f"{text}, {_places(view)}")
    more = f": {found.text}" if found.text else ""
    return WaitOutcome(False, f"{group}: entry {goal.tag} is not well: {kind}{more}")


def _is_cut(place: Instance) -> bool:
    """Say whether a node may not have published all entries of a group that are in trouble."""
    return len(place.troubles) >= PUBLISHED_PER_GROUP_MAX


def _overruled(group: str, goal: EntryGoal, view: GroupView, *, is_cut: bool) -> WaitOutcome | None:
    """Return that an entry is not as it was ordered, though the order was obeyed."""
    if not goal.stopped:
        text = f"entry {goal.tag} was stopped meanwhile, by a later order"
        return WaitOutcome(False, f"{group}: {text}; to start it: mosha start {group} {goal.tag}")
    if is_cut:  # it may be one of those that are not published
        return WaitOutcome(True, f"{group}: entry {goal.tag} is stopped, {_places(view)}")
    text = f"entry {goal.tag} was started meanwhile, by a later order or with its group"
    return WaitOutcome(False, f"{group}: {text}; {_places(view)}")


def _unwell(view: GroupView) -> str:
    """Return what is wrong with a group that has arrived: a program that keeps ending."""
    home = _settled(view)
    if home is None or all(trouble.kind == TroubleKind.OUTDATED for trouble in home.troubles):
        return ""
    return view.why or ", ".join(f"{trouble.tag} {trouble.kind}" for trouble in home.troubles)


def _is_leaving(move: Move | None, view: GroupView) -> bool:
    """Say whether a group is where it is not to stay: how it is there does not matter."""
    home = _settled(view)
    barred = home is not None and bool(view.only) and home.node not in view.only
    return barred or (move is not None and not _has_moved(move, view))


def _as_wanted(group: GroupView) -> bool:
    """Say whether a group is as hactl wants it: at its level on a node, or stopped."""
    if group.wanted == STOP_LEVEL:
        return group.ok and not group.where
    return group.ok and (bool(group.where) or node_of(group.group) is not None)


def _has_moved(move: Move, view: GroupView) -> bool:
    return view.where == [move.to] if move.to else not set(view.where) & set(move.where)


def _came_back(move: Move, view: GroupView, failed: Mapping[int, str]) -> str:
    """Return why a group does not run where it was moved to: it was started elsewhere meanwhile."""
    home = _settled(view)
    if home is None or _has_moved(move, view) or (home.claim_term or 0) <= move.term:
        return ""
    why = [
        f"node {node}: {reason}"
        for node, reason in sorted(failed.items())
        if not reason.startswith(MOVED) and node != home.node and move.to in (0, node)
    ]
    if not why and move.to in view.not_here:
        why = [f"node {move.to}: {view.not_here[move.to]}"]
    if not why and view.failback and home.node in view.prefer:
        why = [f"failback=yes takes it to node {home.node}, which it prefers"]
    text = f"it is on node {home.node}{' again' if home.node in move.where else ''}"
    return "; ".join([text, *why])


def _settled(view: GroupView) -> Instance | None:
    """Return the one instance of a group that has arrived at its level."""
    done = {GroupState.DONE, GroupState.PASSED}
    there = [item for item in view.instances if item.node in view.where]
    if len(there) == 1 and there[0].level == view.wanted and there[0].state in done:
        return there[0]
    return None


def _stuck(view: GroupView) -> str:
    """Return what needs an operator: a stop that failed or left something behind."""
    at_stop = [item for item in view.instances if item.level == STOP_LEVEL]
    ended = {item.state for item in at_stop} & SETTLED
    failed = GroupState.FAILED in ended
    remark = view.wanted == STOP_LEVEL and view.problem == ProblemKind.ENTRY and ended & STOPPED
    if not view.why or not (failed or remark):
        return ""
    return f"{view.why}; {view.next}" if view.next else view.why


def _banned_everywhere(view: GroupView, report: Report, left_s: float) -> str:
    """Return that no node can run a group before a ban ends, if that is after the wait."""
    if view.where or not view.bans or view.wanted == STOP_LEVEL:
        return ""
    if any(node.node not in view.not_here for node in report.nodes):
        return ""
    first = min(view.bans, key=lambda ban: ban.left_s)
    if first.left_s <= left_s:
        return ""
    return (
        f"no node can run it before the ban of node {first.node} ends, in {first.left_s:.0f} s "
        f"({first.reason}); when that is repaired: mosha cleanup {view.group}"
    )


def _standing(group: str, view: GroupView | None) -> str:
    """Return the progress in one line: what is in the way, else where the group is."""
    return f"{group}: {(view.why if view is not None else '') or _places(view)}"


def _places(view: GroupView | None) -> str:
    """Return where a group runs or has stopped; the last report of a dead node does not count."""
    at = [
        f"{item.level} {item.state} on node {item.node}"
        for item in (view.instances if view is not None else [])
        if view is not None
        and (item.node in view.where or not GroupLine(item.level, item.state).active)
    ]
    return ", ".join(at) or "on no node"


def about(report: Report, goal: Goal) -> list[GroupView]:
    """Return the views that a goal is about: of a group with `on=all` all instances.

    Instances of a hactl before an edit count only where the group is to be stopped.
    """
    ends = goal.level == STOP_LEVEL
    found = [it for it in report.groups if goal.group in (it.group, single(it.group))]
    return [it for it in found if ends or it.in_hactl or it.group == goal.group]


def _view(report: Report, group: str) -> GroupView | None:
    return next((view for view in report.groups if view.group == group), None)
