"""Problems, for people and programs: one per cause, however many groups or nodes it affects."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from mosha.core.cluster import late_kills, probation, shot_requests, wording
from mosha.core.cluster.peers import Peer, Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.refusals import refusing
from mosha.core.cluster.standby import is_witness
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.timing import kill_warning
from mosha.core.explain import quorate, shooting, unended
from mosha.core.explain.may_run import unconfirmed
from mosha.core.explain.problems import GROUP_KINDS, ProblemKind
from mosha.core.status import Grade
from mosha.core.tables import STOP_LEVEL
from mosha.formats import hastat
from mosha.formats.hastat import Problem
from mosha.formats.names import listed

CGROUP_REMEDY = (
    "what cuts all ties to its group may be overlooked or end another's: give clinit a writable"
    " cgroup v2 (Delegate=yes in its unit)"
)

OVERDUE_AFTER = 3
"""A test is late when none was good for so many intervals."""

ALIKE_MIN = 4
"""This many stale nodes are one line: a dead rack needs no list of reasons."""


def problems(
    state: MonitorState,
    groups: Sequence[hastat.GroupView],
    refused: Sequence[hastat.Refusal],
    now: float,
    *,
    troubles: Sequence[str],
    warnings: Sequence[str],
    margin_warning: str,
    no_cgroups: str,
    missing: Mapping[str, str],
    fencing: Sequence[hastat.FencingReport],
) -> list[Problem]:
    """Return what is wrong at `now` (seconds of boottime), most important first.

    `troubles` are those of the host, `warnings` remarks about the tables; `groups` have their
    reasons; also given are the `refused` files, the warning about the margin, why clinit has no
    cgroups ("" if it has), the paths of tables that are `missing` here, and what the tests of
    `fencing` came to.
    """
    here = [str(state.me)]
    return [
        *_of_late_kills(state),  # data may be damaged: nothing is more important
        *(Problem(kind=ProblemKind.HOST.value, subjects=here, text=text) for text in troubles),
        *_of_quorum(state, groups, now),
        *_of_nodes(state),
        *_of_probation(state, now),
        *_of_unended(state, now),
        *_of_unconfirmed(state),
        *_of_restraint(state, now),
        *_of_fencing(state, now, fencing),
        *_of_settings(state),
        *_of_groups(groups),
        *map(_of_refusal, refused),
        *(
            Problem(kind=ProblemKind.LEASE.value, subjects=here, text=text)
            for text in filter(None, [margin_warning, kill_warning(state.timing, len(groups))])
        ),
        *(
            Problem(
                kind=ProblemKind.NO_CGROUPS.value,
                subjects=here,
                text=f"clinit works without cgroups: {why}; {CGROUP_REMEDY}",
            )
            for why in filter(None, [no_cgroups])
        ),
        *(
            Problem(
                kind=ProblemKind.TABLE_REMARK.value, text=f"there is no {table} yet; write {path}"
            )
            for table, path in missing.items()
            if not refusing(state, table)  # there is one, and its refusal is reported above
        ),
        *(Problem(kind=ProblemKind.TABLE_REMARK.value, text=text) for text in warnings),
    ]


def sentence(problem: Problem) -> str:
    """Return a problem as one line: its subject, what is wrong, what to do."""
    step = f" -> {problem.next}" if problem.next else ""
    return f"{about(problem)}{problem.text}{step}"


def about(problem: Problem) -> str:
    """Return the groups that a problem is about, as a prefix; "" if the text names the subject."""
    if problem.kind not in GROUP_KINDS:
        return ""
    return f"group{'s' * (len(problem.subjects) != 1)} {listed(problem.subjects)}: "


def _of_refusal(it: hastat.Refusal) -> Problem:
    text = f"{it.file} on node {it.node} is refused: {it.text}"
    return Problem(kind=ProblemKind.TABLE_REFUSED.value, subjects=[it.file], text=text)


def _of_quorum(
    state: MonitorState, groups: Iterable[hastat.GroupView], now: float
) -> Iterator[Problem]:
    concerned = [g for g in groups if g.problem == ProblemKind.NO_QUORUM and not g.ok]
    waiting = [g.group for g in concerned if g.wanted != STOP_LEVEL]
    unknown = [g.group for g in concerned if g.wanted == STOP_LEVEL]
    if state.view.quorum_state is QuorumState.NO:
        waits = quorate.of_half(state, now)
        nothing = f"nothing is started; {waits}" if waits else "nothing is started or fenced"
        text = f"no quorum: {quorate.reason(state)}; {nothing}"
        if waiting:
            many = len(waiting) != 1
            text += f"; {len(waiting)} group{'s wait' if many else ' waits'} for it: "
            text += listed(waiting)
        if unknown:
            text += (
                f"; whether nodes that are not heard still run it is not known: {listed(unknown)}"
            )
        step = quorate.remedy(state, now) if concerned else ""
        subjects = [group.group for group in concerned]
        kind = ProblemKind.NO_QUORUM.value
        yield Problem(kind=kind, subjects=subjects, text=text, next=step)


def _of_late_kills(state: MonitorState) -> Iterator[Problem]:
    """Yield groups killed so late after `kill_at` that another node may have run them too."""
    room_s = late_kills.room_s(state.timing)
    said = {status.node: status.late_kills for status in state.view.fresh()}
    for node, groups in sorted({**said, state.me: late_kills.own(state)}.items()):
        for group, late_ms in sorted(groups.items()):
            late_s = late_ms / late_kills.MS_PER_S
            text = (
                f"group {group} was killed {late_s:.1f} s late on node {node}"
                f" (it may be {room_s:.2g} s): it may have run on two nodes; look at its data"
            )
            step = f"this stands until you say that you have: mosha cleanup {group} {node}"
            kind, subjects = ProblemKind.LEASE.value, [str(node)]
            yield Problem(kind=kind, subjects=subjects, text=text, next=step)


def _of_nodes(state: MonitorState) -> Iterator[Problem]:
    watched, standing = sorted(state.view.watched()), state.view.standing
    stale = [node for node in watched if standing(node) is Standing.STALE]
    if len(stale) >= ALIKE_MIN:
        subjects = [str(node) for node in stale]
        text = f"{len(stale)} nodes are stale: {listed(subjects)}"
        yield Problem(kind=ProblemKind.NODE_STALE.value, subjects=subjects, text=text)
    yield from _of_storage(state)
    for node in watched:
        found = _of_node(state, node)
        if found is not None and not (len(stale) >= ALIKE_MIN and node in stale):
            kind, text = found
            yield Problem(kind=kind.value, subjects=[str(node)], text=text)


def _of_probation(state: MonitorState, now: float) -> Iterator[Problem]:
    """Yield the nodes that are heard and may own nothing for a while."""
    heard = {state.me, *(status.node for status in state.view.fresh())}
    for node, left_s in probation.kept(state, now).items():
        if node in heard and not is_witness(state, node):
            text = (
                f"node {node} is on probation for {probation.left_text(left_s)} more, and owns no"
                f" group: it was found dead {state.fencing.probation} times within an hour"
            )
            step = f"look why node {node} died; its probation ends by itself"
            kind, subjects = ProblemKind.NODE_PROBATION.value, [str(node)]
            yield Problem(kind=kind, subjects=subjects, text=text, next=step)


def _of_storage(state: MonitorState) -> Iterator[Problem]:
    """Yield the other nodes that their storage does not let in; the node itself says why."""
    nodes = [str(it.node) for it in state.view.fresh() if it.cut_off and it.node != state.me]
    if nodes:
        many = len(nodes) != 1
        whom = f"node{'s' * many} {listed(nodes)} {'are' if many else 'is'}"
        text = f"{whom} cut off from {'their' if many else 'its'} storage, and can take no group"
        step = f"mosha status on node {nodes[0]} says why"
        kind = ProblemKind.NODE_CUT_OFF.value
        yield Problem(kind=kind, subjects=nodes, text=text, next=step)


def _of_restraint(state: MonitorState, now: float) -> Iterator[Problem]:
    """Yield what holds shots back here."""
    if state.disarmed is not None and (text := shooting.disarmed(state, now)):
        kind, subjects = ProblemKind.FENCING_HELD.value, [str(state.disarmed.node)]
        yield Problem(kind=kind, subjects=subjects, text=text, next="mosha arm")
    for kind, words in shooting.HELD.items() if state.fencing.switches else ():
        nodes = [str(node) for node, hold in state.holds.items() if hold.kind == kind]
        if nodes:
            others = next(hold.nodes for hold in state.holds.values() if hold.kind == kind)
            text = f"node {listed(nodes)} is not shot: {words(shooting.names(others))}"
            step = f"{shooting.LOOK} mosha fence {nodes[0]}"
            yield Problem(kind=ProblemKind.FENCING_HELD.value, subjects=nodes, text=text, next=step)


def _of_unended(state: MonitorState, now: float) -> Iterator[Problem]:
    """Yield the nodes that cannot end a group; a failed stop is a problem of the group anyway."""
    said = {status.node: status.unended for status in state.view.fresh()}
    for node, groups in sorted({**said, state.me: state.unended}.items()):
        asks = any(it.asks for it in groups.values())
        found = {g: it for g, it in groups.items() if asks or it.reason != shot_requests.FAILED}
        for group, it in islice(found.items(), 1):
            more = f"; it asks to be shot{unended.shot(state, node, now)}" if asks else ""
            text = f"node {node} cannot end {listed(list(found))}: {it.reason}{more}"
            step = unended.of_node(state, group, node, now, asks=asks)
            kind, subjects = ProblemKind.NODE_UNABLE.value, [str(node)]
            yield Problem(kind=kind, subjects=subjects, text=text, next=step)


def _shooters(state: MonitorState, node: int) -> str:
    """Return who shoots a node, as the end of a sentence."""
    found = shooting.shooters(state, node)
    return f"; node {shooting.names(found)} shoots it" if found else ""


def _of_unconfirmed(state: MonitorState) -> Iterator[Problem]:
    """Yield the nodes whose last status may be out of date."""
    nodes = [str(node) for node in unconfirmed(state)]
    if nodes:
        many = len(nodes) != 1
        text = (
            f"node{'s' * many} {listed(nodes)} {'have' if many else 'has'} published nothing since"
            f" this monitor started: what is shown of {'them' if many else 'it'} may be old"
        )
        yield Problem(kind=ProblemKind.NODE_UNCONFIRMED.value, subjects=nodes, text=text)


def _of_node(state: MonitorState, node: int) -> tuple[ProblemKind, str] | None:
    standing, peer = state.view.standing(node), state.view.peer(node)
    said = wording.said(standing)
    if standing is Standing.STALE:
        why = f" ({peer.error})" if peer.error else ""
        news = f"nothing new for {_silence_s(peer):.1f} s when it was declared stale"
        if not peer.advanced:
            news = "nothing new since this monitor started"
        shot = _shooters(state, node)
        return ProblemKind.NODE_STALE, f"node {node} {said}: {news}{why}{shot}"
    if standing is Standing.NEVER and peer.looked_at:
        why = f": {peer.error}" if peer.error else ""
        return ProblemKind.NODE_NEVER_HEARD, f"node {node} {said}{why}"
    if standing is Standing.FENCED:
        receipt = state.view.receipts[node]
        text = f"node {node} {said} ({receipt.method}, {receipt.grade.text})"
        return ProblemKind.NODE_FENCED, text
    if late := state.view.heartbeats_missed(node, state.timing.heartbeat_s):
        return ProblemKind.NODE_LATE, f"node {node} {wording.late(late)}"
    return None


def _of_outlived(state: MonitorState, now: float) -> Iterator[Problem]:
    """Yield the nodes that are heard although this node has shot them, with a receipt."""
    for node, (receipt, at, _) in sorted(state.outlived.items()):
        peer = state.view.peer(node)
        if peer.inc != receipt.inc or peer.status is None or not state.view.speaks(node):
            continue
        why = "the plug is that of another machine"
        if receipt.grade is not Grade.OFF_CONFIRMED:
            if peer.status.cut_off:  # from its storage: that is what the shot was for
                continue
            why = f"{why}, or this method does not end a node"
        clock = time.strftime("%H:%M:%S", time.localtime(time.time() - (now - at)))
        how = f"{receipt.method}, {receipt.grade.text}"
        text = f"node {node} was shot at {clock} ({how}) and is still heard: {why}"
        step = f"correct it, then on this node: systemctl reload mosha; mosha fence --test {node}"
        kind = ProblemKind.SHOT_OUTLIVED.value
        yield Problem(kind=kind, subjects=[str(node)], text=text, next=step)


def _of_fencing(
    state: MonitorState, now: float, tested: Sequence[hastat.FencingReport]
) -> Iterator[Problem]:
    """Yield wrong plugs, and the methods whose tests fail or are overdue, one for all its nodes.

    A node is not shot by itself: its own device need not answer it, and many that share its network
    port do not.
    """
    yield from _of_outlived(state, now)
    alike: dict[tuple[bool, int, str], list[hastat.FencingReport]] = {}
    for test in tested:
        if test.node == state.me and not test.answered:
            continue
        if test.failure or test.overdue:
            alike.setdefault((not test.failure, test.number, test.method), []).append(test)
    for (overdue, number, method), tests in sorted(alike.items(), key=lambda item: item[0]):
        nodes = [str(test.node) for test in tests]
        many = len(nodes) != 1
        whom = f"node{'s' * many} {listed(nodes)} by method {number} ({method})"
        text = f"the test of fencing {whom} failed: {tests[0].failure}"
        if overdue:
            text = f"no test of fencing {whom} was good for {OVERDUE_AFTER} times test_every"
        step = "mosha fence --test" if many else f"mosha fence --test {nodes[0]}"
        yield Problem(kind=ProblemKind.FENCING.value, subjects=nodes, text=text, next=step)


def _of_settings(state: MonitorState) -> Iterator[Problem]:
    """Yield settings that differ on another node and must be the same for safety."""
    own_ms = round(state.timing.timeout_s * 1000)
    for status in state.view.fresh():
        kind, subjects = ProblemKind.SETTINGS_DIFFER.value, [str(status.node)]
        if status.timeout_ms not in (0, own_ms):
            there, here = f"{status.timeout_s:g} s", f"{state.timing.timeout_s:g} s"
            text = f"node {status.node} has timeout = {there}, this node {here}"
            yield Problem(kind=kind, subjects=subjects, text=text)
        if state.view.has_other_voters(status):
            text = f"node {status.node} has other `nodes` in mosha.toml than this node"
            yield Problem(kind=kind, subjects=subjects, text=text)


def _of_groups(groups: Iterable[hastat.GroupView]) -> Iterator[Problem]:
    """Yield why groups are not as wanted; groups with the same trouble share a problem."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for group in groups:
        if not group.ok and group.problem != ProblemKind.NO_QUORUM:
            alike.setdefault((group.problem, group.why, group.next), []).append(group.group)
    for (kind, why, step), subjects in alike.items():
        yield Problem(kind=kind or ProblemKind.GROUP.value, subjects=subjects, text=why, next=step)


def _silence_s(peer: Peer) -> float:
    """Return how long a stale peer had been silent when it was declared stale."""
    # A stale peer has both; the zeros are for the type checker.
    return (peer.stale_since or 0.0) - (peer.heard_at or 0.0)
