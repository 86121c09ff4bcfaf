"""The arithmetic of times: what follows from `timeout`, and which sets of times are safe.

The promise "at most one" rests on one inequality: the owner of a group has stopped, lease and
stop budget spent (L + D), before any other node may consider it dead (T), even if the clocks of
the two run at rates that differ by one percent. Availability rests on another: a lease must last
longer than a heartbeat's round trip to the voters, or it lapses although nothing failed.

Letters as in the design: T `timeout`, H `heartbeat`, L `lease`, D `stop_budget`,
K the time that it takes to kill all groups of a node (`kill_s`),
V the time until another node sees a write, R the measured time from a write to its echo.
"""

from __future__ import annotations

import math

from msgspec import Struct

from mosha.core.durations import number_text

CLOCK_RATE_ERROR = 0.01
"""By how much the rates of two nodes' clocks may differ (promise, condition 2)."""

MARGIN_WARN = 2.0
"""Below this margin one delayed heartbeat is enough to lose a lease."""

# Shorter ones cannot be kept: a heartbeat would be close to what a write and the scheduler of a
# busy machine take, and leases would lapse just for that.
TIMEOUT_MIN_S = 0.5
TIMEOUT_MAX_S = 86_400.0
HEARTBEAT_MIN_S = 0.02
POLL_MIN_S = 0.005
STOP_BUDGET_MIN_S = 0.05
# Bans and grace periods beyond a month are typing errors.
PAUSE_MAX_S = 31 * 86_400.0

# A tenth of T gives a lease of 0.6 T room for three round trips. Every 5 s is cheap enough for the
# longest timeouts and keeps `status` fresh.
HEARTBEAT_PER_TIMEOUT = 0.1
HEARTBEAT_DEFAULT_MAX_S = 5.0
POLL_PER_HEARTBEAT = 0.25
LEASE_PER_TIMEOUT = 0.6
STOP_BUDGET_PER_TIMEOUT = 0.3
# A grant takes a write, a vote and two trips across the file system, at worst with a heartbeat
# before each; a third heartbeat allows for a late one. It does not depend on T. The minimum is two
# seconds because a cached view (NFS, GlusterFS) can be a second old.
PLAN_LIMIT_HEARTBEATS = 3.0
PLAN_LIMIT_MIN_DEFAULT_S = 2.0
TIMEOUT_DEFAULT_S = 60.0
BAN_DEFAULT_S = 300.0
START_GRACE_DEFAULT_S = 120.0


# How long after `kill_at` clinit takes to kill all groups of a node, until the last process has
# ended. Measured with a process in each cgroup, on two cores shared by nine (s): 30 groups 0.04,
# 100 groups 0.06, 300 groups 0.26 and 0.35.
KILL_BASE_S = 0.02
KILL_PER_GROUP_S = 0.001


def kill_s(groups: int) -> float:
    """Return K: how long after `kill_at` the last of that many groups may be alive."""
    return KILL_BASE_S + groups * KILL_PER_GROUP_S if groups else 0.0


class Timing(Struct, frozen=True):
    """All times of one node, in seconds, with all defaults filled in."""

    timeout_s: float
    heartbeat_s: float
    poll_s: float
    lease_s: float
    stop_budget_s: float
    ban_s: float = BAN_DEFAULT_S
    plan_limit_s: float = PLAN_LIMIT_MIN_DEFAULT_S
    start_grace_s: float = START_GRACE_DEFAULT_S


class TimingCheck(Struct, frozen=True):
    """One line of `mosha check`: a time or a rule, its formula, its value and a verdict.

    `verdict` is `ok`, or begins with `unsafe:` (refused) or `warning:` (allowed).
    """

    name: str
    formula: str
    value: float
    verdict: str


