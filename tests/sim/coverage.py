"""What runs have to come upon: every kind of fault with its effect, every rule, every row.

A campaign of many seeds in which one of these is at zero proves nothing about it and says so.
"""

from __future__ import annotations

from collections import Counter

from mosha.core.cluster.group_rules import ROWS
from mosha.core.ladder import Rung
from mosha.core.replication.judging import TABLES
from tests.sim.fate import START_FAILURES
from tests.sim.world import AGENTS
from tests.sim.worldrules import ALL_KINDS

_DONE_TO_TABLES = ("adopt", "refuse", "fetched", "discard", "write")

# No report of clinit lags: tests/core/test_orders.py.
_UNSEEN = ("told, never seen",)

# Orders that are acknowledged.
_VERBS = ("restart", "move", "cleanup", "standby", "unstandby")

EXERCISED: tuple[str, ...] = (
    *(f"row {row.name}" for row in ROWS if row.name not in _UNSEEN),
    *("note vote_given", "note claim_granted", "note claim_raised", "note lease_lost"),
    *("note vote_released: claim withdrawn", "note vote_released: claimant not heard from"),
    *("note vote_released: claimant fenced", "note vote_released: own claim ended"),
    *("note group_adopted", "note group_banned", "note fence_ordered", "note fence_ended"),
    *("note incarnation_raised", "note electorate_changed", "note clinit_lost"),
    *("note group_exhausted", "note group_freed", "rule move that counts"),
    *(f"rule failure predicted: {rung.name.lower()}" for rung in Rung),
    *("rule failure predicted: restart", "note group_restarted", "fault service hangs"),
    *("rule restart that counts", "rule move to the node predicted"),
    "note tell_refused",
    "note silence_ended: all nodes have echoed this incarnation",
    *("rule stop_at enforced by clinit", "rule kill_at enforced by clinit", "rule watchdog"),
    *("rule born with a former life", "rule born without the former life", "rule left"),
    *("rule own clstat torn at a start", "rule late vote for a claim that runs"),
    *("rule started after a receipt", "rule operator confirmed", "rule shot with a majority"),
    *("rule claim within a capacity", "rule no room", "note group_preempted"),
    *("rule group dropped by clinit", "rule world with the adaptive quorum"),
    *(f"rule {table} {do}" for table in TABLES for do in _DONE_TO_TABLES),
    "fault table edited in two parts",
    *("fault work on a table hangs", "fault work on a table fails"),
    *("fault stale read", "fault torn read", "fault hanging read", "fault hanging write"),
    *("fault own writes cut off", "fault directory away", "fault process ignores signals"),
    *("fault write ENOSPC", "fault write EIO", "fault EIO", "fault ESTALE", "fault ENOENT"),
    *("fault cut eio", "fault cut stale", "fault cut hang"),
    *("fault fence works", "fault fence fails", "fault fence hangs", "fault fence print"),
    *("fault fence lies", "fault fence weak", "fault test fails", "fault reordered"),
    *("note fencing_held", "rule shot by half of the nodes"),
    *("note group_unended", "note group_ended_after_all", "rule shot that was asked for"),
    *("note pill_taken", "note pill_killed", "note pill_acknowledged"),
    *("fault fence poison", "rule pill acknowledged"),
    "fault version held back by a cut",
    *("fault write of a killed monitor landed", "fault tell of a killed monitor"),
    *("fault slow look at cltab", "rule tell of a former monitor refused"),
    *("fault last clstats lost", "fault older clstat of the same boot"),
    *("note timeout_kept", "note status_withheld", "note writes_lost"),
    *("rule operator erred", "rule overlap attributed to a clock that stood still"),
    *("rule ghost looked for", "note ghost_killed"),
    *(f"fault start {how}" for how in START_FAILURES),
    "rule clinit halted",
    *("rule instance started", "rule started after rivals, as instances"),
    "rule started after rivals, as a single group",
    *("fault kill takes time", "fault signal fails", "rule outlived a kill, and shown"),
    "rule outlived a kill, and said to be late",
    "fault clinit waits for what is left of a former one",
    "rule overlap attributed to a process that outlived its kill",
    *("fault service fails", "fault entry hangs"),
    *("rule test entry timed out", "rule wait entry timed out"),
    *(f"rule {verb} {what}" for verb in _VERBS for what in ("ordered", "obeyed")),
    *("note group_held", "rule started after another", "rule started with another"),
    *("rule started apart", "rule stopped in order"),
    *("rule order refused", "rule failure reported", "rule failure obeyed"),
    *("fault test at stop fails", "note move_began", "note move_ended", "note standby_changed"),
    *("note fencing_disarmed", "note fencing_armed", "rule shot while disarmed, by order"),
    *("rule ordered to shoot", "rule order to shoot refused", "rule order to shoot withdrawn"),
    *("rule shot by order", "rule shot given up", "rule heard to be on probation"),
    *(f"fault {kind}" for kind in ALL_KINDS),
    *(f"fault agent {kind}" for kind in AGENTS),
    *("rule agent left to the next clinit", "rule agent stopped what its probe found"),
    "rule agent stopped in its turn",
    "rule leftover without evidence of a death",
    *("fault service not ready", "rule service not ready in time", "rule service ready"),
)


def missing(counts: Counter[str]) -> list[str]:
    """Return what the runs never came upon."""
    return [what for what in EXERCISED if not counts[what]]
