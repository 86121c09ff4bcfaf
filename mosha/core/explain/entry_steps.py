"""What to do about entries in trouble: start what was stopped, repair what fails."""

from __future__ import annotations

from collections.abc import Sequence

from mosha.core.status import DELIBERATE, Trouble, TroubleKind
from mosha.core.supervision import entries


def next_step(group: str, troubles: Sequence[Trouble]) -> str:
    """Return the next step for a group with entries in trouble, "" if it is only to wait."""
    if any(trouble.kind not in DELIBERATE for trouble in troubles):
        return f"repair it; its output: mosha status {group}, on that node"
    if failed := [it.tag for it in troubles if it.text.startswith(entries.NOT_STOPPED)]:
        return f"repair what failed, then: mosha stop {group} {failed[0]}"
    stopped = [trouble for trouble in troubles if _is_to_be_started(trouble)]
    if any(entries.is_outdated(trouble) for trouble in stopped):
        # Alone it is started with the older definition, or not at all.
        return f"to run what cltab has now: mosha restart {group}"
    step = "; ".join(f"mosha start {group} {trouble.tag}" for trouble in stopped)
    return f"to start it: {step}" if step else ""


def while_awaited(group: str, troubles: Sequence[Trouble]) -> str:
    """Return the next step if entries delay a level or a stop, "" if only to wait for a limit."""
    if any(trouble.kind is TroubleKind.LATE and not trouble.text for trouble in troubles):
        return f"find out what it waits for; its pid: mosha status {group}, on that node"
    return ""


def _is_to_be_started(trouble: Trouble) -> bool:
    """Say whether an operator has stopped an entry, and not to restart it."""
    restarted = trouble.text.startswith(entries.BEING_RESTARTED)
    return trouble.kind is TroubleKind.STOPPED and not restarted