def derive(
    timeout_s: float = TIMEOUT_DEFAULT_S,
    *,
    heartbeat_s: float | None = None,
    poll_s: float | None = None,
    lease_s: float | None = None,
    stop_budget_s: float | None = None,
    ban_s: float = BAN_DEFAULT_S,
    plan_limit_s: float | None = None,
    start_grace_s: float = START_GRACE_DEFAULT_S,
) -> Timing:
    """Fill in what is not given from `timeout_s`; the result may be `unsafe`."""
    if heartbeat_s is None:
        heartbeat_s = min(timeout_s * HEARTBEAT_PER_TIMEOUT, HEARTBEAT_DEFAULT_MAX_S)
    if plan_limit_s is None:
        plan_limit_s = max(PLAN_LIMIT_MIN_DEFAULT_S, heartbeat_s * PLAN_LIMIT_HEARTBEATS)
    return Timing(
        timeout_s=timeout_s,
        heartbeat_s=heartbeat_s,
        poll_s=heartbeat_s * POLL_PER_HEARTBEAT if poll_s is None else poll_s,
        lease_s=timeout_s * LEASE_PER_TIMEOUT if lease_s is None else lease_s,
        stop_budget_s=(
            timeout_s * STOP_BUDGET_PER_TIMEOUT if stop_budget_s is None else stop_budget_s
        ),
        ban_s=ban_s,
        plan_limit_s=plan_limit_s,
        start_grace_s=start_grace_s,
    )


def unsafe(timing: Timing) -> tuple[tuple[str, str], ...]:
    """Return every broken rule as (setting, the rule with its numbers); empty if all hold.

    The setting is the key of mosha.toml to change first. Out-of-range values are
    reported alone: the sums over them would only repeat them.
    """
    outside = tuple(_outside(timing))
    return outside or tuple(_broken(timing))


def margin(timing: Timing, roundtrip_s: float | None = None) -> float:
    """Return by which factor a lease exceeds the renewal of its votes (L over 2V + 2H).

    A measured round trip contains both trips and the echoing node's heartbeat (2V + H); without
    one, V counts as 0, so that the result is the best case.
    """
    trip_s = timing.heartbeat_s if roundtrip_s is None else roundtrip_s
    return timing.lease_s / (trip_s + timing.heartbeat_s)


def explain(
    timing: Timing, roundtrip_s: float | None = None, *, groups: int = 0
) -> list[TimingCheck]:
    """Return the whole arithmetic, line by line, as `mosha check` prints it.

    With the number of `groups` in cltab there is a line for K, which the sum includes.

    The margin uses `roundtrip_s`, the measured time from a write to its echo, if given.
    Values are seconds, except for the margin, which is a factor.
    """
    broken: dict[str, str] = {}
    for key, rule in unsafe(timing):
        broken.setdefault(key, rule)

    def line(name: str, formula: str, value: float) -> TimingCheck:
        rule = broken.get(name)
        return TimingCheck(name, formula, value, f"unsafe: {rule}" if rule else "ok")

    return [
        line("timeout", "T: a node silent for this long is stale", timing.timeout_s),
        line("heartbeat", "H: how often a status is written (T/10, at most 5)", timing.heartbeat_s),
        line("poll", "how often the others are read (H/4)", timing.poll_s),
        line("lease", "L: how long a grant holds after its last renewal (0.6 T)", timing.lease_s),
        line("stop_budget", "D: from a lapsed lease to SIGKILL (0.3 T)", timing.stop_budget_s),
        line("plan_limit", "a claim not granted by then is withdrawn (3 H)", timing.plan_limit_s),
        line("ban", "how long a node avoids a group that failed there", timing.ban_s),
        line("start_grace", "no shot in this time after the monitor's start", timing.start_grace_s),
        *(
            [TimingCheck("kill", f"K: SIGKILL to {groups} groups", kill_s(groups), "ok")]
            * bool(groups)
        ),
        _gone_in_time(timing, groups),
        _margin_line(timing, roundtrip_s),
        TimingCheck(
            "a dead node's groups are free",
            "T + poll (sooner with a receipt)",
            timing.timeout_s + timing.poll_s,
            "ok",
        ),
    ]


def _outside(timing: Timing) -> list[tuple[str, str]]:
    bounds = (
        ("timeout", timing.timeout_s, TIMEOUT_MIN_S, TIMEOUT_MAX_S),
        ("heartbeat", timing.heartbeat_s, HEARTBEAT_MIN_S, TIMEOUT_MAX_S),
        ("poll", timing.poll_s, POLL_MIN_S, TIMEOUT_MAX_S),
        ("lease", timing.lease_s, HEARTBEAT_MIN_S, TIMEOUT_MAX_S),
        ("stop_budget", timing.stop_budget_s, STOP_BUDGET_MIN_S, TIMEOUT_MAX_S),
        ("ban", timing.ban_s, 0.0, PAUSE_MAX_S),
        ("plan_limit", timing.plan_limit_s, HEARTBEAT_MIN_S, TIMEOUT_MAX_S),
        ("start_grace", timing.start_grace_s, 0.0, PAUSE_MAX_S),
    )
    return [
        (key, f"{key} must lie between {_text(low)} and {_text(high)}, it is {_text(value)}")
        for key, value, low, high in bounds
        if not (math.isfinite(value) and low <= value <= high)
    ]


