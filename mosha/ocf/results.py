"""What the exit status of an action means (OCF resource agent API 1.1, section "Return codes").

190 and 191 are no part of the standard; agents use them nevertheless.
"""

from __future__ import annotations

from mosha.core.agent_exits import FAILED, UNUSABLE_ANYWHERE, UNUSABLE_HERE

SUCCESS = 0
ERR_GENERIC = 1
ERR_ARGS = 2
ERR_UNIMPLEMENTED = 3
ERR_PERM = 4
ERR_INSTALLED = 5
ERR_CONFIGURED = 6
NOT_RUNNING = 7
RUNNING_PROMOTED = 8
FAILED_PROMOTED = 9
DEGRADED = 190
DEGRADED_PROMOTED = 191

MEANINGS = {
    SUCCESS: "success",
    ERR_GENERIC: "error",
    ERR_ARGS: "wrong parameters on this node",
    ERR_UNIMPLEMENTED: "the agent has no such action",
    ERR_PERM: "no permission on this node",
    ERR_INSTALLED: "a program is missing on this node",
    ERR_CONFIGURED: "wrong parameters on any node",
    NOT_RUNNING: "not running",
    RUNNING_PROMOTED: "running, promoted",
    FAILED_PROMOTED: "failed, promoted",
    DEGRADED: "running, degraded",
    DEGRADED_PROMOTED: "running, promoted, degraded",
}

RUNNING = frozenset({SUCCESS, RUNNING_PROMOTED, DEGRADED, DEGRADED_PROMOTED})
"""The answers to `monitor` of what runs."""

WARNING = frozenset({DEGRADED, DEGRADED_PROMOTED})
"""It runs, and something is wrong with it."""

STOPPED = frozenset({NOT_RUNNING, ERR_INSTALLED})
"""The answers to a probe of what does not run: what is not installed does not run either."""

HARD = frozenset({ERR_ARGS, ERR_UNIMPLEMENTED, ERR_PERM, ERR_INSTALLED, ERR_CONFIGURED})
"""To try again on this node is in vain until somebody has changed something."""


def exit_after(action: str, status: int | None) -> int:
    """Return the exit status of the wrapper after an action that has failed (`core.agent_exits`).

    A monitor that the agent does not have says nothing of the service.
    """
    if status not in HARD or (action, status) == ("monitor", ERR_UNIMPLEMENTED):
        return FAILED
    return UNUSABLE_ANYWHERE if status == ERR_CONFIGURED else UNUSABLE_HERE


def told_result(action: str, status: int | None, reason: str = "", *, limit_s: float = 0.0) -> str:
    """Return in words how an action ended.

    `status` is its exit status, minus the number of a signal, or None if it did not end within
    `limit_s` and was killed. `reason` is what the agent gave as the cause.
    """
    if status is None:
        how = f"not over in {limit_s:g} s, killed"
    elif status < 0:
        how = f"signal {-status}"
    else:
        how = f"exit {status} ({MEANINGS.get(status, 'not in the standard')})"
    return f"{action}: {how}: {reason}" if reason else f"{action}: {how}"
