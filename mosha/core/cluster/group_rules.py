"""The rules for a group on one node: the table that decides each of its steps.

`ROWS` is read from the top; the first row that holds says what to do. A row is a name, a
condition on `Facts` and an action. `core.cluster.group_step` computes the facts and carries out
the action; this is only the table (catalogue H5). See docs/explanation/life-of-a-group.md.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from msgspec import Struct

from mosha.core.status import GroupState
from mosha.core.supervision.group_report import ABSENT, GroupReport
from mosha.core.tables import BUILT_IN_LEVELS, PLAN_LEVEL, STOP_LEVEL, TEST_LEVEL
from mosha.errors import BugError


class Action(enum.StrEnum):
    """The action of a step."""

    KILL = "kill"  # tell `stop` with deadlines that have passed (G1)
    HOLD = "hold"  # publish that it is about to leave its level: others have to stop first
    STOP = "stop"  # tell `stop`; keep the claim until nothing is alive (C7)
    RESTART = "restart"  # tell `stop` and keep the claim: it is started again under it
    RELEASE = "release"  # nothing is left here: drop the claim
    PREEMPT = "preempt"  # tell `stop` for a group of a higher priority
    GIVE_WAY = "give way"  # tell `stop` for a better node, and remember which one
    GIVE_UP = "give up"  # drop a claim that never ran anything, tell `stop`
    WITHDRAW = "withdraw"  # the same, and back off (C6)
    RAISE = "raise"  # claim again with a higher term: the votes were split
    BAN = "ban"  # tell `stop` and ban this node from the group for a while
    TEST = "test"  # tell `test`
    STOP_AGAIN = "stop again"  # tell `plan`, since `stop` is told again only from another level
    FORGET = "forget"  # tell `stop` with deadlines that have passed: its entries are not run
    EXHAUST = "exhaust"  # tell `stop` and keep the claim: it is stopped for good
    GO = "go"  # tell the level that hactl wants
    PLAN = "plan"  # claim it and tell `plan`
    WAIT = "wait"  # something is in progress
    REST = "rest"  # all is as wanted


class Facts(Struct, frozen=True, kw_only=True):
    """All that one step looks at.

    `wanted` is the level that hactl gives this group on this node, `stop` if it must not run
    here for any reason. `granted`: this node's claim holds a running lease; `activated`: a level
    that needs one was told under this claim. `told_level` is a level told to clinit a moment ago
    that it has not reported yet, `unshown` is true also for one told long ago: clinit may have
    obeyed, with its report on the way. `runs_elsewhere`, `better_claim`, `overdue` (the plan
    limit has passed) and `split` are about a claim that is not granted; `rank_due`: C1 holds and
    the rank's time has come. `yields`: a better node waits to take the group back
    (`failback=yes`); `preempted`: a group of a higher priority finds room nowhere
    else (P1). `gives_up`: its entries have reached their failure limit here, and another
    node may take it; `exhausts`: nothing is left but to stop it for good; `exhausted`: that was
    done, and keeps the claim. `nowhere`: one of its agents cannot run its service on any node.
    `held`: those after it (`after=`) run, and have to stop first; `waits`: what it comes after is
    not at its level. `spent`: as many moves as hactl allows are used up, so that what cannot run
    here is stopped for good. `ill`: a monitor has failed, and a restart in place is due.
    `restarts`: an operator or a monitor has the group restarted, which keeps the claim;
    `stops_again`: to try again what failed at `stop`.
    `superseded`: it runs elsewhere under a higher term, and the kill was not ordered yet;
    `overtaken`: this node has no claim; there is, or was, one with a higher term, under which the
    group may have run elsewhere (C2: nothing starts under the lower one any more); or no lease has
    come back within T of an operator's cleanup. `local`: no other node can have an instance
    (`on=all`), and no rival was claimed since: what failed at `stop` needs no lease.
    """

    report: GroupReport
    wanted: str
    claimed: bool
    granted: bool
    activated: bool
    told_level: str = ""
    unshown: bool = False
    runs_elsewhere: bool = False
    better_claim: bool = False
    overdue: bool = False
    split: bool = False
    rank_due: bool = False
    yields: bool = False
    superseded: bool = False
    overtaken: bool = False
    local: bool = False
    restarts: bool = False
    stops_again: bool = False
    gives_up: bool = False
    exhausts: bool = False
    exhausted: bool = False
    nowhere: bool = False
    held: bool = False
    waits: bool = False
    spent: bool = False
    ill: bool = False
    preempted: bool = False

    @property
    def here(self) -> bool:
        """Whether the group is, or is about to be, on this node."""
        return self.report.present or self.told_level not in ("", STOP_LEVEL)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was told, reported by clinit or not."""
        return (self.told_level or self.report.wanted) == STOP_LEVEL

    @property
    def cut_short(self) -> bool:
        """Whether what ran under the lease ended with its clinit, and no `stop` entry has run.

        Without the lease it may already run elsewhere: then this node must not undo on shared
        storage what that node did.
        """
        return self.claimed and self.activated and self.granted and self.report == ABSENT

    @property
    def unanswered(self) -> bool:
        """Whether a level told under the claim may run, although no report shows it."""
        return self.claimed and self.activated and self.unshown

    @property
    def kept(self) -> bool:
        """Whether the claim is kept although all is gone: the group starts again under it."""
        valid = self.activated and self.granted and not self.overtaken
        return self.restarts and valid and self.wanted != STOP_LEVEL

    @property
    def pending(self) -> bool:
        """Whether there is a claim under which nothing runs and that is not granted now."""
        return self.claimed and not self.activated and not self.granted


def _at(level: str) -> Callable[[Facts], bool]:
    def holds(facts: Facts) -> bool:
        return facts.report.level == level and facts.report.settled and facts.report.present

    return holds