def _text(seconds: float) -> str:
    return f"{number_text(seconds)} s"


def _broken(timing: Timing) -> list[tuple[str, str]]:
    spent_s = timing.lease_s + timing.stop_budget_s
    twice_s = 2 * timing.heartbeat_s
    gone_text = (
        "lease + stop_budget must be at most 0.99 timeout, or two nodes could run one group:"
        f" {timing.lease_s:g} + {timing.stop_budget_s:g} = {spent_s:g},"
        f" and 0.99 x {timing.timeout_s:g} = {timing.timeout_s * (1 - CLOCK_RATE_ERROR):g}"
    )
    lease_text = (
        "lease must be more than 2 heartbeats, or it lapses before it can be renewed:"
        f" {timing.lease_s:g} is not more than {twice_s:g}"
    )
    poll_text = (
        "poll must be at most one heartbeat, or statuses are missed:"
        f" {timing.poll_s:g} is more than {timing.heartbeat_s:g}"
    )
    plan_text = (
        "plan_limit must be more than 2 heartbeats, or no claim can be granted in time:"
        f" {timing.plan_limit_s:g} is not more than {twice_s:g}"
    )
    rules = (
        ("lease", _gone_before_timeout(timing), gone_text),
        ("heartbeat", timing.lease_s > twice_s, lease_text),
        ("poll", timing.poll_s <= timing.heartbeat_s, poll_text),
        ("plan_limit", timing.plan_limit_s > twice_s, plan_text),
    )
    return [(key, text) for key, holds, text in rules if not holds]


def _gone_before_timeout(timing: Timing) -> bool:
    limit_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR)
    # 0.6 T + 0.39 T is meant to be allowed, whatever the last binary digit is; a billionth of T is
    # far below the one percent of clock error.
    return timing.lease_s + timing.stop_budget_s <= limit_s + timing.timeout_s * 1e-9


def kill_warning(timing: Timing, groups: int) -> str:
    """Return a warning if that many groups take too long to kill for these times, or ""."""
    limit_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR)
    left_s = limit_s - timing.lease_s - timing.stop_budget_s
    if kill_s(groups) <= left_s or not groups:
        return ""
    return (
        f"{groups} groups take {kill_s(groups):g} s to kill, and lease + stop_budget"
        f" leave {max(0.0, left_s):.3g} s before 0.99 timeout:"
        " shorten stop_budget, or lengthen timeout"
    )


def _gone_in_time(timing: Timing, groups: int) -> TimingCheck:
    gone_s = timing.lease_s + timing.stop_budget_s + kill_s(groups)
    if not _gone_before_timeout(timing):
        verdict = f"unsafe: more than {timing.timeout_s * (1 - CLOCK_RATE_ERROR):g}"
    elif warning := kill_warning(timing, groups):
        verdict = f"warning: {warning}"
    else:
        verdict = "ok"
    formula = "L + D + K, at most 0.99 T" if groups else "L + D, at most 0.99 T"
    return TimingCheck("former owner has stopped", formula, gone_s, verdict)


def _margin_line(timing: Timing, roundtrip_s: float | None) -> TimingCheck:
    measured = roundtrip_s is not None
    renewal_s = timing.heartbeat_s + (timing.heartbeat_s if roundtrip_s is None else roundtrip_s)
    formula = f"L / (H + round trip {roundtrip_s:g})" if measured else "L / 2H, V not yet measured"
    if not (renewal_s > 0 and math.isfinite(renewal_s) and math.isfinite(timing.lease_s)):
        return TimingCheck("margin", formula, 0.0, "unsafe: cannot be reckoned")
    value = timing.lease_s / renewal_s
    if value <= 1:
        verdict = "warning: leases lapse although nothing failed; lengthen timeout"
    elif value < MARGIN_WARN:
        verdict = f"warning: below {MARGIN_WARN:g}, one late heartbeat can cost a lease"
    else:
        verdict = "ok"
    return TimingCheck("margin", formula, value, verdict)
