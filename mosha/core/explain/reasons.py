"""The parts of an explanation, and the facts that every explanation of a group begins with.

`mosha why` and `mosha why-not` print the current decision rule by rule. Each reason is one rule as
it stands now: whether it holds, the fact behind it, which node reported that and how old it is.
Nothing here decides or changes anything.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

from msgspec import Struct

from mosha.core.cluster import exhaustion, placement
from mosha.core.cluster.capacity import loads
from mosha.core.cluster.eligibility import ENTRIES, EXHAUSTED, WISH, eligible
from mosha.core.cluster.eligibility_rule import Case, Rule
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.placement import Free
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.relation_rules import AFTER
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import said
from mosha.core.explain import quorate, shooting
from mosha.core.explain.deaths import asked_by
from mosha.core.status import Grade
from mosha.core.tables import STOP_LEVEL

FORMAT = 1
NS_PER_S = 10**9


class Holds(enum.StrEnum):
    """Whether a rule stands in the way."""

    YES = "yes"
    NO = "no"
    MOOT = "moot"  # not checked in this situation, but worth knowing


class Reason(Struct, frozen=True):
    """One rule as it stands: `said_by` is the node that reported it, `age_s` how old that is.

    `age_s` is None for what has no age: a judgement made now.
    """

    rule: str
    holds: Holds
    said: str
    said_by: int
    age_s: float | None = None


class Explanation(Struct, frozen=True):
    """Why a group is where it is, or is not on the node that was asked about (`asked`).

    `ok`: it is as wanted, or nothing keeps it from that node. `verdict` is the answer in one
    line, `next` the next step, "" if there is none. `node` is the node that explains.
    """

    group: str
    node: int
    asked: int | None
    ok: bool
    verdict: str
    next: str
    reasons: tuple[Reason, ...]
    format: int = FORMAT


def is_known(state: MonitorState, group: str) -> bool:
    """Say whether any table or any status names the group."""
    wished = state.hactl is not None and group in state.hactl.wishes
    entries = state.cltab_groups is not None and group in state.cltab_groups
    shown = group in state.reports or any(group in status.groups for status in state.view.known())
    return wished or entries or shown


def known_groups(state: MonitorState) -> frozenset[str]:
    """Return all groups that a table in force names."""
    wished = frozenset(state.hactl.wishes) if state.hactl else frozenset()
    return wished | (state.cltab_groups or frozenset())


def holds(condition: object) -> Holds:
    """Return YES or NO."""
    return Holds.YES if condition else Holds.NO


def age_of(state: MonitorState, node: int, now: float) -> float | None:
    """Return the age of a node's newest status; 0 for this node."""
    if node == state.me:
        return 0.0
    heard = state.view.peer(node).heard_at
    return None if heard is None else round(now - heard, 3)


# --- the rules that every explanation begins with --------------------------------------------


def of_tables(state: MonitorState, wall_s: float) -> Iterator[Reason]:
    """Yield which tables are in force here, and which are refused."""
    for name, here in (
        ("cltab", state.cltab_groups is not None),
        ("hactl", state.hactl is not None),
    ):
        version = state.tables.get(name)
        age_s = round(wall_s - version.mtime_ns / NS_PER_S, 1) if version else None
        text = f"in force here: version {version.digest[:8]}" if version else "in force here"
        if not here:
            text = "none is in force here"
        elif name in state.refused:
            text += "; a newer text is refused"
        yield Reason(name, holds(here), text, state.me, age_s)
        if name in state.refused:
            refusal = state.refused[name].splitlines()[0]
            yield Reason(f"{name} refused", Holds.MOOT, refusal, state.me)


def of_wish(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    """Yield what hactl wants, whether cltab has the group, and whether it is stopped for good.

    `node` is where it is, or might be, to run.
    """
    case = Case(state, group, state.me, now)
    if state.hactl is not None:
        yield as_reason(WISH, case, state.me)
    if state.cltab_groups is not None:
        yield as_reason(ENTRIES, case, state.me)
    if case.wish is not None and case.wish.after:
        yield as_reason(AFTER, Case(state, group, node, now), state.me)
    if (known := exhaustion.found(state, group)) is not None:
        yield as_reason(EXHAUSTED, case, known[0], age_of(state, known[0], now))


def as_reason(rule: Rule, case: Case, said_by: int, age_s: float | None = None) -> Reason:
    """Return how a rule of the table stands."""
    return Reason(rule.name, holds(rule.holds(case)), rule.said(case), said_by, age_s)


def of_quorum(state: MonitorState, now: float) -> Reason:
    """Return whether this node sees a quorum, by what count, and what half of a cluster awaits."""
    stands = holds(state.view.quorum_state is QuorumState.YES)
    return Reason("quorum", stands, quorate.said(state, now), state.me)


def of_fences(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    """Yield what is known about the death of a node, and whether that is enough for a group."""
    receipt, required = state.view.receipts.get(node), state.required_grade(group)
    needed = required is not Grade.LEASE_ELAPSED
    short = receipt is not None and receipt.grade < required
    awaited = short or (receipt is None and state.view.standing(node) is Standing.STALE)
    if receipt is not None:
        text = f"node {node} is dead, says a receipt ({receipt.method}, {receipt.grade.text})"
        yield Reason("fence", Holds.YES, text, state.me)
    yield from of_shots(state, node, now, awaited=awaited and needed)
    if awaited:
        waits = f"{group} waits for a {'better ' * short}receipt"
        text = f"node {node} {said(state.view.standing(node))}"
        text += f", and {waits}" if needed else "; no receipt is asked for"
        text += f" ({asked_by(state, group)})"
        yield Reason("receipt", holds(not needed), text, state.me, age_of(state, node, now))


def of_shots(state: MonitorState, node: int, now: float, *, awaited: bool) -> Iterator[Reason]:
    """Yield the last shot of this node at another, and why it is not shot where that is `awaited`.

    Of a node that is heard again, and where the lease suffices, no shot keeps anybody waiting.
    """
    unproved = Holds.NO if awaited else Holds.MOOT
    shot = state.shots.get(node)
    if shot is not None:
        by = f" by {shot.method}" if shot.method else ""
        more = f": {shot.detail}" if shot.detail else ""
        text = f"node {node} was shot{by}, outcome {shot.outcome}{more}"
        stands = Holds.YES if shot.outcome == "receipt" else unproved
        yield Reason("shot", stands, text, state.me, round(now - shot.at, 3))
    if not awaited:
        return
    if reason := shooting.held(state, node, now):
        yield Reason("shot", Holds.NO, f"node {node} is not shot: {reason}", state.me)
    elif shot is None and (account := shooting.account(state, node, now).said):
        yield Reason("shot", Holds.NO, f"node {node}: {account}", state.me)


def ranking(state: MonitorState, group: str, now: float) -> tuple[int, ...]:
    """Return the nodes that could take the group if it were free, best first."""
    wish = state.wish(group)
    if wish is None or wish.level == STOP_LEVEL:
        return ()
    able = eligible(state, group, now)
    return placement.ranking(Free(wish, able), loads(state, without=group))


def nodes_text(nodes: object) -> str:
    """Return numbers as a list for people."""
    found = ", ".join(str(node) for node in nodes) if isinstance(nodes, tuple | list) else ""
    return found or "none"
