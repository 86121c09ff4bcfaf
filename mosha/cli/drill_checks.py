"""What speaks against shooting a node that is well, as far as a report of the cluster shows it."""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core.cluster.quorum import Policy
from mosha.core.instance_names import node_of
from mosha.core.status import STOPPED
from mosha.core.tables import STOP_LEVEL
from mosha.formats.fencing_methods import Fencing, levels_of
from mosha.formats.hastat import HEARD, GroupView, Report
from mosha.formats.names import listed

ARRIVED = STOPPED
"""The states of a level that was reached."""

GONE = frozenset({"left", "fenced"})
"""Voters that are gone for certain (E1): half of an even cluster goes on without them."""


def owned(report: Report, node: int) -> set[str]:
    """Return the groups that a node has or claims, and that are to run."""
    return {view.group for view in report.groups if _is_wanted(view) and _has(view, node)}


def homeless(report: Report, node: int) -> dict[str, str]:
    """Return which of these groups no other node may take, and why."""
    others = [each.node for each in report.nodes if each.node != node]
    return {
        view.group: "; ".join(dict.fromkeys(view.not_here[each] for each in others))
        for view in report.groups
        if _is_wanted(view) and _has(view, node) and view.not_here.keys() >= set(others)
    }


def without_quorum(report: Report, node: int) -> str:
    """Return in one sentence that a node is needed for the quorum; "" if it is not."""
    quorum = report.quorum
    voters = set(quorum.electorate)
    if not quorum.has or node not in voters:
        return ""
    heard = {each.node for each in report.nodes if each.state in HEARD}
    left = quorum.seen - (node in heard)
    gone = {each.node for each in report.nodes if each.state in GONE} | {node}
    is_half = quorum.policy == Policy.MAJORITY and 2 * left == len(voters)
    if left >= quorum.needed or (is_half and voters - heard <= gone):
        return ""
    count = f"{left} of {len(voters)} nodes"
    return f"without node {node} only {count} are left, {quorum.needed} are needed: all groups stop"


def concerns(report: Report, fencing: Fencing, node: int) -> Iterator[str]:
    """Yield why a drill of a node would do harm or fail, each in one sentence."""
    for group, why in homeless(report, node).items():
        yield f"{group} would run nowhere: no other node may take it: {why}"
    if text := without_quorum(report, node):
        yield text
    for test in report.fencing:
        if test.node == node and test.failure:
            whom = f"node {node} by method {test.number} ({test.method})"
            yield f"the test of fencing {whom} failed: {test.failure}"
    if text := _without_restart(fencing, node):
        yield text


def waits_for(report: Report, node: int, groups: set[str]) -> str:
    """Return what it is still to wait for until `groups` of a node are at their levels elsewhere.

    A group that is no longer to run has only to leave the node. "" if there is nothing.
    """
    heard = {each.node for each in report.nodes if each.state in HEARD} - {node}
    if kept := [view.group for view in report.groups if _has(view, node)]:
        return f"node {node} still has {listed(kept)}: mosha why {kept[0]}"
    wanted = [view for view in report.groups if view.group in groups and _is_wanted(view)]
    if away := [view.group for view in wanted if not _is_home(view, heard)]:
        return f"not at their level on another node: {listed(away)}: mosha why {away[0]}"
    busy = any(each.load for each in report.nodes if each.node == node)
    return f"node {node} still has groups" if busy else ""


def _without_restart(fencing: Fencing, node: int) -> str:
    """Return in one sentence that a pill is tried first, which a node that is well digests."""
    for level in levels_of(fencing.methods):
        for number, method in level.methods:
            if method.type == "poison":
                return f"method {number} (poison) restarts nothing, and a drill waits for a restart"
            if method.gives_receipts and method.reaches(node):
                return ""
    return ""


def _is_wanted(view: GroupView) -> bool:
    """Say whether a group is to run, and may leave its node: no instance does (`on=all`)."""
    return view.in_hactl and view.wanted != STOP_LEVEL and node_of(view.group) is None


def _has(view: GroupView, node: int) -> bool:
    claims = {it.node for it in view.instances if it.claim_term is not None}
    return node in claims or node in view.where


def _is_home(view: GroupView, heard: set[int]) -> bool:
    return any(
        it.node in heard and it.level == view.wanted and it.state in ARRIVED
        for it in view.instances
    )
