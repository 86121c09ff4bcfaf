"""Makes the consolidated view (hastat, `mosha status`) out of what the brain knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

from mosha.core import explain
from mosha.core.entries import EntryReport
from mosha.core.group_report import GroupReport
from mosha.core.node import Node
from mosha.core.peers import Standing
from mosha.core.problems import GROUP_KINDS, ProblemKind
from mosha.core.quorum import Sight
from mosha.core.seat import Mind
from mosha.core.status import Status, TableVersion
from mosha.core.tables import STAY, Wish
from mosha.core.timing import MARGIN_WARN, margin
from mosha.formats import hastat
from mosha.monitor.problems import problems, sentence


class Surroundings(Struct):
    """What the shell knows besides the brain: clinit's details, and troubles of the host.

    `clinit_lost_at` is when clinit was heard last (boottime), None while it answers. `missing` has
    the path of each table that this node has none of.
    """

    groups: Mapping[str, GroupReport] = field(default_factory=dict)
    troubles: Sequence[str] = ()
    warnings: Sequence[str] = ()
    clinit_lost_at: float | None = None
    no_cgroups: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)


def make(node: Node, around: Surroundings, now: float) -> hastat.Report:
    """Return the report of this moment; ages are counted to `now` (seconds of boottime)."""
    mind = node.mind
    groups = [_group(mind, group, around, now) for group in _names(mind)]
    nodes = [_self(mind, now), *(_node(mind, peer, now) for peer in sorted(mind.view.watched()))]
    refused = _refusals(mind)
    room = _margin(mind)
    wrong = problems(
        mind,
        groups,
        refused,
        troubles=around.troubles,
        warnings=around.warnings,
        margin_warning=room.warning,
        no_cgroups=around.no_cgroups,
        missing=around.missing,
    )
    return hastat.Report(
        node=mind.me,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        quorum=_quorum(mind),
        nodes=sorted(nodes, key=lambda item: item.node),
        groups=groups,
        shots=[
            hastat.Shot(
                node=shot.node,
                inc=shot.inc,
                method=shot.method,
                outcome=shot.outcome,
                detail=shot.detail,
                age_s=_age(now, shot.at),
            )
            for shot in mind.shots.values()
        ],
        refused=refused,
        margin=room,
        timing=hastat.Times(
            timeout_s=mind.timing.timeout_s,
            heartbeat_s=mind.timing.heartbeat_s,
            lease_s=mind.timing.lease_s,
            stop_budget_s=mind.timing.stop_budget_s,
        ),
        problems=[sentence(problem) for problem in wrong],
        problem_list=wrong,
    )


def of_group(whole: hastat.Report, group: str) -> hastat.Report:
    """Return what a report says of one group alone; all the rest of it stays."""
    kinds = {*GROUP_KINDS, ProblemKind.NO_QUORUM}
    wrong = [it for it in whole.problem_list if it.kind in kinds and group in it.subjects]
    return msgspec.structs.replace(
        whole,
        groups=[view for view in whole.groups if view.group == group],
        problems=[sentence(problem) for problem in wrong],
        problem_list=wrong,
    )


def _names(mind: Mind) -> list[str]:
    wished = set(mind.hactl.wishes) if mind.hactl else set()
    told = {g for g, local in mind.locals.items() if local.present}
    shown = {g for s in mind.view.known() for g in s.groups if s.holds(g)}
    return sorted(wished | told | shown | {g for g, s in mind.seats.items() if s.claim})


def _age(now: float, then: float | None) -> float:
    return round(now - then, 3) if then is not None else 0.0


def _quorum(mind: Mind) -> hastat.Quorum:
    view = mind.view
    seen, needed = explain.quorum_sum(mind)
    awaited = [str(node) for node in sorted(view.members) if view.unconfirmed(node)]
    return hastat.Quorum(
        has=view.sight is Sight.YES,
        policy=view.electorate.policy.value,
        seen=seen,
        electorate=sorted(view.electorate.nodes),
        needed=needed,
        reason=explain.quorum_reason(mind)
        + (f"; not confirmed yet: {', '.join(awaited)}" if awaited else ""),
    )


def _tables(versions: Mapping[str, TableVersion]) -> dict[str, hastat.TableSeen]:
    return {
        name: hastat.TableSeen(mtime_ns=version.mtime_ns, digest=version.digest)
        for name, version in versions.items()
    }


def _load(status: Status) -> int:
    return len(set(status.claims) | {g for g, line in status.groups.items() if line.active})


def _self(mind: Mind, now: float) -> hastat.NodeReport:
    own = mind.published
    began = mind.writes.began(own.seq) if own else None
    return hastat.NodeReport(
        node=mind.me,
        state="self",
        age_s=_age(now, began) if began is not None else None,
        inc=mind.inc,
        seq=own.seq if own else 0,
        boot=mind.boot,
        run=mind.run,
        version=own.version if own else 0,
        silent=mind.silent(now),
        refused=dict(mind.refused),
        tables=_tables(mind.tables),  # what is in force, be it published yet or not
        load=_load(own) if own else 0,
        standby=mind.standby,
    )


_STATES: dict[Standing, hastat.Standing] = {
    Standing.NEVER: "never",
    Standing.FRESH: "fresh",
    Standing.STALE: "stale",
    Standing.LEAVING: "leaving",
    Standing.LEFT: "left",
    Standing.FENCED: "fenced",
}


def _node(mind: Mind, node: int, now: float) -> hastat.NodeReport:
    peer = mind.view.peer(node)
    state = _STATES[mind.view.standing(node)]
    status = peer.status
    if status is None:
        return hastat.NodeReport(node=node, state=state, error=peer.error)
    trip = mind.view.roundtrips.get(node)
    return hastat.NodeReport(
        node=node,
        state=state,
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
        late=mind.view.heartbeats_missed(node, mind.timing.heartbeat_s),
        standby=status.standby,
        confirmed=not mind.view.unconfirmed(node),
    )


def _group(mind: Mind, group: str, around: Surroundings, now: float) -> hastat.GroupView:
    account = explain.account(mind, group, now)
    seen = explain.sightings(mind, group, now)
    seat = mind.seat(group)
    lapses = seat.lease_until
    detail = around.groups.get(group)
    wish = mind.hactl.wishes.get(group) if mind.hactl else None
    wish = wish or Wish(group, "stop")
    votes = {s.node: v.node for s in mind.view.known() if (v := s.votes.get(group)) is not None}
    if seat.ballot.vote is not None:
        votes[mind.me] = seat.ballot.vote.node
    return hastat.GroupView(
        group=group,
        wanted=wish.level,
        where=[s.node for s in seen if s.counts and s.line.active],
        ok=account.ok,
        why=account.why,
        next=account.next,
        problem=account.kind.value if account.kind is not None else "",
        instances=[_instance(mind, sighting, around, now) for sighting in seen],
        term=mind.view.terms.get(group, 0),
        lease_s=round(lapses - now, 3) if seat.granted and lapses > now else None,
        votes=dict(sorted(votes.items())),
        bans=_bans(mind, group, now),
        not_here=explain.not_here(mind, group, now),
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
    )


def _entry(entry: EntryReport, now: float) -> hastat.EntryState:
    return hastat.EntryState(
        tag=entry.tag,
        mode=entry.mode.value,
        state=entry.state,
        pid=entry.pid,
        starts=entry.starts,
        exit=entry.exit,
        for_s=_age(now, entry.since) if entry.since is not None else None,
        restarts=max(0, entry.starts - 1),
        failures=entry.failures,
        error=entry.error,
        command=entry.command,
        said=list(entry.said),
    )


def _instance(
    mind: Mind, seen: explain.Sighting, around: Surroundings, now: float
) -> hastat.Instance:
    heard = mind.view.peer(seen.node).heard_at
    if seen.node == mind.me:
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


def _bans(mind: Mind, group: str, now: float) -> list[hastat.BanReport]:
    bans = []
    seat = mind.seat(group)
    if seat.ban_until > now:
        left_s = round(seat.ban_until - now, 1)
        bans.append(hastat.BanReport(node=mind.me, left_s=left_s, reason=seat.ban_reason))
    for status in mind.view.fresh():
        ban = status.bans.get(group)
        if ban is not None:
            bans.append(
                hastat.BanReport(node=status.node, left_s=float(ban.left_s), reason=ban.reason)
            )
    return sorted(bans, key=lambda ban: ban.node)


def _refusals(mind: Mind) -> list[hastat.Refusal]:
    said = [(mind.me, mind.refused)]
    said += [(status.node, dict(status.refused)) for status in mind.view.fresh()]
    return [
        hastat.Refusal(file=file, node=node, text=text)
        for node, files in sorted(said, key=lambda pair: pair[0])
        for file, text in sorted(files.items())
    ]


def _margin(mind: Mind) -> hastat.Margin:
    view = mind.view
    voters = [node for node in view.electorate.nodes & view.roundtrips.keys() if view.speaks(node)]
    trips = sorted(view.roundtrips[node] for node in voters)
    # The lease waits for the q-th supporter, the own node being the first of them.
    place = view.electorate.needed - 2
    trip = trips[place] if 0 <= place < len(trips) else None
    factor = margin(mind.timing, trip)
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
