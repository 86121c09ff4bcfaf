"""Makes the consolidated view (hastat, `mosha status`) from the node's state."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

from mosha.core.cluster import capacity, gave_way, giving_up, probation, restarting
from mosha.core.cluster.node import Node
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.timing import MARGIN_WARN, margin
from mosha.core.explain import quorate, verdicts
from mosha.core.explain.may_run import may_run
from mosha.core.explain.problems import GROUP_KINDS, ProblemKind
from mosha.core.status import Grade, Status, TableVersion
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import STAY, Wish
from mosha.core.watchdog import ArmedWatchdog
from mosha.formats import hastat
from mosha.monitor.problems import problems, sentence

ALL_VOTES_MAX = 20_000
"""With more votes than this, those for groups that are as wanted are left out of the report.

A thousand nodes and groups have a million votes, which say what `where` says.
"""


class HostFacts(Struct):
    """What the shell knows besides the core: clinit's details, and troubles of the host.

    `clinit_lost_at` is when clinit was last heard (boottime), None while it answers. `missing` has
    the path of each table that this node lacks; `fencing` is what its tests came to.
    """

    groups: Mapping[str, GroupReport] = field(default_factory=dict)
    troubles: Sequence[str] = ()
    warnings: Sequence[str] = ()
    clinit_lost_at: float | None = None
    no_cgroups: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    watchdog: ArmedWatchdog | None = None
    fencing: Sequence[hastat.FencingReport] = ()


class _Surroundings(Struct, frozen=True):
    """What all groups of one report have in common."""

    host: HostFacts
    survey: verdicts.Survey
    all_votes: bool


def make(
    node: Node, around: HostFacts, now: float, *, asked: Collection[str] = ()
) -> hastat.Report:
    """Return the current report; ages are as of `now` (seconds of boottime).

    Groups that are `asked` for are in it though hactl does not name them and nothing shows them.
    """
    state = node.state
    names = {*_names(state), *asked}
    all_votes = len(names) * len(state.view.electorate.nodes) <= ALL_VOTES_MAX
    known = _Surroundings(around, verdicts.survey(state, now), all_votes)
    groups = [_group(state, group, known, now) for group in sorted(names)]
    groups = [_with_tags(state, view) if view.group in asked else view for view in groups]
    nodes = [_self(state, now), *(_node(state, peer, now) for peer in sorted(state.view.watched()))]
    kept = probation.kept(state, now)
    nodes = [msgspec.structs.replace(it, probation_s=kept.get(it.node, 0)) for it in nodes]
    refused = _refusals(state)
    room = _margin(state)
    wrong = problems(
        state,
        groups,
        refused,
        now,
        troubles=around.troubles,
        warnings=around.warnings,
        margin_warning=room.warning,
        no_cgroups=around.no_cgroups,
        missing=around.missing,
        fencing=around.fencing,
    )
    return hastat.Report(
        node=state.me,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        quorum=_quorum(state),
        nodes=sorted(nodes, key=lambda item: item.node),
        groups=groups,
        shots=_shots(state, now),
        fencing=list(around.fencing),
        refused=refused,
        margin=room,
        timing=hastat.Times(
            timeout_s=state.timing.timeout_s,
            heartbeat_s=state.timing.heartbeat_s,
            lease_s=state.timing.lease_s,
            stop_budget_s=state.timing.stop_budget_s,
        ),
        watchdog=_watchdog(around.watchdog),
        problems=[sentence(problem) for problem in wrong],
        problem_list=wrong,
    )


def _shots(state: MonitorState, now: float) -> list[hastat.ShotReport]:
    return [
        hastat.ShotReport(
            node=shot.node,
            inc=shot.inc,
            method=shot.method,
            outcome=shot.outcome,
            grade="" if shot.grade is Grade.LEASE_ELAPSED else shot.grade.text,
            detail=shot.detail,
            age_s=_age(now, shot.at),
        )
        for shot in state.shots.values()
    ]


def of_groups(whole: hastat.Report, groups: Collection[str]) -> hastat.Report:
    """Return a report reduced to a group, or the instances of one; everything else stays."""
    kinds = {*GROUP_KINDS, ProblemKind.NO_QUORUM}
    wrong = [
        it
        for it in whole.problem_list
        if it.kind in kinds and not {*groups}.isdisjoint(it.subjects)
    ]
    return msgspec.structs.replace(
        whole,
        groups=[view for view in whole.groups if view.group in groups],
        problems=[sentence(problem) for problem in wrong],
        problem_list=wrong,
    )


def _names(state: MonitorState) -> set[str]:
    wished = set(state.hactl.wishes) if state.hactl else set()
    text = {g for g, report in state.reports.items() if report.present}
    shown = {g for s in state.view.known() for g in s.groups if s.holds(g)}
    return wished | text | shown | {g for g, s in state.records.items() if s.claim}


def _age(now: float, then: float | None) -> float:
    return round(now - then, 3) if then is not None else 0.0


def _quorum(state: MonitorState) -> hastat.Quorum:
    view = state.view
    seen, needed = quorate.count(state)
    awaited = [str(node) for node in sorted(view.members) if view.unconfirmed(node)]
    return hastat.Quorum(
        has=view.quorum_state is QuorumState.YES,
        policy=view.electorate.policy.value,
        seen=seen,
        electorate=sorted(view.electorate.nodes),
        needed=needed,
        reason=quorate.reason(state)
        + (f"; not confirmed yet: {', '.join(awaited)}" if awaited else ""),
    )


def _tables(versions: Mapping[str, TableVersion]) -> dict[str, hastat.TableSeen]:
    return {
        name: hastat.TableSeen(mtime_ns=version.mtime_ns, digest=version.digest)
        for name, version in versions.items()
    }


def _load(status: Status) -> int:
    return len(set(status.claims) | {g for g, line in status.groups.items() if line.active})


def _self(state: MonitorState, now: float) -> hastat.NodeReport:
    own = state.published
    began = state.writes.began(own.seq) if own else None
    return hastat.NodeReport(
        node=state.me,
        state="self",
        age_s=_age(now, began) if began is not None else None,
        inc=state.inc,
        seq=own.seq if own else 0,
        boot=state.boot,
        run=state.run,
        version=own.version if own else 0,
        silent=state.silent(now),
        refused=dict(state.refused),
        tables=_tables(state.tables),  # what is in force, published or not
        load=_load(own) if own else 0,
        weight=capacity.load(state, state.me),
        capacity=state.capacity,
        standby=state.standby,
        witness=state.witness,
        cut_off=bool(state.cut_off),
    )


def _node(state: MonitorState, node: int, now: float) -> hastat.NodeReport:
    peer = state.view.peer(node)
    stands: hastat.Standing = state.view.standing(node).value
    status = peer.status
    if status is None:
        unread = "not read before clinit answers" * quorate.awaits_clinit(state)
        return hastat.NodeReport(node=node, state=stands, error=peer.error or unread)
    trip = state.view.roundtrips.get(node)
    return hastat.NodeReport(
        node=node,
        state=stands,
        age_s=_age(now, peer.heard_at),
        inc=status.inc,
        seq=status.seq,
        boot=status.boot,
        run=status.run,
        version=status.version,
        roundtrip_s=round(trip, 4) if trip is not None else None,
        error=peer.error,
        refused=dict(status.refused),
        tables=_tables(status.tables),
        load=_load(status),
        weight=capacity.load(state, node),
        capacity=status.capacity,
        late=state.view.heartbeats_missed(node, state.timing.heartbeat_s),
        standby=status.standby and not (status.witness or status.cut_off),
        witness=status.witness,
        cut_off=status.cut_off,
        confirmed=not state.view.unconfirmed(node),
    )


def _votes(state: MonitorState, group: str) -> dict[int, int]:
    """Return whom each node votes for, as far as known."""
    votes = {s.node: v.node for s in state.view.known() if (v := s.votes.get(group)) is not None}
    own = state.record(group).ballot.vote
    if own is not None:
        votes[state.me] = own.node
    return dict(sorted(votes.items()))


def _group(state: MonitorState, group: str, around: _Surroundings, now: float) -> hastat.GroupView:
    verdict = verdicts.judge(state, group, now, around.survey)
    seen = verdicts.sightings(state, group, now)
    record = state.record(group)
    # Of a group that is as wanted it is known where it runs.
    unseen = may_run(state, group, around.survey.heard) if not verdict.ok else None
    lapses = record.lease_until
    counts = record.claim is not None and not record.exhausted
    detail = around.host.groups.get(group)
    wish = state.hactl.wishes.get(group) if state.hactl else None
    named, wish = wish is not None, wish or Wish(group, "stop")
    return hastat.GroupView(
        group=group,
        wanted=wish.level,
        in_hactl=named,
        where=[s.node for s in seen if s.counts and s.line.active],
        may_run=list(unseen.nodes) if unseen is not None else [],
        ok=verdict.ok,
        why=verdict.why,
        next=verdict.next,
        problem=verdict.kind.value if verdict.kind is not None else "",
        instances=[_instance(state, sighting, around.host, now) for sighting in seen],
        term=state.view.terms.get(group, 0),
        lease_s=round(lapses - now, 3) if record.granted and lapses > now else None,
        votes=_votes(state, group) if around.all_votes or not verdict.ok else {},
        bans=_bans(state, group, now),
        not_here=verdicts.not_here(state, group, now, around.survey),
        throttled=[
            hastat.Throttle(tag=entry.tag, left_s=round(entry.until - now, 3))
            for entry in (detail.entries if detail else ())
            if entry.until is not None and entry.until > now
        ],
        entries=[_entry(entry, now) for entry in (detail.entries if detail else ())],
        prefer=list(wish.prefer),
        only=list(wish.only),
        failback=wish.failback,
        on_failure=str(wish.on_failure or STAY),
        after=list(wish.after),
        with_=list(wish.with_),
        apart=list(wish.apart),
        priority=wish.priority,
        weight=wish.weight,
        on_all=wish.on_all,
        next_failure=giving_up.prediction(state, record, now) if counts else "",
        restarted=restarting.said(state, group, now),
        gave_way=gave_way.said(state, group, now),
    )


def _with_tags(state: MonitorState, view: hastat.GroupView) -> hastat.GroupView:
    entries = state.entries_of(view.group) or ()
    return msgspec.structs.replace(view, tags=[entry.tag for entry in entries])


def _entry(entry: EntryReport, now: float) -> hastat.EntryState:
    return hastat.EntryState(
        tag=entry.tag,
        mode=entry.mode.value,
        state=entry.shown_state,
        pid=entry.pid,
        starts=entry.starts,
        exit=entry.exit,
        for_s=_age(now, entry.since) if entry.since is not None else None,
        restarts=max(0, entry.starts - 1),
        failures=entry.failures,
        error=entry.error,
        command=entry.command,
        said=list(entry.said),
        status=entry.status,
    )


def _instance(
    state: MonitorState, seen: verdicts.GroupSighting, around: HostFacts, now: float
) -> hastat.Instance:
    heard = state.view.peer(seen.node).heard_at
    if seen.node == state.me:
        heard = now if around.clinit_lost_at is None else around.clinit_lost_at
    return hastat.Instance(
        node=seen.node,
        level=seen.line.level,
        state=seen.line.state,
        age_s=_age(now, heard),
        claim_term=seen.claim,
        said_by=seen.node,
        troubles=[
            hastat.EntryTrouble(
                tag=trouble.tag,
                kind=trouble.kind.value,
                restarts=trouble.restarts,
                for_s=float(trouble.for_s),
                text=trouble.text,
            )
            for trouble in seen.troubles
        ],
    )


def _bans(state: MonitorState, group: str, now: float) -> list[hastat.BanReport]:
    bans = []
    record = state.record(group)
    if record.ban_until > now:
        left_s = round(record.ban_until - now, 1)
        bans.append(hastat.BanReport(node=state.me, left_s=left_s, reason=record.ban_reason))
    for status in state.view.mentioning(group):
        ban = status.bans.get(group)
        if ban is not None and state.view.speaks(status.node):
            bans.append(
                hastat.BanReport(node=status.node, left_s=float(ban.left_s), reason=ban.reason)
            )
    return sorted(bans, key=lambda ban: ban.node)


def _refusals(state: MonitorState) -> list[hastat.Refusal]:
    said = [(state.me, state.refused)]
    said += [(status.node, dict(status.refused)) for status in state.view.fresh()]
    return [
        hastat.Refusal(file=file, node=node, text=text)
        for node, files in sorted(said, key=lambda pair: pair[0])
        for file, text in sorted(files.items())
    ]


def _watchdog(armed: ArmedWatchdog | None) -> hastat.WatchdogReport | None:
    if armed is None:
        return None
    fed = not armed.trouble
    return hastat.WatchdogReport(device=armed.device, timeout_s=float(armed.timeout_s), fed=fed)


def _margin(state: MonitorState) -> hastat.Margin:
    view = state.view
    voters = [node for node in view.electorate.nodes & view.roundtrips.keys() if view.speaks(node)]
    trips = sorted(view.roundtrips[node] for node in voters)
    # The lease waits for the q-th supporter, this node being the first.
    place = view.needed - 2
    trip = trips[place] if 0 <= place < len(trips) else None
    factor = margin(state.timing, trip)
    warning = ""
    if factor < MARGIN_WARN:
        warning = (
            f"the lease is only {factor:.1f} times what its renewal takes: "
            "raise `timeout`, or make the file system faster"
        )
    return hastat.Margin(
        lease_margin=round(factor, 2),
        roundtrip_s=round(trip, 4) if trip is not None else None,
        warning=warning,
    )