_planned, _tested = _at(PLAN_LEVEL), _at(TEST_LEVEL)


def _unwanted(facts: Facts) -> bool:
    return facts.wanted == STOP_LEVEL


def _claim_not_wanted(facts: Facts) -> bool:
    return _unwanted(facts) and facts.pending and not facts.exhausted


def _failed(facts: Facts) -> bool:
    report = facts.report
    return (
        report.settled
        and report.state is GroupState.FAILED
        and report.level in (PLAN_LEVEL, TEST_LEVEL, facts.wanted)
    )


def _stop_failed_and_mended(facts: Facts) -> bool:
    return facts.stops_again and facts.stopping and facts.report.stop_failed


def _stop_failed_and_overtaken(facts: Facts) -> bool:
    return _stop_failed_and_mended(facts) and facts.overtaken and not facts.local


def _stop_failed_and_due(facts: Facts) -> bool:
    leased = facts.granted or (facts.overtaken and facts.local)
    return _stop_failed_and_mended(facts) and leased


def _home(facts: Facts) -> bool:
    return facts.report.settled and facts.report.present and facts.report.level == facts.wanted


def _held_back(facts: Facts) -> bool:
    """Say whether it has to wait although a row below would take it from its level.

    It runs at its level under its lease: nothing forces it to stop.
    """
    report = facts.report
    at_level = report.settled and report.present and report.state is not GroupState.FAILED
    if not (facts.held and facts.granted and at_level and facts.told_level == ""):
        return False
    if report.level in BUILT_IN_LEVELS:
        return False
    deliberate = facts.kept or facts.gives_up or facts.exhausts or facts.yields
    deliberate |= facts.ill or facts.preempted
    return deliberate or report.level != facts.wanted


def _gone(facts: Facts) -> bool:
    left = facts.here or facts.cut_short or facts.unanswered
    return facts.claimed and facts.stopping and not left


class Row(Struct, frozen=True):
    """One row of the table."""

    name: str
    holds: Callable[[Facts], bool]
    do: Action


NOT_WANTED = "not wanted"

ROWS: tuple[Row, ...] = (
    Row("superseded", lambda f: f.superseded and f.here, Action.KILL),
    Row("held back", _held_back, Action.HOLD),
    Row("claim not wanted", _claim_not_wanted, Action.GIVE_UP),
    Row(NOT_WANTED, lambda f: _unwanted(f) and f.here and not f.stopping, Action.STOP),
    Row("cut short", lambda f: f.cut_short and f.told_level == "", Action.STOP),
    Row("restart asked", lambda f: f.kept and f.here and not f.stopping, Action.STOP),
    Row(
        "stopped to start again",
        lambda f: f.kept and not f.here and f.told_level == "",
        Action.TEST,
    ),
    Row(
        "told, never seen",
        lambda f: f.unanswered and not f.here and f.told_level == "",
        Action.STOP,
    ),
    Row("stopped for good", lambda f: f.exhausted and not f.here, Action.WAIT),
    Row("gone", _gone, Action.RELEASE),
    Row("runs unclaimed", lambda f: f.here and not f.claimed and not f.stopping, Action.STOP),
    Row("lost its lease", lambda f: f.activated and not f.granted and not f.stopping, Action.STOP),
    Row("stop failed, overtaken", _stop_failed_and_overtaken, Action.FORGET),
    Row("stop asked again", _stop_failed_and_due, Action.STOP_AGAIN),
    Row("stopping", lambda f: f.here and f.stopping, Action.WAIT),
    Row("runs elsewhere", lambda f: f.pending and f.runs_elsewhere, Action.WITHDRAW),
    Row("collision", lambda f: f.pending and f.better_claim, Action.WITHDRAW),
    Row("not granted in time", lambda f: f.pending and f.overdue, Action.WITHDRAW),
    Row("votes split", lambda f: f.pending and f.split, Action.RAISE),
    Row("told, not seen yet", lambda f: f.told_level != "", Action.WAIT),
    Row("planned to stop again", lambda f: f.stops_again and _planned(f), Action.STOP),
    Row("can run nowhere", lambda f: f.granted and _failed(f) and f.nowhere, Action.EXHAUST),
    Row("failed once too often", lambda f: f.granted and f.spent and _failed(f), Action.EXHAUST),
    Row("failed", _failed, Action.BAN),
    Row("fails again and again", lambda f: f.granted and f.here and f.gives_up, Action.BAN),
    Row("nothing left to try", lambda f: f.granted and f.here and f.exhausts, Action.EXHAUST),
    Row("its monitor fails", lambda f: f.granted and f.ill and _home(f), Action.RESTART),
    Row(
        "gives way to a higher priority",
        lambda f: f.granted and f.preempted and f.here,
        Action.PREEMPT,
    ),
    Row("gives way", lambda f: f.granted and f.yields and _home(f), Action.GIVE_WAY),
    Row("at home", lambda f: f.granted and _home(f), Action.REST),
    Row("waits to go on", lambda f: f.granted and _tested(f) and f.waits, Action.WAIT),
    Row("passed its tests", lambda f: f.granted and _tested(f), Action.GO),
    Row("planned and granted", lambda f: f.granted and _planned(f), Action.TEST),
    Row("at another level", lambda f: f.granted and f.here and f.report.settled, Action.GO),
    Row("in transition", lambda f: f.here, Action.WAIT),
    Row("free", lambda f: f.rank_due and not f.claimed and not _unwanted(f), Action.PLAN),
    Row("waiting", lambda _: True, Action.WAIT),
)


def decide(facts: Facts) -> Row:
    """Return the first row that holds."""
    for row in ROWS:
        if row.holds(facts):
            return row
    raise BugError(f"no row for {facts}")
